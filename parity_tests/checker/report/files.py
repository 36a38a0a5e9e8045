"""`focal-parity vectors` and `focal-parity score`: the golden vectors as files, and the answers to
them."""

import argparse
import contextlib
import csv
import json
import math
import shutil
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mpf
from rich.console import Console
from rich.table import Table

from parity_tests.contract import golden
from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import LINEAR, power
from parity_tests.contract.tolerances import FLOOR, GRADIENT, HESSIAN, RECIPES, allowed
from parity_tests.ports.subject import BadPortError
from parity_tests.truth.jets import Term

ORDERS = ("value", "1st derivatives", "2nd derivatives")
EXAMPLE = '{"id": "sigmoid_focal_loss_float32/0", "results": {"loss": "0x1p-3"}}'


class Vector(NamedTuple):
    """A sample of the golden vectors: hex floats for arguments, decimals for results and for the
    scales of results that cancel."""

    id: str
    arguments: dict[str, str]
    constants: dict[str, Any]
    results: dict[str, str]
    scales: dict[str, str]

    def result(self, key: str) -> str:
        return self.results.get(key, "0.0")

    def scale(self, key: str) -> str:
        return self.scales.get(key, self.result(key))

    def is_derivative(self, key: str) -> bool:
        return set(key.split()) <= self.arguments.keys()

    def title(self, key: str) -> str:
        return f"d {key}" if self.is_derivative(key) else key


class Answer(NamedTuple):
    """What somebody's results have for one vector, and in which line of which file."""

    place: str
    id: str
    results: dict[str, Any]


class Score(NamedTuple):
    """One number of an answer: its error and what is allowed, in eps."""

    error: float
    allowed: float
    at: str


