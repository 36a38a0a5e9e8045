"""Reading the golden vectors, with nothing but the standard library and mpmath."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.truth.jets import Jet, Term

from .problems import Problem

FOLDER = Path(__file__).parents[1] / "vectors"


def read(function: str, dtype: str) -> list[tuple[Problem, list[Jet]]]:
    """The samples of one file, grouped into problems with the same names and constants."""
    text = (FOLDER / f"{function}_{dtype}.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    groups = groupby(records, key=lambda record: (tuple(record["arguments"]), record["constants"]))
    return [
        _problem(function, dtype, names, constants, list(group))
        for (names, constants), group in groups
    ]


def _problem(
    function: str,
    dtype: str,
    names: tuple[str, ...],
    constants: dict[str, Any],
    records: list[dict[str, Any]],
) -> tuple[Problem, list[Jet]]:
    points = np.array(
        [[float.fromhex(x) for x in record["arguments"].values()] for record in records]
    )
    return Problem(function, dtype, names, points, constants=constants), [
        _jet(record) for record in records
    ]


def _jet(record: dict[str, Any]) -> Jet:
    scales = record["scales"]
    with mpmath.workdps(50):
        return Jet(
            {
                () if key == "loss" else tuple(key.split()): Term(
                    mpf(digits), abs(mpf(scales.get(key, digits)))
                )
                for key, digits in record["results"].items()
            }
        )
