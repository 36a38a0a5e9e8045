"""Write the golden vectors, or check that the written ones are what the oracle says today.

    python -m parity_tests.contract.make_vectors           write vectors/*.jsonl and vectors/MANIFEST.json
    python -m parity_tests.contract.make_vectors --check   generate them again and compare byte by byte

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
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from tqdm import tqdm

from parity_tests.contract.recipe_samples import samples
from parity_tests.truth.jets import Jet

from .exact import Draws
from .golden import FOLDER
from .problems import Problem
from .records import RECORDS, VERSION

DIGITS = 32
SAMPLES = 320


def problems() -> dict[str, list[Problem]]:
    """One file per function and dtype."""
    losses = {
        f"{record.name}_{dtype}.jsonl": record.vectors(dtype)
        for record in RECORDS.values()
        for dtype in record.dtypes
    }
    recipes = {
        f"{name}_{dtype}.jsonl": [Problem(name, dtype, names, points) for names, points in group]
        for dtype in ("float32", "float64")
        for name, group in samples(dtype).items()
    }
    return losses | recipes


def lines(problem: Problem, samples: int) -> Iterator[dict[str, Any]]:
    """A seeded choice of the problem's samples, in its own order."""
    for row in chosen(len(problem.points), samples).tolist():
        values = dict(
            zip(problem.names, (x.hex() for x in problem.points[row].tolist()), strict=True)
        )
        yield {"arguments": values, "constants": problem.constants} | _results(problem.truth(row))


def chosen(count: int, samples: int) -> np.ndarray:
    return np.sort(Draws(count).permutation(count)[:samples])


def _results(jet: Jet) -> dict[str, Any]:
    entries = {" ".join(key) or "loss": term for key, term in sorted(jet.items()) if term.scale}
    scales = {
        key: term.scale for key, term in entries.items() if term.scale > 1.001 * abs(term.value)
    }
    return {
        "results": {key: mpmath.nstr(term.value, DIGITS) for key, term in entries.items()},
        "scales": {key: mpmath.nstr(scale, 4) for key, scale in scales.items()},
    }


def generate() -> dict[str, str]:
    """File name -> text, the manifest last."""
    files = {}
    for name, group in tqdm(problems().items(), desc="golden vectors", disable=None):
        records = [record for problem in group for record in lines(problem, SAMPLES // len(group))]
        stem = name.removesuffix(".jsonl")
        numbered = [{"id": f"{stem}/{number}"} | record for number, record in enumerate(records)]
        files[name] = "".join(json.dumps(record) + "\n" for record in numbered)
    manifest = {
        "contract": VERSION,
        "oracle": f"mpmath {mpmath.__version__}",
        "digits": DIGITS,
        "sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
    }
    return files | {"MANIFEST.json": json.dumps(manifest, indent=2) + "\n"}


def check(files: dict[str, str], folder: Path = FOLDER) -> None:
    """Raise unless the folder holds these files and no others."""
    have = {path.name for path in folder.iterdir()}
    if have != files.keys():
        raise AssertionError(
            f"{folder} has other files than the generator makes: {sorted(have ^ files.keys())}"
        )
    for name, text in files.items():
        for number, (old, new) in enumerate(
            zip((folder / name).read_text().splitlines(), text.splitlines(), strict=False), start=1
        ):
            if old != new:
                raise AssertionError(
                    f"{name}, line {number}: the file has\n{old}\nthe oracle says\n{new}"
                )
        if (folder / name).read_text() != text:
            raise AssertionError(f"{name} has another number of lines than the generator makes")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    files = generate() if parser.parse_args().check else write(generate())
    check(files)
    print(f"{len(files)} files in {FOLDER} are what the oracle says")


def write(files: dict[str, str]) -> dict[str, str]:
    FOLDER.mkdir(exist_ok=True)
    for name, text in files.items():
        (FOLDER / name).write_text(text)
    return files


if __name__ == "__main__":
    main()
