"""Anchors: the boxes that each place of each feature map answers for (RetinaNet, Lin et al. 2017,
section 4)."""

from typing import NamedTuple

import numpy as np

from parity_tests.contract.exact import each, log

from .scenes import SIDE, Scenes

# Levels of the feature pyramid, by the pixels between two places, and the anchors of a place, in
# units of them.
STRIDES = (4, 8, 16)
# They grow by 2^(1/3), rounded.
SCALES = (3.0, 3.78, 4.76)
# Digits are narrower than they are high.
WIDTH = 0.75
# By its overlap with the nearest digit an anchor is background, or not judged, or that digit.
BACKGROUND_BELOW, OBJECT_FROM = 0.4, 0.5
# The deviations of offsets and logarithms of sizes, by which they are divided: all targets are
# about as large.
SPREAD = np.array([0.1, 0.1, 0.2, 0.2])


def _anchors() -> np.ndarray:
    """(x0, y0, x1, y1) of all, by level, row, column and scale."""
    levels = []
    for stride in STRIDES:
        centre = (np.arange(SIDE // stride) + 0.5) * stride
        y, x, scale = np.meshgrid(centre, centre, SCALES, indexing="ij")
        middle = np.stack([x, y], -1)
        height = scale * stride
        half = np.stack([height * WIDTH, height], -1) / 2
        corners = np.concatenate([middle - half, middle + half], -1)
        levels.append(corners.reshape(-1, 4))
    return np.concatenate(levels)


ANCHORS = _anchors()


class Targets(NamedTuple):
    """For every anchor of every scene: its class or −1 for background, whether it is judged, and
    its box."""

    labels: np.ndarray
    judged: np.ndarray
    boxes: np.ndarray


def targets(scenes: Scenes) -> Targets:
    columns = zip(*map(_assign, scenes.boxes, scenes.labels), strict=True)
    return Targets(*(np.stack(column) for column in columns))


def _assign(boxes: np.ndarray, labels: np.ndarray) -> Targets:
    overlap = overlaps(ANCHORS, boxes)
    nearest, most = overlap.argmax(1), overlap.max(1)
    # The best anchor of a digit is its own, however small the overlap: every digit has one.
    best = overlap.argmax(0)
    nearest[best] = np.arange(len(boxes))
    most[best] = 1
    is_object = most >= OBJECT_FROM
    classes = np.where(is_object, labels[nearest], -1)
    judged = is_object | (most < BACKGROUND_BELOW)
    answers = encode(boxes[nearest])
    return Targets(classes.astype(np.int8), judged, answers.astype(np.float32))


def overlaps(these: np.ndarray, those: np.ndarray) -> np.ndarray:
    """The intersection over the union of every two boxes."""
    low = np.maximum(these[:, None, :2], those[None, :, :2])
    high = np.minimum(these[:, None, 2:], those[None, :, 2:])
    common = _product(np.maximum(high - low, 0))
    both = _area(these)[:, None] + _area(those)[None]
    return common / (both - common)


def _area(boxes: np.ndarray) -> np.ndarray:
    return _product(boxes[:, 2:] - boxes[:, :2])


def _product(sides: np.ndarray) -> np.ndarray:
    return sides[..., 0] * sides[..., 1]


def encode(boxes: np.ndarray) -> np.ndarray:
    """What a box head is to answer for the anchors: offsets of the middle, and logarithms of the
    sizes."""
    middle, size = _middle_and_size(boxes)
    own_middle, own_size = _middle_and_size(ANCHORS)
    offset = (middle - own_middle) / own_size
    log_size = each(log, size / own_size)
    return np.concatenate([offset, log_size], -1) / SPREAD


def decode(answers: np.ndarray) -> np.ndarray:
    """The boxes of such answers, of shape (..., anchors, 4), within the scene."""
    own_middle, own_size = _middle_and_size(ANCHORS)
    offset, log_size = np.split(answers * SPREAD, 2, axis=-1)
    middle = own_middle + offset * own_size
    growth = np.exp(np.minimum(log_size, np.log(SIDE)))
    half = own_size * growth / 2
    corners = np.concatenate([middle - half, middle + half], -1)
    return np.clip(corners, 0, SIDE)


def _middle_and_size(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.split(boxes, 2, axis=-1)
    return (low + high) / 2, high - low


def suppress(boxes: np.ndarray, scores: np.ndarray, limit: float = 0.5) -> np.ndarray:
    """Non-maximum suppression: the indices of the boxes that no better box overlaps by more than
    the limit."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, rest = order[:1], order[1:]
        kept.append(best[0])
        overlap = overlaps(boxes[best], boxes[rest])[0]
        order = rest[overlap <= limit]
    return np.array(kept, int)
