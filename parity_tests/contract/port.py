"""What the tests ask of an implementation: numpy in, numpy out."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

Loss = Callable[..., Any]


class Port(Protocol):
    """An implementation under test."""

    name: str
    module: Any

    def array(self, x: np.ndarray) -> Any: ...

    def numpy(self, x: Any) -> np.ndarray: ...

    def gradient(self, loss: Loss, x: np.ndarray) -> np.ndarray:
        """∂ Σ loss / ∂x of a whole batch, by reverse mode."""
        ...

    def per_sample(
        self, loss: Loss, order: int, points: np.ndarray, ids: np.ndarray | None
    ) -> np.ndarray:
        """Value (order 0), gradient (1) or Hessian (2) of loss(point) or loss(point, id) at each
        row of `points`."""
        ...
