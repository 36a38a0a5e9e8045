"""The golden vectors as files for other tools, and answers to them that are scored without a
process."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.checker.cli import main
from parity_tests.contract import golden
from parity_tests.contract.family_records import FAMILY
from parity_tests.tests import ROOT

FILE = "sigmoid_focal_loss_float64"


def records(file: str = FILE) -> list[dict[str, Any]]:
    text = (golden.FOLDER / f"{file}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def answer(name: str, results: dict[str, Any]) -> str:
    return json.dumps({"id": name, "results": results}) + "\n"


def test_json_lines_are_the_golden_files(tmp_path: Path) -> None:
    assert main(["vectors", "--out", str(tmp_path)]) == 0
    for path in golden.FOLDER.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_npz_and_csv_hold_the_same_numbers(tmp_path: Path) -> None:
    for kind in ("npz", "csv"):
        assert main(["vectors", "--format", kind, "--out", str(tmp_path)]) == 0
    by_id = {record["id"]: record for record in records()}
    seen: list[str] = []
    for path in sorted(tmp_path.glob(f"{FILE}_*.npz")):
        arrays = np.load(path, allow_pickle=False)
        names = arrays["id"].tolist()
        with path.with_suffix(".csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["id"] for row in rows] == names
        for i, row in enumerate(rows):
            record = by_id[row["id"]]
            assert json.loads(str(arrays["constants"])) == record["constants"]
            for key, text in record["arguments"].items():
                argument = float.fromhex(text)
                assert arrays[f"argument.{key}"][i] == argument == float.fromhex(row[key])
            for key, text in record["results"].items():
                column = "loss" if key == "loss" else f"d {key}"
                assert arrays[f"result.{key}"][i] == float(text) == float(row[column])
        seen += names
    assert len(seen) == len(by_id)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """The truth itself, rounded, as somebody's results."""
    path = tmp_path / "results.jsonl"
    with path.open("w") as file:
        for record in records():
            results = {key: float(text).hex() for key, text in record["results"].items()}
            # Second derivatives, whose keys are of two words, need not be there.
            first = {key: number for key, number in results.items() if " " not in key}
            file.write(answer(record["id"], first))
    return path


def test_the_truth_scores_well(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(answers)]) == 0
    out = capsys.readouterr().out
    assert out.count("PASS") == 2
    losses = [record for record in records() if "loss" in record["results"]]
    assert str(len(losses)) in out


@pytest.mark.parametrize("function", FAMILY)
def test_the_truth_of_the_family_scores_well(function: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    lines: list[str] = []
    for record in records(f"{function}_float64"):
        results = {key: float(text).hex() for key, text in record["results"].items()}
        lines.append(answer(record["id"], results))
    path.write_text("".join(lines))
    assert main(["score", str(path)]) == 0


def test_what_surrounds_the_loss_is_scored_by_its_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.jsonl"
    record = records("posterior_from_focal_float64")[-1]
    right = {key: float(text) for key, text in record["results"].items()}
    wrong = right | {"posterior1": right["posterior1"] * (1 + 1e-12)}
    for results, code in ((right, 0), (wrong, 1)):
        path.write_text(answer(record["id"], results))
        assert main(["score", str(path)]) == code
        assert "10 eps" in capsys.readouterr().out
    path.write_text(answer(record["id"], {"loss": 1.0}))
    assert main(["score", str(path)]) == 2


def test_the_csv_of_what_surrounds_the_loss_has_its_names(tmp_path: Path) -> None:
    record = records("posterior_from_focal_float64")[-1]
    assert main(["vectors", "--format", "csv", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "posterior_from_focal_float64_1.csv").read_text()
    titles = text.splitlines()[0].split(",")
    scales = [f"scale of {key}" for key in record["results"]]
    assert titles == ["id", *record["arguments"], *record["results"], *scales]


def test_the_line_of_the_page_is_right(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "parity.md").read_text().replace("\n", " ")
    lines = re.findall(r"`({\"id\".*?}})`", page)
    (tmp_path / "results.jsonl").write_text(f"{lines[0]}\n")
    assert main(["score", str(tmp_path / "results.jsonl")]) == 0


def test_one_wrong_answer_is_found(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = answers.read_text().splitlines()
    wrong = json.loads(lines[17])
    number = float.fromhex(wrong["results"]["loss"])
    assert math.isfinite(number)
    wrong["results"]["loss"] = (number * (1 + 1e-13)).hex()
    lines[17] = json.dumps(wrong)
    answers.write_text("\n".join(lines) + "\n")
    assert main(["score", str(answers)]) == 1
    out = capsys.readouterr().out
    assert out.count("FAIL") == 1
    assert wrong["id"] in out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json\n", "line 1 is no answer; write "),
        ('{"id": 3, "results": {}}\n', "line 1 is no answer; write "),
        (answer("hinge/3", {"loss": "0x1p+0"}), "line 1: there is no vector 'hinge/3'"),
        (answer(f"{FILE}/3", {"beta": "0x1p+0"}), "line 1: 'beta' is no derivative of"),
        (answer(f"{FILE}/3", {"loss": "one"}), "line 1: 'one' is no number; write hex floats"),
        ("\n", "has no results to score"),
    ],
)
def test_bad_answers_are_one_line(
    tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    assert main(["score", str(path)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_no_such_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "no/such/file.jsonl"]) == 2
    assert "cannot read no/such/file.jsonl" in capsys.readouterr().err
