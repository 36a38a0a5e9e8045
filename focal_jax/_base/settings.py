"""Losses as callables that carry their settings: JAX here, PyTorch in the file of the same name."""

import numpy as np

# Fields that are compared by their values.
CONSTANTS: tuple[type, ...] = (type(None), bool, int, float, str, tuple, np.generic)


class Settings:
    """Hashable fields, arrays by identity: what `jax.jit` and Flax ask of the static parts of a
    module."""

    def _key(self) -> tuple[object, ...]:
        key: list[object] = [type(self)]
        # Arrays are not hashable, and comparing their values would wait for them.
        for x in vars(self).values():
            key.append(x if isinstance(x, CONSTANTS) else id(x))
        return tuple(key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())
