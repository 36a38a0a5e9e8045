"""How to call each implementation: numpy in, numpy out, with derivatives by the framework's own
machinery."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch

import focal_jax
import focal_torch
from parity_tests.contract.port import Loss, Port


class JaxPort:
    """Compiled, with Hessians forward over reverse; or eager, reverse over reverse."""

    module: Any = focal_jax

    def __init__(self, eager: bool = False) -> None:
        self.name = "eager jax" if eager else "jax"
        self.eager = eager

    def array(self, x: np.ndarray) -> jax.Array:
        return jnp.asarray(x)

    def numpy(self, x: jax.Array) -> np.ndarray:
        return np.asarray(x)

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        gradient = jax.grad(lambda z: loss(z).sum())
        return np.asarray(gradient(self.array(x)))

    def per_sample(
        self, loss: Loss, order: int, points: np.ndarray, ids: np.ndarray | None
    ) -> np.ndarray:
        gradient = jax.grad(loss)
        hessian = jax.jacrev(gradient) if self.eager else jax.hessian(loss)
        derivative = jax.vmap((loss, gradient, hessian)[order])
        arrays = (points,) if ids is None else (points, ids)
        args = map(self.array, arrays)
        with jax.disable_jit(self.eager):
            return np.asarray(jax.jit(derivative)(*args))


class TorchPort:
    """Eager, with Hessians forward over reverse; or reverse over reverse."""

    module: Any = focal_torch

    def __init__(self, reverse: bool = False) -> None:
        self.name = "reverse torch" if reverse else "torch"
        self.reverse = reverse

    def array(self, x: np.ndarray) -> torch.Tensor:
        if x.dtype == ml_dtypes.bfloat16:
            return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(x)

    def numpy(self, x: torch.Tensor) -> np.ndarray:
        x = x.detach()
        if x.dtype == torch.bfloat16:
            return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return x.numpy()

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        leaf = self.array(x).clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(leaf).sum(), leaf)
        return self.numpy(slope)

    def per_sample(
        self, loss: Loss, order: int, points: np.ndarray, ids: np.ndarray | None
    ) -> np.ndarray:
        gradient = torch.func.grad(loss)
        hessian = torch.func.jacrev(gradient) if self.reverse else torch.func.hessian(loss)
        derivative = torch.func.vmap((loss, gradient, hessian)[order])
        arrays = (points,) if ids is None else (points, ids)
        args = map(self.array, arrays)
        return derivative(*args).numpy()


JAX = JaxPort()
EAGER_JAX = JaxPort(eager=True)
TORCH = TorchPort()
PORTS: tuple[Port, ...] = (JAX, EAGER_JAX, TORCH, TorchPort(reverse=True))
