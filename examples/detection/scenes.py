"""Digits that people wrote on photographs that people took: both come with packages, nothing is downloaded.

The digits are the 8 × 8 ones of scikit-learn, the photographs those of scikit-image. Neither a digit nor a photograph
of the test scenes is in a training scene.
"""

from typing import NamedTuple

import numpy as np
from skimage import data
from skimage.color import rgb2gray
from skimage.transform import resize
from skimage.util import img_as_float
from sklearn.datasets import load_digits

SIDE = 96
CLASSES = 10
SMALLEST, LARGEST = 10, 56
MOST = 4
BACKGROUNDS = {
    "train": ("astronaut", "brick", "camera", "coffee", "coins", "grass", "moon", "rocket"),
    "test": ("cat", "gravel", "hubble_deep_field", "immunohistochemistry"),
}
# Every third digit of scikit-learn is for the test scenes.
DIGITS = {"train": (0, 1), "test": (2,)}


class Scenes(NamedTuple):
    """Images (scenes, SIDE, SIDE) from 0 to 1; for each the boxes (x0, y0, x1, y1) and the classes of its digits."""

    images: np.ndarray
    boxes: list[np.ndarray]
    labels: list[np.ndarray]


def scenes(part: str, count: int, seed: int) -> Scenes:
    rng = np.random.default_rng([seed, part == "test"])
    photographs, (digits, classes) = [_photograph(name) for name in BACKGROUNDS[part]], _digits(part)
    made = [_scene(rng, photographs, digits, classes) for _ in range(count)]
    images, boxes, labels = (list(column) for column in zip(*made, strict=True))
    return Scenes(np.stack(images), boxes, labels)


def _photograph(name: str) -> np.ndarray:
    photograph = img_as_float(getattr(data, name)())
    return np.asarray(rgb2gray(photograph) if photograph.ndim == 3 else photograph)


def _digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    pictures, classes = map(np.asarray, load_digits(return_X_y=True))
    chosen = np.isin(np.arange(len(classes)) % 3, DIGITS[part])
    return pictures[chosen].reshape(-1, 8, 8) / 16, classes[chosen]


def _scene(rng: np.random.Generator, photographs: list[np.ndarray], digits: np.ndarray, classes: np.ndarray) -> tuple:
    image = _crop(rng, photographs[rng.integers(len(photographs))])
    boxes, labels = np.zeros((0, 4)), []
    for _ in range(rng.integers(1, MOST + 1)):
        which = rng.integers(len(digits))
        ink = _ink(rng, digits[which])
        place = _place(rng, ink.shape, boxes)
        if place is None:
            continue
        x, y = place
        _write(rng, image[y : y + ink.shape[0], x : x + ink.shape[1]], ink)
        box = np.array([[x, y, x + ink.shape[1], y + ink.shape[0]]])
        boxes = np.concatenate([boxes, box])
        labels.append(classes[which])
    return image.astype(np.float32), boxes, np.array(labels)


def _crop(rng: np.random.Generator, photograph: np.ndarray) -> np.ndarray:
    """A square part of the photograph, one to three times as wide as the scene, reduced to the scene."""
    side = int(min(rng.uniform(1, 3) * SIDE, *photograph.shape))
    y, x = (rng.integers(0, length - side + 1) for length in photograph.shape)
    part = photograph[y : y + side, x : x + side]
    return np.asarray(resize(part[:, :: rng.choice((-1, 1))], (SIDE, SIDE), anti_aliasing=True))


def _ink(rng: np.random.Generator, digit: np.ndarray) -> np.ndarray:
    """The digit without its margins, of a height that is log-uniform: most are small."""
    height = int(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))))
    rows, columns = (np.flatnonzero(digit.max(axis) > 0.1) for axis in (1, 0))
    part = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    width = max(SMALLEST // 2, round(height * part.shape[1] / part.shape[0]))
    return np.clip(np.asarray(resize(part, (height, min(width, SIDE)), order=1, anti_aliasing=False)), 0, 1)


def _place(rng: np.random.Generator, shape: tuple[int, ...], boxes: np.ndarray) -> tuple[int, int] | None:
    """A corner where no other digit is, or None where ten tries found none."""
    height, width = shape
    for _ in range(10):
        x, y = int(rng.integers(0, SIDE - width + 1)), int(rng.integers(0, SIDE - height + 1))
        apart = (boxes[:, 0] >= x + width) | (boxes[:, 2] <= x) | (boxes[:, 1] >= y + height) | (boxes[:, 3] <= y)
        if apart.all():
            return x, y
    return None


def _write(rng: np.random.Generator, under: np.ndarray, ink: np.ndarray) -> None:
    """In black or white, whichever is farther from what is under it, and not always strongly."""
    colour = 0.0 if under.mean() > 0.5 else 1.0
    opacity = rng.uniform(0.6, 1.0) * ink
    under += opacity * (colour - under)
