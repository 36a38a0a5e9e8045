"""The arguments that the losses are called with: numbers of NumPy, for both frameworks."""

from typing import Any

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
CALLS: dict[str, tuple[str, np.ndarray, dict[str, Any]]] = {
    "sigmoid": ("sigmoid_focal_loss", BITS, {"gamma": 1.5, "reduction": "mean"}),
    "sigmoid interpolate": ("sigmoid_focal_loss", SOFT, {"gamma": PER_CLASS, **MATRIX}),
    "sigmoid mixture": (
        "sigmoid_focal_loss",
        SOFT,
        {"soft_targets": "mixture", "alpha": PER_CLASS / 2, "reduction": "mean_positive"},
    ),
    "softmax": ("softmax_focal_loss", IDS, {"axis": -1, "reduction": "mean"}),
    "softmax all": (
        "softmax_focal_loss",
        IDS,
        {**CLASS, **ALL, "ignore_index": 1, "reduction": "sum"},
    ),
    "softmax smooth": ("softmax_focal_loss", IDS, {"axis": -1, "label_smoothing": 0.1}),
    "softmax soft": ("softmax_focal_loss", PROBABILITIES, {**CLASS, **ALL, "reduction": "mean"}),
    "linear": ("linear_softmax_focal_loss", IDS, {"chunk_size": 3}),
    "linear all": ("linear_softmax_focal_loss", IDS, {**LINEAR, **ALL, "reduction": "sum"}),
    "linear rows": (
        "linear_softmax_focal_loss",
        IDS,
        {**LINEAR, "gamma": 1.5, "reduction": "none"},
    ),
}
