"""The facts about a varifocal, heatmap or asymmetric loss: where it is lost, with the usual
settings."""

from typing import Any

import numpy as np

from parity_tests.checker.diagnosis.evidence import Evidence
from parity_tests.checker.diagnosis.family.climbs import Climb, climbs
from parity_tests.checker.diagnosis.family.formulas import LOSSES
from parity_tests.checker.diagnosis.family.ordinary import Answers, reading_of
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports import family_questions
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT, VALUE, PortError

# One of them has γ = 0.5 where it is free.
TURNS = (0, 1, 2)
AS_HERE, OTHER, NONE = "as here", "other", "–"


def facts(evidence: Evidence) -> dict[str, Any]:
    formula = LOSSES[evidence.plan.record.name]
    reading = reading_of(Answers.of(evidence))
    found: dict[tuple[int, bool], Climb] = {}
    for climb in climbs(evidence, formula, TURNS[0]):
        found[climb.target, climb.is_missed] = climb
    easy = [found.get((target, False)) for target in (1, 0)]
    return {
        "focal": reading is not None,
        "easy_zero": [_first(climb, _zero(climb)) for climb in easy],
        "easy_off": [_first(climb, climb and climb.off) for climb in easy],
        "hard_off": _hard(found.get((1, True))),
        "nan_easy": _nan(evidence, False),
        "nan_hard": _nan(evidence, True),
        "infinite": [_infinite(evidence, 1), _infinite(evidence, -1)],
        "dtypes": {dtype: _dtype(evidence, dtype) for dtype in ("float64", "bfloat16")},
        "alpha": NONE,
        "soft": OTHER if reading is None else (reading.name or AS_HERE).replace("_", " "),
    }


def _first(climb: Climb | None, wrong: np.ndarray | None) -> float | None:
    """The smallest distance at which something is wrong; None also if nothing is known."""
    if climb is None or wrong is None or not wrong.any():
        return None
    return abs(float(climb.logits[np.argmax(wrong)]))


def _zero(climb: Climb | None) -> np.ndarray | None:
    return None if climb is None else climb.known & (climb.losses == 0)


def _hard(climb: Climb | None) -> float | None:
    return _first(climb, climb and climb.off)


def _nan(evidence: Evidence, is_missed: bool) -> float | None:
    """The smallest distance of all classes and turns."""
    distances: list[float] = []
    for turn in TURNS:
        for climb in climbs(evidence, LOSSES[evidence.plan.record.name], turn):
            if climb.grads is None or climb.is_missed != is_missed:
                continue
            distance = _first(climb, ~np.isfinite(climb.grads))
            if distance is not None:
                distances.append(distance)
    return min(distances, default=None)


def _infinite(evidence: Evidence, side: int) -> list[str]:
    """Loss and gradient of target 1 at an infinite logit."""
    settings = family_questions.settings(evidence.plan)
    logits, targets = np.array([side * np.inf]), np.array([1.0])
    question = family_questions.problem(evidence.plan, logits, targets, settings)
    texts: list[str] = []
    for order in (VALUE, GRADIENT):
        try:
            # −0.0 is shown as 0.
            number = float(evidence.subject.answer(question, order)[0]) + 0.0
        except PortError:
            texts.append("error")
        else:
            texts.append(f"{number:.4g}")
    return texts


def _dtype(evidence: Evidence, dtype: str) -> str:
    """The dtype of the loss of logits of this one."""
    port = evidence.subject
    assert isinstance(port, PythonPort)
    logits = np.zeros(4, DTYPES[dtype])
    settings = family_questions.settings(evidence.plan)
    try:
        return str(port.call(logits, {**settings, "targets": logits, "reduction": "none"}).dtype)
    except PortError:
        return "error"
