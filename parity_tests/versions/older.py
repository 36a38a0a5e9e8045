"""What tests and smokes use of JAX and Flax that had another name or form in older versions."""

from contextlib import AbstractContextManager
from importlib import import_module
from inspect import signature
from typing import Any

import jax
from flax import nnx


def without_float64() -> AbstractContextManager[None]:
    """Before JAX 0.8 this is disable_x64 of jax.experimental."""
    older = getattr(import_module("jax.experimental"), "disable_x64", None)
    if older is None:
        return jax.enable_x64(False)
    return older()


def update(optimizer: Any, model: nnx.Module, grads: Any) -> None:
    """Before Flax 0.11 an optimizer knows its model, and takes the gradients alone."""
    if "model" in signature(optimizer.update).parameters:
        optimizer.update(model, grads)
    else:
        optimizer.update(grads)
