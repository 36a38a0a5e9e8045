"""Words of the text that comes with Python: its standard library, then the packages that are
installed beside it.

Source, documentation and licences, in an order that is the same in every run on one machine.
"""

import re
import sysconfig
from array import array
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from parity_tests.contract.exact import Draws

KINDS = {".py", ".txt", ".rst", ".md"}
# A sign that is not part of a word is one by itself.
WORD = re.compile(r"\w+|[^\w\s]")
# Every so many texts one is held out.
HELD_OUT = 20


class Words(NamedTuple):
    """Class ids from the most frequent word on. All words that have no class have the id
    `classes`."""

    classes: int
    train: np.ndarray
    held_out: np.ndarray


def paths() -> Iterator[Path]:
    """Without an environment of its own Python keeps packages inside of the library, where they are
    met twice."""
    seen: set[Path] = set()
    for name in ("stdlib", "purelib"):
        folder = Path(sysconfig.get_path(name))
        for path in sorted(folder.rglob("*")):
            is_text = path.suffix in KINDS or path.name.startswith("LICENSE")
            if is_text and path not in seen and path.is_file():
                seen.add(path)
                yield path


def dataset(words: int, most: int) -> Words:
    """The first so many words, of which the most frequent ones are classes. Bytes that are no UTF-8
    are left out."""
    # A word that is new has the next number.
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    train, held_out = array("i"), array("i")
    for i, path in enumerate(paths()):
        part = train if i % HELD_OUT else held_out
        text = path.read_text("utf-8", errors="ignore")
        part.extend(numbers[word] for word in WORD.findall(text))
        if len(train) + len(held_out) >= words:
            break
    return ranked(np.array(train), np.array(held_out), len(numbers), most)


def ranked(train: np.ndarray, held_out: np.ndarray, different: int, most: int) -> Words:
    """A class is a word of the texts that are not held out."""
    counts = np.bincount(train, minlength=different)
    classes = min(most, int(np.count_nonzero(counts)))
    by_frequency = np.argsort(-counts, kind="stable")
    ranks = np.empty(different, np.int32)
    ranks[by_frequency] = np.minimum(np.arange(different), classes)
    return Words(classes, ranks[train], ranks[held_out])


def sample(
    words: np.ndarray, context: int, shape: tuple[int, ...], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Words in a new last axis, and the word that follows them, at random places."""
    places = Draws(seed).integers(context, len(words), shape)
    before = np.arange(-context, 0)
    return words[places[..., None] + before], words[places]