def vectors(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    write = {"jsonl": _jsonl, "npz": _npz, "csv": _csv}[arguments.format]
    count = 0
    for path in sorted(golden.FOLDER.glob("*.jsonl")):
        count += write(path, folder)
    shutil.copy(golden.FOLDER / "MANIFEST.json", folder / "MANIFEST.json")
    print(f"{count} files and MANIFEST.json in {folder}")
    return 0


def _jsonl(path: Path, folder: Path) -> int:
    shutil.copy(path, folder / path.name)
    return 1


def _read(path: Path) -> list[Vector]:
    lines = path.read_text().splitlines()
    return [Vector(**json.loads(line)) for line in lines]


def _tables(path: Path) -> dict[str, list[Vector]]:
    """The samples of one file that have the same arguments and constants, under a name of their
    own."""
    groups: dict[str, list[Vector]] = defaultdict(list)
    for vector in _read(path):
        columns = [list(vector.arguments), vector.constants]
        groups[json.dumps(columns)].append(vector)
    return {f"{path.stem}_{number}": group for number, group in enumerate(groups.values())}


def _results(vectors: list[Vector]) -> list[str]:
    """The keys of all results, in the order in which they come."""
    return list(dict.fromkeys(key for vector in vectors for key in vector.results))


def _npz(path: Path, folder: Path) -> int:
    """Arrays of float64: `argument.NAME`, `result.NAME`, `scale.NAME`; and the constants as JSON
    text."""
    tables = _tables(path)
    for name, vectors in tables.items():
        arrays = _arrays(vectors)
        arrays["constants"] = np.array(json.dumps(vectors[0].constants))
        arrays["id"] = np.array([vector.id for vector in vectors])
        np.savez_compressed(folder / f"{name}.npz", allow_pickle=False, **arrays)
    return len(tables)


def _arrays(vectors: list[Vector]) -> dict[str, np.ndarray]:
    arrays = {}
    for key in vectors[0].arguments:
        numbers = [float.fromhex(vector.arguments[key]) for vector in vectors]
        arrays[f"argument.{key}"] = np.array(numbers)
    for key in _results(vectors):
        results = [float(vector.result(key)) for vector in vectors]
        scales = [float(vector.scale(key)) for vector in vectors]
        arrays[f"result.{key}"] = np.array(results)
        arrays[f"scale.{key}"] = np.abs(scales)
    return arrays


def _csv(path: Path, folder: Path) -> int:
    """Hex floats for arguments, decimals for results: `loss`, and `d NAME` for a derivative;
    constants have columns."""
    tables = _tables(path)
    for name, vectors in tables.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(_csv_rows(vectors))
    return len(tables)


def _csv_rows(vectors: list[Vector]) -> Iterator[list[Any]]:
    first, keys = vectors[0], _results(vectors)
    titles = [first.title(key) for key in keys]
    scales = [f"scale of {title}" for title in titles]
    yield ["id", *first.constants, *first.arguments, *titles, *scales]
    for vector in vectors:
        inputs = [*vector.constants.values(), *vector.arguments.values()]
        results = [vector.result(key) for key in keys]
        scales = [vector.scales.get(key, "") for key in keys]
        yield [vector.id, *inputs, *results, *scales]


def score(arguments: argparse.Namespace) -> int:
    """A row per file and order of derivatives: how many answers, the worst, and whether all are
    within tolerance."""
    scores = _scores(arguments.results)
    if not scores:
        raise BadPortError(f"{arguments.results} has no results to score")
    table = Table("answers to", "of", "number", "worst error", "allowed", "")
    all_pass, lines = True, []
    for (name, order), group in sorted(scores.items()):
        worst = max(group, key=lambda score: score.error / score.allowed)
        passes = all(score.error <= score.allowed for score in group)
        all_pass = all_pass and passes
        verdict = "[green]PASS[/]" if passes else "[bold red]FAIL[/]"
        sizes = (f"{worst.error:.3g} eps", f"{worst.allowed:g} eps")
        table.add_row(name, ORDERS[order], str(len(group)), *sizes, verdict)
        lines.append(f"{ORDERS[order]}: the worst is {worst.at}")
    Console().print(table)
    Console().print("\n".join(lines), highlight=False, soft_wrap=True)
    return 0 if all_pass else 1


def _scores(path: str) -> dict[tuple[str, int], list[Score]]:
    """The scores of each file of vectors and order of derivatives."""
    scores: dict[tuple[str, int], list[Score]] = defaultdict(list)
    for answer in _answers(path):
        file = answer.id.partition("/")[0]
        for key, number in answer.results.items():
            order, score = _judge(answer, key, number)
            scores[file, order].append(score)
    return scores


def _answers(path: str) -> Iterator[Answer]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadPortError(f"cannot read {path}: {error}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _answer(f"{path}, line {number}", line)


def _answer(place: str, line: str) -> Answer:
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        answer = json.loads(line)
        name, results = answer["id"], answer["results"]
        if isinstance(name, str) and isinstance(results, dict):
            return Answer(place, name, results)
    raise BadPortError(f"{place} is no answer; write {EXAMPLE}")


@cache
def _vectors() -> dict[str, Vector]:
    return {vector.id: vector for path in golden.FOLDER.glob("*.jsonl") for vector in _read(path)}


def _judge(answer: Answer, key: str, number: Any) -> tuple[int, Score]:
    """The order of the derivative, and its score."""
    vector = _vectors().get(answer.id)
    if vector is None:
        message = f"there is no vector {answer.id!r}; ids are those of `focal-parity vectors`"
        raise BadPortError(f"{answer.place}: {message}")
    file = answer.id.partition("/")[0]
    function, _, dtype = file.rpartition("_")
    variables = _variables(answer, vector, key, function)
    order = len(variables)
    result = " ".join(variables) or key
    with mpmath.workdps(50):
        scale = mpf(vector.scale(result))
        truth = Term(mpf(vector.result(result)), abs(scale))
    inputs = {name: float.fromhex(text) for name, text in vector.arguments.items()}
    first = next(iter(inputs.values()))
    exponent = power(function, vector.constants | inputs)
    limit = allowed(function, variables, exponent, dtype, first)
    error = error_in_eps(_number(answer, number), truth, dtype, FLOOR[dtype][order])
    if math.isnan(error):
        error = math.inf
    return order, Score(error, limit, f"{vector.id} {key}")


def _variables(answer: Answer, vector: Vector, key: str, function: str) -> tuple[str, ...]:
    """What a derivative is taken in, sorted; nothing for a value."""
    names = tuple(sorted(key.split())) if vector.is_derivative(key) else ()
    # A value of 0 is not written in the vectors, and may be asked for.
    is_value = key in vector.results or (key == "loss" and function not in RECIPES)
    # Of the arrays of a linear layer there are too many second derivatives to be written.
    highest = GRADIENT if function == LINEAR else HESSIAN
    if len(names) <= highest and (names or is_value):
        return names
    known = ", ".join(vector.arguments)
    message = f"{key!r} is no derivative of {vector.id}; it has {known}"
    raise BadPortError(f"{answer.place}: {message}")


def _number(answer: Answer, number: Any) -> float:
    try:
        return float.fromhex(number) if isinstance(number, str) else float(number)
    except (TypeError, ValueError, OverflowError):
        message = f"{number!r} is no number; write hex floats such as 0x1.8p-3"
        raise BadPortError(f"{answer.place}: {message}") from None
