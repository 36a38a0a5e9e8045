"""`focal-parity vectors` and `focal-parity score`: the golden vectors as files, and the answers to
them."""

import argparse
import contextlib
import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf
from rich.console import Console
from rich.table import Table

from parity_tests.contract import golden
from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.tolerances import FLOOR, RECIPES, allowed
from parity_tests.ports.subject import BadPortError
from parity_tests.truth.jets import Term

ORDERS = ("value", "1st derivatives", "2nd derivatives")


def vectors(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    write = {"jsonl": _jsonl, "npz": _npz, "csv": _csv}[arguments.format]
    written = [
        name for path in sorted(golden.FOLDER.glob("*.jsonl")) for name in write(path, folder)
    ]
    shutil.copy(golden.FOLDER / "MANIFEST.json", folder / "MANIFEST.json")
    print(f"{len(written)} files and MANIFEST.json in {folder}")
    return 0


def _jsonl(path: Path, folder: Path) -> list[str]:
    shutil.copy(path, folder / path.name)
    return [path.name]


def _tables(path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The samples of one file that have the same arguments and constants, under a name of their
    own."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in path.read_text().splitlines():
        record = json.loads(line)
        groups[json.dumps([list(record["arguments"]), record["constants"]])].append(record)
    for number, records in enumerate(groups.values()):
        yield f"{path.stem}_{number}", records


def _is_derivative(key: str, record: dict[str, Any]) -> bool:
    return set(key.split()) <= record["arguments"].keys()


def _results(records: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for record in records for key in record["results"]))


def _npz(path: Path, folder: Path) -> list[str]:
    """Arrays of float64: `argument.NAME`, `result.NAME`, `scale.NAME`; and the constants as JSON
    text."""
    names = []
    for name, records in _tables(path):
        arrays = {
            f"argument.{key}": [float.fromhex(r["arguments"][key]) for r in records]
            for key in records[0]["arguments"]
        }
        for key in _results(records):
            arrays[f"result.{key}"] = [float(r["results"].get(key, 0)) for r in records]
            arrays[f"scale.{key}"] = [
                abs(float(r["scales"].get(key, r["results"].get(key, 0)))) for r in records
            ]
        texts = {
            "constants": np.array(json.dumps(records[0]["constants"])),
            "id": np.array([r["id"] for r in records]),
        }
        np.savez_compressed(
            folder / f"{name}.npz",
            allow_pickle=False,
            **{k: np.array(x) for k, x in arrays.items()},
            **texts,
        )
        names.append(f"{name}.npz")
    return names


def _csv(path: Path, folder: Path) -> list[str]:
    """Hex floats for arguments, decimals for results: `loss`, and `d NAME` for a derivative;
    constants have columns."""
    names = []
    for name, records in _tables(path):
        keys = _results(records)
        titles = [f"d {key}" if _is_derivative(key, records[0]) else key for key in keys]
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            inputs = [*records[0]["constants"], *records[0]["arguments"]]
            writer.writerow(["id", *inputs, *titles, *(f"scale of {title}" for title in titles)])
            for r in records:
                results = [r["results"].get(key, "0.0") for key in keys]
                scales = [r["scales"].get(key, "") for key in keys]
                writer.writerow(
                    [r["id"], *r["constants"].values(), *r["arguments"].values(), *results, *scales]
                )
        names.append(f"{name}.csv")
    return names


def score(arguments: argparse.Namespace) -> int:
    """A row per file and order of derivatives: how many answers, the worst, and whether all are
    within tolerance."""
    worst: dict[tuple[str, int], list[tuple[float, float, str]]] = defaultdict(list)
    for number, answer in _answers(arguments.results):
        for key, text in answer["results"].items():
            name, order, found = _judge(arguments.results, number, answer["id"], key, text)
            worst[(name, order)].append(found)
    if not worst:
        raise BadPortError(f"{arguments.results} has no results to score")
    table = Table("answers to", "of", "number", "worst error", "allowed", "")
    passed, lines = [], []
    for (name, order), found in sorted(worst.items()):
        error, limit, at = max(found, key=lambda item: item[0] / item[1])
        passed.append(all(error <= limit for error, limit, _ in found))
        verdict = "[green]PASS[/]" if passed[-1] else "[bold red]FAIL[/]"
        table.add_row(
            name, ORDERS[order], str(len(found)), f"{error:.3g} eps", f"{limit:g} eps", verdict
        )
        lines.append(f"{ORDERS[order]}: the worst is {at}")
    Console().print(table)
    Console().print("\n".join(lines), highlight=False, soft_wrap=True)
    return 0 if all(passed) else 1


def _answers(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadPortError(f"cannot read {path}: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        yield number, _answer(path, number, line)


def _answer(path: str, number: int, line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        answer = json.loads(line)
        if isinstance(answer["id"], str) and isinstance(answer["results"], dict):
            return answer
    example = '{"id": "sigmoid_focal_loss_float32/0", "results": {"loss": "0x1p-3"}}'
    raise BadPortError(f"{path}, line {number} is no answer; write {example}")


@cache
def _vectors() -> dict[str, dict[str, Any]]:
    lines = [
        line for path in golden.FOLDER.glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    return {record["id"]: record for record in map(json.loads, lines)}


def _judge(
    path: str, number: int, name: str, key: str, text: Any
) -> tuple[str, int, tuple[float, float, str]]:
    record = _vectors().get(name)
    if record is None:
        raise BadPortError(
            f"{path}, line {number}: there is no vector {name!r}; ids are those of `focal-parity vectors`"
        )
    names = tuple(sorted(key.split())) if _is_derivative(key, record) else ()
    file = name.partition("/")[0]
    function, _, dtype = file.rpartition("_")
    is_value = key in record["results"] or (key == "loss" and function not in RECIPES)
    if len(names) > 2 or not (names or is_value):
        raise BadPortError(
            f"{path}, line {number}: {key!r} is no derivative of {name}; it has {', '.join(record['arguments'])}"
        )
    got = _number(path, number, text)
    with mpmath.workdps(50):
        digits = record["results"].get(" ".join(names) or key, "0.0")
        scale = record["scales"].get(" ".join(names) or key, digits)
        truth = Term(mpf(digits), abs(mpf(scale)))
    arguments = {k: float.fromhex(x) for k, x in record["arguments"].items()}
    limit = allowed(
        function, names, arguments.get("gamma", 2.0), dtype, next(iter(arguments.values()))
    )
    error = error_in_eps(got, truth, dtype, FLOOR[dtype][len(names)])
    return file, len(names), (error if error == error else float("inf"), limit, f"{name} {key}")


def _number(path: str, number: int, text: Any) -> float:
    try:
        return float.fromhex(text) if isinstance(text, str) else float(text)
    except (TypeError, ValueError, OverflowError):
        raise BadPortError(
            f"{path}, line {number}: {text!r} is no number; write hex floats such as 0x1.8p-3"
        ) from None
