"""Ports of PyTorch."""

import ml_dtypes
import numpy as np

from .framework import Array, Loss, OneByOne


class Torch(OneByOne):
    """Eager PyTorch on the CPU."""

    name, differentiates = "torch", True

    def __init__(self) -> None:
        import torch

        self.torch = torch

    def array(self, x: np.ndarray) -> Array:
        x = np.array(x)
        if x.dtype == ml_dtypes.bfloat16:
            return self.torch.from_numpy(x.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(x)

    def numpy(self, x: Array) -> np.ndarray:
        if not isinstance(x, self.torch.Tensor):
            return np.asarray(x)
        x = x.detach().contiguous()
        if x.dtype == self.torch.bfloat16:
            return x.view(self.torch.int16).numpy().view(ml_dtypes.bfloat16)
        return x.numpy()

    def value(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        """Without gradients, as in a validation: `beside_gradient` is the loss in training."""
        with self.torch.no_grad():
            return self.numpy(loss(self.array(x)))

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        leaf = self.array(x).requires_grad_()
        (slope,) = self.torch.autograd.grad(loss(leaf).sum(), leaf)
        return self.numpy(slope)

    def beside_gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        return self.numpy(loss(self.array(x).requires_grad_()))

    def second(self, loss: Loss, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        leaf = self.array(x).requires_grad_()
        (slope,) = self.torch.autograd.grad(loss(leaf).sum(), leaf, create_graph=True)
        slope_along = (slope * self.array(along)).sum()
        (second,) = self.torch.autograd.grad(slope_along, leaf)
        return self.numpy(second)
