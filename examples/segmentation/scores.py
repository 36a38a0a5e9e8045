"""How well strokes are found: the intersection over the union of pixels, at a threshold."""

from typing import NamedTuple

import numpy as np

from .recipe import Answers, Data, Run

# Logits that are tried as a threshold: scores from 0.002 to 0.998.
THRESHOLDS = np.arange(-60, 61) / 10


class Scores(NamedTuple):
    """The intersection over the union in the test scenes: at the threshold (a logit) that is best
    in other scenes, and at a score of 0.5."""

    at_best: float
    at_half: float
    threshold: float


def intersection_over_union(logits: np.ndarray, strokes: np.ndarray, threshold: float) -> float:
    found = logits > threshold
    return float((found & strokes).sum() / (found | strokes).sum())


def scores(answers: Answers, parts: dict[str, Data]) -> Scores:
    chosen, judged = (parts[part].scenes.strokes for part in Answers._fields)
    of_thresholds = [intersection_over_union(answers.validation, chosen, x) for x in THRESHOLDS]
    best = float(THRESHOLDS[np.argmax(of_thresholds)])
    at_best = intersection_over_union(answers.test, judged, best)
    at_half = intersection_over_union(answers.test, judged, 0.0)
    return Scores(at_best, at_half, best)


def by_step(run: Run, parts: dict[str, Data]) -> dict[int, Scores]:
    return {step: scores(answers, parts) for step, answers in run.answers.items()}
