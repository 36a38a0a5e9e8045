"""Ports of TensorFlow."""

from importlib import import_module

import numpy as np

from .framework import Array, Loss, OneByOne


class Tensorflow(OneByOne):
    """Eager TensorFlow on the CPU."""

    name, differentiates = "tensorflow", True

    def __init__(self) -> None:
        self.tf = import_module("tensorflow")

    def array(self, x: np.ndarray) -> Array:
        return self.tf.constant(x)

    def numpy(self, x: Array) -> np.ndarray:
        return np.asarray(x)

    def value(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self.numpy(loss(self.array(x)))

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self.numpy(self._gradient(loss, self.array(x)))

    def beside_gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        z = self.array(x)
        with self.tf.GradientTape() as tape:
            tape.watch(z)
            result = loss(z)
        return self.numpy(result)

    def second(self, loss: Loss, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        z = self.array(x)
        with self.tf.GradientTape() as tape:
            tape.watch(z)
            slope = self._gradient(loss, z) * self.array(along)
        return self.numpy(tape.gradient(slope, z))

    def _gradient(self, loss: Loss, z: Array) -> Array:
        with self.tf.GradientTape() as tape:
            tape.watch(z)
            result = loss(z)
        return tape.gradient(result, z)
