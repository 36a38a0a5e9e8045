"""Bad calls of both losses: logits, targets, settings, the class of the error, and its text."""

# The messages stand here as they are printed, one a line.
# ruff: noqa: E501

from typing import Any

import numpy as np

Z, Y, T = np.zeros((8, 4)), np.zeros((8, 4)), np.zeros(8, np.int64)
NAN = float("nan")


def bad(at: tuple[int, ...], value: float, like: np.ndarray = Y) -> np.ndarray:
    array = like.copy()
    array[at] = value
    return array


SIGMOID: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
    (
        [1.0],
        Y,
        {},
        TypeError,
        "logits=...): expected an array, got list. Make it an array (in PyTorch a tensor) first.",
    ),
    (
        T,
        T,
        {},
        TypeError,
        "logits=...): expected floating-point numbers, got int64. Convert it, e.g. to float32.",
    ),
    (
        Z + 0j,
        Y,
        {},
        TypeError,
        "logits=...): expected real numbers, got complex128. Convert it, e.g. to float32.",
    ),
    (
        Z,
        1.0,
        {},
        TypeError,
        "targets=...): expected an array, got float. Make it an array (in PyTorch a tensor) first.",
    ),
    (
        Z,
        T,
        {},
        ValueError,
        "targets=...): expected shape (8, 4) like logits, got (8,). Reshape it, e.g. targets[:, None].",
    ),
    (
        Z[:, 0],
        Z[:, :1],
        {},
        ValueError,
        "targets=...): expected shape (8,) like logits, got (8, 1). Reshape it, e.g. targets[:, None].",
    ),
    (
        Z,
        bad((2, 3), 1.5),
        {},
        ValueError,
        "targets=...): expected values in [0, 1], got 1.5 at (2, 3). Leave others out with where.",
    ),
    (
        Z,
        bad((2, 3), NAN),
        {},
        ValueError,
        "targets=...): expected values in [0, 1], got nan at (2, 3). Leave others out with where.",
    ),
    (
        Z,
        bad((0, 1), -1).astype(int),
        {},
        ValueError,
        "targets=...): expected values in [0, 1], got -1 at (0, 1). Leave others out with where.",
    ),
    (
        Z,
        Y,
        {"alpha": -1},
        ValueError,
        "alpha=...): expected a number in [0, 1], got -1. For several, give an array (in PyTorch a tensor).",
    ),
    (
        Z,
        Y,
        {"alpha": "a"},
        TypeError,
        "alpha=...): expected a number in [0, 1], got str. For several, give an array (in PyTorch a tensor).",
    ),
    (
        Z,
        Y,
        {"alpha": np.array([0.0, 0.5, 2.0, 1.0])},
        ValueError,
        "alpha=...): expected values in [0, 1], got 2.0 at (2,). Correct it before the call.",
    ),
    (
        Z,
        Y,
        {"alpha": np.zeros(3)},
        ValueError,
        "alpha=...): expected a shape that broadcasts to (8, 4), got (3,). Write a dimension that repeats as 1.",
    ),
    (
        Z,
        Y,
        {"gamma": -0.5},
        ValueError,
        "gamma=...): expected a number finite and at least 0, got -0.5. For several, give an array (in PyTorch a tensor).",
    ),
    (
        Z,
        Y,
        {"gamma": float("inf")},
        ValueError,
        "gamma=...): expected a number finite and at least 0, got inf. For several, give an array (in PyTorch a tensor).",
    ),
    (
        Z,
        Y,
        {"gamma": NAN},
        ValueError,
        "gamma=...): expected a number finite and at least 0, got nan. For several, give an array (in PyTorch a tensor).",
    ),
    (
        Z,
        Y,
        {"gamma": np.array([1.0, -1.0, 0.0, 0.0])},
        ValueError,
        "gamma=...): expected values finite and at least 0, got -1.0 at (1,). Correct it before the call.",
    ),
    (
        Z,
        Y,
        {"gamma": np.zeros((2, 8, 4))},
        ValueError,
        "gamma=...): expected a shape that broadcasts to (8, 4), got (2, 8, 4). Write a dimension that repeats as 1.",
    ),
    (
        Z,
        Y,
        {"gamma": None},
        TypeError,
        "gamma=...): expected a number finite and at least 0, got NoneType. For several, give an array (in PyTorch a tensor).",
    ),
    (
        Z,
        Y,
        {"soft_targets": "kornia"},
        ValueError,
        "soft_targets=...): expected one of 'interpolate', 'mixture', got 'kornia'. No other is defined.",
    ),
    (
        Z,
        Y,
        {"reduction": "avg"},
        ValueError,
        "reduction=...): expected one of 'none', 'sum', 'mean', 'mean_positive', got 'avg'. No other is defined.",
    ),
    (
        Z,
        Y,
        {"where": Y},
        TypeError,
        "where=...): expected bool values, got float64. Compare first, e.g. mask > 0.",
    ),
    (
        Z,
        Y,
        {"where": T == 0},
        ValueError,
        "where=...): expected shape (8, 4) like the unreduced loss, got (8,). Give it every dimension; one that repeats may be 1.",
    ),
    (
        Z,
        Y,
        {"weight": np.zeros(4)},
        ValueError,
        "weight=...): expected shape (8, 4) like the unreduced loss, got (4,). Give it every dimension; one that repeats may be 1.",
    ),
    (
        Z,
        Y,
        {"weight": 2.0},
        TypeError,
        "weight=...): expected an array, got float. Make it an array (in PyTorch a tensor) first.",
    ),
]
SOFTMAX: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
    (
        Z,
        T + 4,
        {},
        ValueError,
        "targets=...): expected values in [0, 4), got 4 at (0,). Leave others out with where or ignore_index.",
    ),
    (
        Z,
        bad((5,), -100, T),
        {},
        ValueError,
        "targets=...): expected values in [0, 4), got -100 at (5,). Leave others out with where or ignore_index.",
    ),
    (
        Z,
        T[:, None],
        {},
        ValueError,
        "targets=...): expected shape (8,) like logits without its class axis, got (8, 1). Class probabilities are floats.",
    ),
    (
        Z,
        Y[:, :3],
        {},
        ValueError,
        "targets=...): expected shape (8, 4) like logits, got (8, 3). Class ids are integers.",
    ),
    (
        Z,
        bad((2, 3), 1.5),
        {},
        ValueError,
        "targets=...): expected values in [0, 1], got 1.5 at (2, 3). Leave others out with where.",
    ),
    (
        Z,
        T,
        {"alpha": 0.25},
        TypeError,
        "alpha=...): expected an array (in PyTorch a tensor) of shape (4,), got float. A common factor belongs outside the loss.",
    ),
    (
        Z,
        T,
        {"alpha": np.ones(3)},
        ValueError,
        "alpha=...): expected shape (4,) with one weight per class, got (3,). A common factor belongs outside the loss.",
    ),
    (
        Z,
        T,
        {"alpha": np.array([1.0, -1.0, 1.0, 1.0])},
        ValueError,
        "alpha=...): expected values finite and at least 0, got -1.0 at (1,). Correct it before the call.",
    ),
    (
        Z,
        T,
        {"gamma": np.ones(8)},
        ValueError,
        "gamma=...): expected shape () or (4,), or 2 dimensions that broadcast to (8, 4), got (8,). Per sample, keep the class axis with length 1.",
    ),
    (
        Z,
        T,
        {"gamma": np.array([1.0, 1.0, 1.0, NAN])},
        ValueError,
        "gamma=...): expected values finite and at least 0, got nan at (3,). Correct it before the call.",
    ),
    (
        Z,
        T,
        {"axis": 2},
        ValueError,
        "axis=...): expected an axis of logits of shape (8, 4), got 2. It is the axis of the classes: by default -1 in JAX, 1 in PyTorch.",
    ),
    (
        Z,
        T,
        {"axis": 1.0},
        TypeError,
        "axis=...): expected an integer, got float. Name the class axis by its number.",
    ),
    (
        Z[:, :0],
        T,
        {},
        ValueError,
        "logits=...): expected at least one class, got shape (8, 0). The classes are on axis 1.",
    ),
    (
        Z,
        T,
        {"label_smoothing": 1.5},
        ValueError,
        "label_smoothing=...): expected a number in [0, 1], got 1.5. 0 smooths nothing.",
    ),
    (
        Z,
        T,
        {"ignore_index": 0.5},
        TypeError,
        "ignore_index=...): expected an integer, got float. It is a class id.",
    ),
    (
        Z,
        Y,
        {"ignore_index": 0},
        ValueError,
        "ignore_index=...): expected None for class probabilities, got 0. Use where.",
    ),
    (
        Z,
        T,
        {"reduction": None},
        ValueError,
        "reduction=...): expected one of 'none', 'sum', 'mean', 'mean_positive', got None. No other is defined.",
    ),
    (
        Z,
        T,
        {"where": np.ones((8, 4), bool)},
        ValueError,
        "where=...): expected shape (8,) like the unreduced loss, got (8, 4). Give it every dimension; one that repeats may be 1.",
    ),
]
CASES = [("sigmoid_focal_loss", *case) for case in SIGMOID] + [
    ("softmax_focal_loss", *case) for case in SOFTMAX
]
