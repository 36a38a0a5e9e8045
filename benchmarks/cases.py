"""What is timed: shapes from a thousand logits to a hundred million, and two that models have, in
three modes."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

SIGMOID, SOFTMAX = "sigmoid", "softmax"
# The loss alone for logits that need no gradient, the loss with its gradient in the logits, and
# making the latter.
FORWARD, BACKWARD, FIRST_CALL = "forward", "forward + backward", "first call"
FLOAT32, BFLOAT16 = "float32", "bfloat16"


@dataclass(frozen=True)
class Case:
    name: str
    loss: str
    shape: tuple[int, int]

    @property
    def elements(self) -> int:
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True)
class Group:
    """Contenders that take turns: their times are compared with each other."""

    case: Case
    mode: str
    dtype: str

    @property
    def name(self) -> str:
        return f"{self.case.name}, {self.mode}, {self.dtype}"


# The anchors and classes of RetinaNet, with the number of its anchors rounded; tokens and
# vocabulary of a small Llama.
DETECTOR = Case("RetinaNet", SIGMOID, (100_000, 80))
LANGUAGE_MODEL = Case("LLM", SOFTMAX, (2048, 32_000))
SIZES = tuple(Case(f"10^{k}", SIGMOID, (10 ** (k - 1), 10)) for k in range(3, 9))
SMALLEST, LARGEST = SIZES[0], SIZES[-1]
CASES = (*SIZES, DETECTOR, LANGUAGE_MODEL)
# The same names, so that every table, picture and requirement has what it looks for.
QUICK = (SMALLEST, replace(DETECTOR, shape=(100, 80)), replace(LANGUAGE_MODEL, shape=(16, 320)))


def groups(quick: bool = False) -> list[Group]:
    """Every case in every mode and dtype; the largest only where it counts, in float32 with its
    gradient."""
    cases = QUICK if quick else CASES
    dtypes = (FLOAT32,) if quick else (FLOAT32, BFLOAT16)
    models = [case for case in cases if case.name in (DETECTOR.name, LANGUAGE_MODEL.name)]
    chosen = [Group(case, FIRST_CALL, FLOAT32) for case in models]
    for case, mode, dtype in product(cases, (FORWARD, BACKWARD), dtypes):
        if case is not LARGEST or (mode, dtype) == (BACKWARD, FLOAT32):
            chosen.append(Group(case, mode, dtype))
    return chosen


@lru_cache(maxsize=1)
def data(case: Case) -> dict[str, np.ndarray]:
    """Logits of both signs with one positive in ten, or with class ids, and nothing that
    underflows."""
    rows, columns = case.shape
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal(case.shape, np.float32)
    if case.loss == SOFTMAX:
        return {"logits": logits, "ids": rng.integers(0, columns, rows)}
    positive = rng.random(case.shape, np.float32) < 0.1
    integers, floats = positive.astype(np.int32), positive.astype(np.float32)
    return {"logits": logits, "bool": positive, "int": integers, "float": floats}
