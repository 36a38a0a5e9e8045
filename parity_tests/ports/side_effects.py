"""What a call of a port must leave as it was: settings and random states that others use."""

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .subject import PortError

# By its name, how it is read.
Readers = dict[str, Callable[[], Any]]

OF_JAX = ("jax_enable_x64", "jax_debug_nans", "jax_default_matmul_precision")


def _settings() -> Readers:
    # A framework that nobody has imported has no settings.
    torch = sys.modules.get("torch")
    jax = sys.modules.get("jax")
    readers: Readers = {"NumPy's handling of floating-point errors": np.geterr}
    if torch is not None:
        readers["the default dtype of PyTorch"] = torch.get_default_dtype
        readers["whether PyTorch records gradients"] = torch.is_grad_enabled
        readers["whether PyTorch is deterministic"] = torch.are_deterministic_algorithms_enabled
        readers["the number of threads of PyTorch"] = torch.get_num_threads
    if jax is not None:
        for name in OF_JAX:
            readers[f"the setting {name}"] = lambda name=name: getattr(jax.config, name)
    return readers


def random_states() -> dict[str, Any]:
    """Of every library that is imported. An import may draw numbers, and the first call of a
    framework imports."""
    states: dict[str, Any] = {"Python": random.getstate(), "NumPy": np.random.get_state()}
    torch = sys.modules.get("torch")
    if torch is not None:
        states["PyTorch"] = torch.get_rng_state()
    return states


def is_state(state: Any, other: Any) -> bool:
    parts = zip(state, other, strict=True)
    return all(np.array_equal(part, other_part) for part, other_part in parts)


@contextlib.contextmanager
def advanced() -> Iterator[None]:
    """With states that no seed has right after it is set; afterwards as before."""
    before = random_states()
    random.random()
    np.random.random()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.rand(1)
    try:
        yield
    finally:
        random.setstate(before["Python"])
        np.random.set_state(before["NumPy"])
        if torch is not None and "PyTorch" in before:
            torch.set_rng_state(before["PyTorch"])


@contextlib.contextmanager
def settings_unchanged() -> Iterator[None]:
    """Raise PortError where a call changes one of them."""
    readers = _settings()
    before = {name: read() for name, read in readers.items()}
    yield
    for name, read in readers.items():
        if read() != before[name]:
            raise PortError(
                f"the loss changes {name}, which others in its process use as well: it has to "
                "leave it, or set it back"
            )
