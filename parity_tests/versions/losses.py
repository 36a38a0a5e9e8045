"""The arguments that the losses are called with: numbers of NumPy, for both frameworks."""

from typing import Any

import numpy as np

RNG = np.random.default_rng(0)
ROWS, CLASSES, SIZE = 8, 4, 3
LOGITS = RNG.normal(size=(ROWS, CLASSES)) * 3
FEATURES = RNG.normal(size=(ROWS, SIZE))
KERNEL = RNG.normal(size=(CLASSES, SIZE))
IDS = RNG.integers(0, CLASSES, ROWS)
BITS = RNG.random((ROWS, CLASSES)) < 0.4
SOFT = RNG.random((ROWS, CLASSES)) * 0.8 + 0.1
PROBABILITIES = RNG.dirichlet(np.ones(CLASSES), ROWS)
PER_CLASS, PER_ROW = RNG.random(CLASSES) + 0.5, RNG.random(ROWS) + 0.5
KEPT = np.arange(ROWS) != 2

# What each loss is called with beside logits, or features and kernel. Arrays become those of the framework.
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
    "softmax all": ("softmax_focal_loss", IDS, {**CLASS, **ALL, "ignore_index": 1, "reduction": "sum"}),
    "softmax smooth": ("softmax_focal_loss", IDS, {"axis": -1, "label_smoothing": 0.1}),
    "softmax soft": ("softmax_focal_loss", PROBABILITIES, {**CLASS, **ALL, "reduction": "mean"}),
    "linear": ("linear_softmax_focal_loss", IDS, {"chunk_size": 3}),
    "linear all": ("linear_softmax_focal_loss", IDS, {**LINEAR, **ALL, "reduction": "sum"}),
    "linear rows": ("linear_softmax_focal_loss", IDS, {**LINEAR, "gamma": 1.5, "reduction": "none"}),
}
