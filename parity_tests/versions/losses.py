"""The arguments that the losses are called with: numbers of NumPy, for both frameworks."""

from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.exact import Draws

DRAWS = Draws(0)
ROWS, CLASSES, SIZE = 8, 4, 3
LOGITS = DRAWS.bell((ROWS, CLASSES)) * 3
FEATURES = DRAWS.bell((ROWS, SIZE))
KERNEL = DRAWS.bell((CLASSES, SIZE))
IDS = DRAWS.integers(0, CLASSES, ROWS)
BITS = DRAWS.uniform(shape=(ROWS, CLASSES)) < 0.4
SOFT = DRAWS.uniform(0.1, 0.9, (ROWS, CLASSES))
PROBABILITIES = DRAWS.simplex(ROWS, CLASSES)
PER_CLASS, PER_ROW = DRAWS.uniform(0.5, 1.5, CLASSES), DRAWS.uniform(0.5, 1.5, ROWS)
KEPT = np.arange(ROWS) != 2

# What each loss is called with beside logits, or features and kernel. Arrays become those of the
# framework.
ALL = {"weight": PER_ROW, "where": KEPT}
MATRIX = {"weight": PER_ROW[:, None], "where": KEPT[:, None]}
CLASS = {"alpha": PER_CLASS, "gamma": PER_CLASS, "axis": -1}
LINEAR = {"alpha": PER_CLASS, "softcap": 5.0, "label_smoothing": 0.1, "chunk_size": 3}


class Call(NamedTuple):
    """A public loss, and its targets and settings."""

    function: str
    targets: np.ndarray
    settings: dict[str, Any]

    @property
    def arrays(self) -> list[np.ndarray]:
        """Logits, or features and kernel."""
        if self.function.startswith("linear"):
            return [FEATURES, KERNEL]
        return [LOGITS]


SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
LINEAR_SOFTMAX = "linear_softmax_focal_loss"
MIXTURE = {"soft_targets": "mixture", "alpha": PER_CLASS / 2, "reduction": "mean_positive"}
CALLS = {
    "sigmoid": Call(SIGMOID, BITS, {"gamma": 1.5, "reduction": "mean"}),
    "sigmoid interpolate": Call(SIGMOID, SOFT, {"gamma": PER_CLASS, **MATRIX}),
    "sigmoid mixture": Call(SIGMOID, SOFT, MIXTURE),
    "softmax": Call(SOFTMAX, IDS, {"axis": -1, "reduction": "mean"}),
    "softmax all": Call(SOFTMAX, IDS, {**CLASS, **ALL, "ignore_index": 1, "reduction": "sum"}),
    "softmax smooth": Call(SOFTMAX, IDS, {"axis": -1, "label_smoothing": 0.1}),
    "softmax soft": Call(SOFTMAX, PROBABILITIES, {**CLASS, **ALL, "reduction": "mean"}),
    "linear": Call(LINEAR_SOFTMAX, IDS, {"chunk_size": 3}),
    "linear all": Call(LINEAR_SOFTMAX, IDS, {**LINEAR, **ALL, "z_loss": 0.01, "reduction": "sum"}),
    "linear rows": Call(LINEAR_SOFTMAX, IDS, {**LINEAR, "gamma": 1.5, "reduction": "none"}),
}
