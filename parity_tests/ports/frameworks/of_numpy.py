"""Ports of NumPy."""

import numpy as np

from .framework import Array, Loss, OneByOne


class Numpy(OneByOne):
    """Values only: derivatives of a numpy port are a second function of the same arguments."""

    name, differentiates = "numpy", False

    def array(self, x: np.ndarray) -> np.ndarray:
        return x

    def numpy(self, x: Array) -> np.ndarray:
        return np.asarray(x)

    def value(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.numpy(loss(x))

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        raise TypeError("numpy does not differentiate")

    def second(self, loss: Loss, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        raise TypeError("numpy does not differentiate")

    def beside_gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        raise TypeError("numpy does not differentiate")
