"""Published mistakes. Each is right where its `control` looks, and is caught by its `probe`.

`sigmoid`, `softmax`, `reductions`, `detection` and `labels` have a function for each: what
somebody's code does, as far as the mistake goes, in JAX. `paper` has the loss that they differ
from. `MISTAKES` has all by name.
"""

from . import detection, labels, reductions, sigmoid, softmax
from .mistake import MISTAKES

# The five modules add their mistakes to the table.
__all__ = ["MISTAKES", "detection", "labels", "reductions", "sigmoid", "softmax"]
