"""Published mistakes. Each is right where its `control` looks, and is caught by its `probe`.

`sigmoid`, `softmax` and `reductions` have a function for each: what somebody's code does, as far as
the mistake goes, in JAX. `MISTAKES` has all of them by name.
"""

from . import reductions, sigmoid, softmax
from .mistake import Mistake

MISTAKES: dict[str, Mistake] = {
    mistake.name: mistake
    for module in (sigmoid, softmax, reductions)
    for mistake in module.MISTAKES
}
