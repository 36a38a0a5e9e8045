"""Which digits a detector finds, from which score on its boxes count, and in which scenes two
detectors differ most."""

from typing import NamedTuple

import numpy as np

from .anchors import OBJECT_FROM, overlaps
from .evaluate import Detections
from .recipe import Data


class Boxes(NamedTuple):
    """The boxes of one scene that count, whether each is right, and the digit that it is of, or
    −1."""

    boxes: np.ndarray
    labels: np.ndarray
    digits: np.ndarray


def counted(scene: Detections, data: Data, index: int, threshold: float) -> Boxes:
    counts = scene.scores >= threshold
    digits = digits_of(scene, data.scenes.boxes[index], data.scenes.labels[index])
    return Boxes(scene.boxes[counts], scene.labels[counts], digits[counts])


def digits_of(scene: Detections, truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each box the index of the digit that it finds, or −1: the box of the highest score that
    has the class of a digit and overlaps it by half finds it, others do not."""
    digits = np.full(len(scene.scores), -1)
    overlap = overlaps(scene.boxes, truth)
    fits = (overlap >= OBJECT_FROM) & (scene.labels[:, None] == labels)
    for box in range(len(digits)):
        taken = np.isin(np.arange(len(truth)), digits)
        free = fits[box] & ~taken
        if free.any():
            digits[box] = np.where(free, overlap[box], -1).argmax()
    return digits


def best_threshold(scenes: list[Detections], data: Data, indices: range) -> float:
    """The score from which on boxes have the largest F1 in these scenes."""
    scores, right, digits = [], [], 0
    for index in indices:
        truth, labels = data.scenes.boxes[index], data.scenes.labels[index]
        scores.append(scenes[index].scores)
        right.append(digits_of(scenes[index], truth, labels) >= 0)
        digits += len(truth)
    falling = np.concatenate(scores)
    order = np.argsort(-falling, kind="stable")
    found = np.concatenate(right)[order].cumsum()
    boxes = np.arange(1, len(order) + 1)
    f1 = 2 * found / (boxes + digits)
    return float(falling[order][f1.argmax()])


class Comparison(NamedTuple):
    """Two detectors, the score from which on the boxes of each count, and how many more digits of
    each scene the second finds."""

    found: list[list[Detections]]
    thresholds: list[float]
    more: np.ndarray


def compare(first: list[Detections], second: list[Detections], data: Data) -> Comparison:
    """The scores are chosen by the second half of the scenes, and the first half is compared."""
    half = len(first) // 2
    found = [first, second]
    thresholds = [best_threshold(scenes, data, range(half, len(first))) for scenes in found]
    counts = []
    for scenes, threshold in zip(found, thresholds, strict=True):
        boxes = [counted(scenes[i], data, i, threshold) for i in range(half)]
        counts.append([(one.digits >= 0).sum() for one in boxes])
    return Comparison(found, thresholds, np.subtract(counts[1], counts[0]))


def most_different(more: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The scenes with the largest and with the smallest of these numbers; of equal ones the
    first."""
    most = np.argsort(-more, kind="stable")
    fewest = np.argsort(more, kind="stable")
    return most[:count], fewest[:count]
