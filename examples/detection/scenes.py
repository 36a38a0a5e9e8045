"""Digits that people wrote on photographs that people took: both come with packages, nothing is
downloaded.

The digits are the 8 × 8 ones of scikit-learn, the photographs those of scikit-image. Neither a
digit nor a photograph of the test scenes is in a training scene. Pictures are whole numbers until
they are divided: a scene has the same bits on every processor.
"""

from typing import NamedTuple

import numpy as np
from skimage import data
from sklearn.datasets import load_digits

from parity_tests.contract.exact import Draws, product, total

SIDE = 96
CLASSES = 10
# From 10 to 55 pixels high, as powers of 10.
HEIGHTS = 1.0, 1.748
NARROWEST = 5
MOST = 4
BACKGROUNDS = {
    "train": ("astronaut", "brick", "camera", "coffee", "coins", "grass", "moon", "rocket"),
    "test": ("cat", "gravel", "hubble_deep_field", "immunohistochemistry"),
}
# The parts that red, green and blue have in brightness (ITU-R BT.709), of 10,000. Pixels go to 255.
WHOLE = 10_000
GREY = np.array([2125, 7154, 721])
BRIGHTEST = 255 * WHOLE
# Every third digit of scikit-learn is for the test scenes.
DIGITS = {"train": (0, 1), "test": (2,)}
# To which their pixels go.
INK = 16
# Beside the seed, so that scenes have other bits than batches and weights.
STREAMS = {"train": 2, "test": 3}


class Scenes(NamedTuple):
    """Images (scenes, SIDE, SIDE) from 0 to 1; for each the boxes (x0, y0, x1, y1) and the classes
    of its digits."""

    images: np.ndarray
    boxes: list[np.ndarray]
    labels: list[np.ndarray]


def scenes(part: str, count: int, seed: int) -> Scenes:
    draws = Draws((seed, STREAMS[part]))
    photographs = [photograph(name) for name in BACKGROUNDS[part]]
    digits, classes = written_digits(part)
    made = [_scene(draws, photographs, digits, classes) for _ in range(count)]
    images, boxes, labels = (list(column) for column in zip(*made, strict=True))
    return Scenes(np.stack(images), boxes, labels)


def photograph(name: str) -> np.ndarray:
    """Whole numbers from 0 to BRIGHTEST."""
    pixels = np.asarray(getattr(data, name)(), np.int64)
    if pixels.ndim == 2:
        return pixels * WHOLE
    return total(pixels * GREY, -1)


def written_digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers from 0 to INK."""
    pictures, classes = (np.asarray(array, np.int64) for array in load_digits(return_X_y=True))
    chosen = np.isin(np.arange(len(classes)) % 3, DIGITS[part])
    return pictures[chosen].reshape(-1, 8, 8), classes[chosen]


def _scene(
    draws: Draws, photographs: list[np.ndarray], digits: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chosen = photographs[draws.integers(0, len(photographs))]
    ground, brightest = crop(draws, chosen)
    image = ground / brightest
    boxes = np.zeros((0, 4))
    labels = []
    for _ in range(draws.integers(1, MOST + 1)):
        which = draws.integers(0, len(digits))
        ink = _ink(draws, digits[which])
        corner = _place(draws, ink.shape, boxes)
        if corner is None:
            continue
        x, y = corner
        height, width = ink.shape
        under = slice(y, y + height), slice(x, x + width)
        # In black or white, whichever is farther from what is under it, and not always strongly.
        is_dark = 2 * total(ground[under]) <= brightest * ink.size
        strength = draws.uniform(0.6, 1.0)
        image[under] += strength * ink * (float(is_dark) - image[under])
        box = np.array([[x, y, x + width, y + height]])
        boxes = np.concatenate([boxes, box])
        labels.append(classes[which])
    return image.astype(np.float32), boxes, np.array(labels)


def crop(draws: Draws, pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """A square part of the photograph, one to three times as wide as the scene, reduced to it.

    A pixel is the sum of what it covers, and the second result is that of the brightest one.
    """
    widest = draws.uniform(1, 3) * SIDE
    side = int(min(widest, *pixels.shape))
    y, x = (draws.integers(0, length - side + 1) for length in pixels.shape)
    part = pixels[y : y + side, x : x + side]
    # As it is, or as in a mirror.
    part = part[:, :: draws.choice((-1, 1))]
    cover = _covered(side, SIDE)
    return product(cover, part, cover.T), side * side * BRIGHTEST


def _covered(many: int, few: int) -> np.ndarray:
    """How much each of a few pixels covers of each of many on a line; a row has the sum `many`."""
    low = many * np.arange(few)[:, None]
    pixel = few * np.arange(many)
    begin = np.maximum(low, pixel)
    end = np.minimum(low + many, pixel + few)
    return np.maximum(0, end - begin)


def _ink(draws: Draws, digit: np.ndarray) -> np.ndarray:
    """The digit without its margins, from 0 to 1. Its height is log-uniform: most are small."""
    height = int(draws.decades(*HEIGHTS))
    rows, columns = (np.flatnonzero(digit.max(axis) > 1) for axis in (1, 0))
    part = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    own_height, own_width = part.shape
    width = round(height * own_width / own_height)
    width = min(SIDE, max(NARROWEST, width))
    down = between(own_height, height)
    across = between(own_width, width)
    return product(down, part, across.T) / (4 * height * width * INK)


def between(few: int, many: int) -> np.ndarray:
    """The weights that a few pixels have in each of many on a line; a row has the sum 2·many.

    Each is between the nearest two, or is the first or the last (linear interpolation).
    """
    place = (2 * np.arange(many)[:, None] + 1) * few - many
    last = 2 * many * (few - 1)
    place = np.minimum(np.maximum(place, 0), last)
    distance = abs(place - 2 * many * np.arange(few))
    return np.maximum(0, 2 * many - distance)


def _place(draws: Draws, shape: tuple[int, ...], boxes: np.ndarray) -> tuple[int, int] | None:
    """A corner where no other digit is, or None where ten tries found none."""
    height, width = shape
    left, top, right, bottom = boxes.T
    for _ in range(10):
        x = int(draws.integers(0, SIDE - width + 1))
        y = int(draws.integers(0, SIDE - height + 1))
        beside = (left >= x + width) | (right <= x)
        above_or_below = (top >= y + height) | (bottom <= y)
        if (beside | above_or_below).all():
            return x, y
    return None
