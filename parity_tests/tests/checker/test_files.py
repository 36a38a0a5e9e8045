"""The golden vectors as files for other tools, and answers to them that are scored without a
process."""

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from parity_tests.checker.cli import main
from parity_tests.contract import golden
from parity_tests.tests import ROOT

FILE = "sigmoid_focal_loss_float64"


def records() -> list[dict[str, dict[str, str]]]:
    return [json.loads(line) for line in (golden.FOLDER / f"{FILE}.jsonl").read_text().splitlines()]


def test_json_lines_are_the_golden_files(tmp_path: Path) -> None:
    assert main(["vectors", "--out", str(tmp_path)]) == 0
    for path in golden.FOLDER.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_npz_and_csv_hold_the_same_numbers(tmp_path: Path) -> None:
    for kind in ("npz", "csv"):
        assert main(["vectors", "--format", kind, "--out", str(tmp_path)]) == 0
    by_id = {record["id"]: record for record in records()}
    seen = 0
    for path in sorted(tmp_path.glob(f"{FILE}_*.npz")):
        arrays = np.load(path, allow_pickle=False)
        with path.with_suffix(".csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for i, (name, row) in enumerate(zip(arrays["id"].tolist(), rows, strict=True)):
            record = by_id[name]
            assert row["id"] == name
            assert json.loads(str(arrays["constants"])) == record["constants"]
            for key, text in record["arguments"].items():
                assert (
                    arrays[f"argument.{key}"][i] == float.fromhex(text) == float.fromhex(row[key])
                )
            for key, text in record["results"].items():
                assert (
                    arrays[f"result.{key}"][i]
                    == float(text)
                    == float(row[key if key == "loss" else f"d {key}"])
                )
            seen += 1
    assert seen == len(by_id)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """The truth itself, rounded, as somebody's results."""
    path = tmp_path / "results.jsonl"
    with path.open("w") as file:
        for record in records():
            results = {
                key: float(text).hex()
                for key, text in record["results"].items()
                if len(key.split()) < 2
            }
            file.write(json.dumps({"id": record["id"], "results": results}) + "\n")
    return path


def test_the_truth_scores_well(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(answers)]) == 0
    out = capsys.readouterr().out
    assert out.count("PASS") == 2
    assert "320" in out


def test_what_surrounds_the_loss_is_scored_by_its_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.jsonl"
    record = json.loads(
        (golden.FOLDER / "posterior_from_focal_float64.jsonl").read_text().splitlines()[-1]
    )
    right = {key: float(text) for key, text in record["results"].items()}
    for answer, code in (
        (right, 0),
        (right | {"posterior1": right["posterior1"] * (1 + 1e-12)}, 1),
    ):
        path.write_text(json.dumps({"id": record["id"], "results": answer}) + "\n")
        assert main(["score", str(path)]) == code
        assert "10 eps" in capsys.readouterr().out
    path.write_text(json.dumps({"id": record["id"], "results": {"loss": 1.0}}) + "\n")
    assert main(["score", str(path)]) == 2
    assert main(["vectors", "--format", "csv", "--out", str(tmp_path)]) == 0
    titles = (
        (tmp_path / "posterior_from_focal_float64_1.csv").read_text().splitlines()[0].split(",")
    )
    assert titles == ["id", *record["arguments"], *right, *(f"scale of {key}" for key in right)]


def test_the_line_of_the_page_is_right(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "parity.md").read_text()
    (tmp_path / "results.jsonl").write_text(
        re.findall(r"`({\"id\".*?}})`", page.replace("\n", " "))[0] + "\n"
    )
    assert main(["score", str(tmp_path / "results.jsonl")]) == 0


def test_one_wrong_answer_is_found(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = answers.read_text().splitlines()
    wrong = json.loads(lines[17])
    number = float.fromhex(wrong["results"]["loss"])
    wrong["results"]["loss"] = (number * (1 + 1e-13)).hex()
    answers.write_text("\n".join([*lines[:17], json.dumps(wrong), *lines[18:]]) + "\n")
    assert math.isfinite(number)
    assert main(["score", str(answers)]) == 1
    out = capsys.readouterr().out
    assert out.count("FAIL") == 1
    assert wrong["id"] in out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("not json", "line 1 is no answer; write "),
        ('{"id": 3, "results": {}}', "line 1 is no answer; write "),
        (
            '{"id": "hinge/3", "results": {"loss": "0x1p+0"}}',
            "line 1: there is no vector 'hinge/3'",
        ),
        (
            f'{{"id": "{FILE}/3", "results": {{"beta": "0x1p+0"}}}}',
            "line 1: 'beta' is no derivative of",
        ),
        (
            f'{{"id": "{FILE}/3", "results": {{"loss": "one"}}}}',
            "line 1: 'one' is no number; write hex floats",
        ),
        ("", "has no results to score"),
    ],
)
def test_bad_answers_are_one_line(
    tmp_path: Path, line: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(line + "\n")
    assert main(["score", str(path)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_no_such_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "no/such/file.jsonl"]) == 2
    assert "cannot read no/such/file.jsonl" in capsys.readouterr().err
