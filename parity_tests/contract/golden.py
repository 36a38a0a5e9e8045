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

# A line of a file: arguments, constants, results and scales, by their names.
Record = dict[str, dict[str, Any]]


def read(function: str, dtype: str) -> list[tuple[Problem, list[Jet]]]:
    """The samples of one file, grouped into problems with the same names and constants."""
    text = (FOLDER / f"{function}_{dtype}.jsonl").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    problems = []
    for (names, constants), group in groupby(records, key=_names_and_constants):
        samples = list(group)
        points = np.array([_numbers(record) for record in samples])
        problem = Problem(function, dtype, names, points, constants=constants)
        problems.append((problem, [_jet(record) for record in samples]))
    return problems


def _names_and_constants(record: Record) -> tuple[tuple[str, ...], dict[str, Any]]:
    return tuple(record["arguments"]), record["constants"]


def _numbers(record: Record) -> list[float]:
    return [float.fromhex(x) for x in record["arguments"].values()]


def _jet(record: Record) -> Jet:
    scales = record["scales"]
    jet = Jet()
    with mpmath.workdps(50):
        for name, digits in record["results"].items():
            key = () if name == "loss" else tuple(name.split())
            # Most terms are their own scale, and the file has only the others.
            scale = mpf(scales.get(name, digits))
            jet[key] = Term(mpf(digits), abs(scale))
    return jet
