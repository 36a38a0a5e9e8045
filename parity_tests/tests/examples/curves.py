"""Loss curves of the examples, compared."""

import numpy as np


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of two curves at the same step, in units of the second one."""
    assert ours.shape == theirs.shape
    errors = np.abs(ours - theirs) / np.abs(theirs)
    return float(errors.max())
