"""Write the golden vectors, or check that the written ones are what the oracle says today.

    python -m parity_tests.contract.make_vectors           write vectors/*.jsonl and the manifest
    python -m parity_tests.contract.make_vectors --check   generate them again and compare all bytes

Each line is one sample: the arguments of the loss, and every derivative up to second order that has
a term which is not 0. Of what surrounds the loss it is the arguments, and the results by their
names. Arguments are hex floats, which every language reads exactly; results are decimals with 32
digits. Where a result is a sum that cancels, or moves with the rounding of the logits, `scales` has
the magnitude that its error is measured by, also where it cancels to 0: an FMA leaves a rounding
there.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from tqdm import tqdm

from parity_tests.contract.recipe_samples import samples
from parity_tests.truth.jets import Jet

from .exact import Draws
from .family_records import EVERY
from .golden import FOLDER
from .problems import Problem
from .records import VERSION

DIGITS = 32
# Of what surrounds a loss; the records of losses have their own number.
SAMPLES = 320

Texts = dict[str, str]


def problems() -> dict[str, list[Problem]]:
    """One file per function and dtype."""
    files: dict[str, list[Problem]] = {}
    for record in EVERY.values():
        for dtype in record.dtypes:
            files[f"{record.name}_{dtype}.jsonl"] = record.vectors(dtype)
    for dtype in ("float32", "float64"):
        for recipe, group in samples(dtype).items():
            files[f"{recipe}_{dtype}.jsonl"] = group
    return files


def lines(problem: Problem, samples: int) -> Iterator[dict[str, Any]]:
    """A seeded choice of the problem's samples, in its own order."""
    for row in chosen(len(problem.points), samples).tolist():
        numbers = [x.hex() for x in problem.points[row].tolist()]
        arguments = dict(zip(problem.names, numbers, strict=True))
        results, scales = _results(problem.truth(row))
        yield {
            "arguments": arguments,
            "constants": problem.constants,
            "results": results,
            "scales": scales,
        }


def samples_each(stem: str, group: list[Problem]) -> int:
    """How many samples of each problem are in a file."""
    function, _, _ = stem.rpartition("_")
    every = EVERY[function].samples if function in EVERY else SAMPLES
    return every // len(group)


def chosen(count: int, samples: int) -> np.ndarray:
    return np.sort(Draws(count).permutation(count)[:samples])


def _results(jet: Jet) -> tuple[Texts, Texts]:
    """The terms that are not 0 by their names, and the scales that are not their magnitudes."""
    results: Texts = {}
    scales: Texts = {}
    for key, term in sorted(jet.items()):
        name = " ".join(key) or "loss"
        if term.scale:
            results[name] = str(mpmath.nstr(term.value, DIGITS))
        if term.scale > 1.001 * abs(term.value):
            scales[name] = str(mpmath.nstr(term.scale, 4))
    return results, scales


def generate() -> Texts:
    """File name -> text, the manifest last."""
    files: Texts = {}
    for name, group in tqdm(problems().items(), desc="golden vectors", disable=None):
        files[name] = _text(name.removesuffix(".jsonl"), group)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    manifest = {
        "contract": VERSION,
        "oracle": f"mpmath {mpmath.__version__}",
        "digits": DIGITS,
        "sha256": hashes,
    }
    files["MANIFEST.json"] = json.dumps(manifest, indent=2) + "\n"
    return files


def _text(stem: str, group: list[Problem]) -> str:
    samples = samples_each(stem, group)
    records = chain.from_iterable(lines(problem, samples) for problem in group)
    text = ""
    for number, record in enumerate(records):
        text += json.dumps({"id": f"{stem}/{number}"} | record) + "\n"
    return text


def check(files: Texts, folder: Path = FOLDER) -> None:
    """Raise unless the folder holds these files and no others."""
    have = {path.name for path in folder.iterdir()}
    if have != files.keys():
        others = sorted(have ^ files.keys())
        raise AssertionError(f"{folder} has other files than the generator makes: {others}")
    for name, text in files.items():
        _check_text(name, (folder / name).read_text(), text)


def _check_text(name: str, written: str, made: str) -> None:
    pairs = zip(written.splitlines(), made.splitlines(), strict=False)
    for number, (old, new) in enumerate(pairs, start=1):
        if old != new:
            raise AssertionError(
                f"{name}, line {number}: the file has\n{old}\nthe oracle says\n{new}"
            )
    if written != made:
        raise AssertionError(f"{name} has another number of lines than the generator makes")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()
    files = generate()
    if not args.check:
        write(files)
    check(files)
    print(f"{len(files)} files in {FOLDER} are what the oracle says")


def write(files: Texts) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in files.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
