"""Thin strokes that people wrote, on photographs that people took.

The strokes are the middle lines of the digits of scikit-learn, one pixel wide, enlarged and thinned
by scikit-image. They are drawn into parts of its photographs, brighter or darker than what is under
them. Neither a digit nor a photograph of the test scenes is in a training scene, and a scene has
the same bits on every processor.
"""

from typing import NamedTuple

import numpy as np
from skimage.morphology import skeletonize

from parity_tests.contract.exact import Draws, product, total

from ..detection.scenes import BACKGROUNDS, INK, SIDE, between, crop, photograph, written_digits

# Sides of the enlarged pictures in pixels, and how many a scene has.
SIDES = (20, 45)
FEWEST, MOST = 1, 3
# How far a pixel of a stroke goes towards black or white.
STRENGTHS = (0.25, 0.6)
# Beside the seed, so that scenes have other bits than batches and weights.
STREAMS = {"train": 4, "validation": 5, "test": 6}
SOURCES = {"train": "train", "validation": "train", "test": "test"}


class Scenes(NamedTuple):
    """Images (scenes, SIDE, SIDE) from 0 to 1, and which of their pixels are strokes."""

    images: np.ndarray
    strokes: np.ndarray


def scenes(part: str, count: int, seed: int) -> Scenes:
    draws, source = Draws((seed, STREAMS[part])), SOURCES[part]
    photographs = [photograph(name) for name in BACKGROUNDS[source]]
    pictures, _ = written_digits(source)
    made = [_scene(draws, photographs, pictures) for _ in range(count)]
    images, strokes = (np.stack(column) for column in zip(*made, strict=True))
    return Scenes(images, strokes)


def _scene(
    draws: Draws, photographs: list[np.ndarray], pictures: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    ground, brightest = crop(draws, photographs[draws.integers(0, len(photographs))])
    image = ground / brightest
    strokes = np.zeros((SIDE, SIDE), bool)
    for _ in range(draws.integers(FEWEST, MOST + 1)):
        stroke = _stroke(draws, pictures[draws.integers(0, len(pictures))])
        height, width = stroke.shape
        y = int(draws.integers(0, SIDE - height + 1))
        x = int(draws.integers(0, SIDE - width + 1))
        under = slice(y, y + height), slice(x, x + width)
        is_dark = 2 * total(ground[under]) <= brightest * stroke.size
        strength = draws.uniform(*STRENGTHS)
        image[under] += strength * stroke * (float(is_dark) - image[under])
        strokes[under] |= stroke
    return image.astype(np.float32), strokes


def _stroke(draws: Draws, picture: np.ndarray) -> np.ndarray:
    """The middle line of a digit: True on its pixels."""
    side = int(draws.integers(*SIDES))
    enlarge = between(len(picture), side)
    # A row of `enlarge` has the sum 2·side.
    ink = product(enlarge, picture, enlarge.T)
    return skeletonize(2 * ink > 4 * side * side * INK)
