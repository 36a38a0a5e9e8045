"""What a run hands over to the tables and the picture."""

from typing import NamedTuple

import numpy as np

RECOVERED, DIVIDED = "recovered", "divided by T"


class Row(NamedTuple):
    """Probabilities of shape (seeds, samples, classes): what a loss made, and what was done with it
    then."""

    loss: str
    then: str
    probabilities: np.ndarray
    temperatures: np.ndarray | None = None


class Results(NamedTuple):
    """All rows of a problem, and the labels of shape (seeds, samples) that they are judged by."""

    problem: str
    labels: np.ndarray
    rows: list[Row]
