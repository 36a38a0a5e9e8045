"""From the name of a framework to how it is called."""

from collections.abc import Callable
from functools import cache
from importlib import import_module

from .framework import Framework
from .of_jax import Jax
from .of_numpy import Numpy
from .of_tensorflow import Tensorflow
from .of_torch import Torch


def _keras() -> Framework:
    """Keras runs on one of the others, which then differentiates for it."""
    return load(import_module("keras").backend.backend())


FRAMEWORKS: dict[str, Callable[[], Framework]] = {
    "jax": Jax,
    "torch": Torch,
    "numpy": Numpy,
    "tensorflow": Tensorflow,
    "keras": _keras,
}


@cache
def load(name: str) -> Framework:
    return FRAMEWORKS[name]()
