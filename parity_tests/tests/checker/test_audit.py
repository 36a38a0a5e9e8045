"""The audit finds the known facts of optax and of the formulas, and goes on where an implementation
cannot be run."""

import importlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pytest

from parity_tests.checker.audit import command, facts, formulas, formulas_of_family, wrappers
from parity_tests.checker.audit.record import FORMULAS, WRAPPERS, Adapter
from parity_tests.checker.audit.registry import ADAPTERS
from parity_tests.checker.audit.tables import FULL, SHORT, Row, cells, markdown
from parity_tests.checker.layers import check, judge
from parity_tests.contract.family_records import EVERY
from parity_tests.contract.records import RECORDS
from parity_tests.ports.frameworks.load import FRAMEWORKS
from parity_tests.ports.subject import Plan

LAYERS = ("values", "gradients")
BROKEN = Adapter("broken", "audit_breaks:loss")
SILENT = Adapter("silent", "audit_is_killed:loss")
EXITS = Adapter("exits", "audit_exits:loss")
ABSENT = Adapter("absent", "absent:loss", distribution="focal-parity-is-not-this")
UNUSABLE = (BROKEN, SILENT, EXITS, ABSENT)
SLOW = Adapter("slow", "audit_sleeps:loss")
RUN = ("optax", "torchvision (formula)", "tutorial (formula)", "clcarwin (formula)")
each_adapter = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.label)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """The audit of a few, as their processes find it."""
    folder: Path = tmp_path_factory.mktemp("modules")
    text = "print('hello')\nraise RuntimeError('no such operator')\n"
    (folder / "audit_breaks.py").write_text(text)
    (folder / "audit_exits.py").write_text("import os\nos._exit(3)\n")
    killed = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    (folder / "audit_is_killed.py").write_text(killed)
    chosen = [adapter for adapter in ADAPTERS if adapter.label in RUN]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        audited = command.rows([*chosen, *UNUSABLE], LAYERS, jobs=1, limit=300.0)
    return {row["label"]: row for row in audited}


@each_adapter
def test_every_record_is_one_that_the_checker_takes(adapter: Adapter) -> None:
    record = EVERY[adapter.function]
    names = {argument.name for argument in record.arguments}
    assert adapter.framework in FRAMEWORKS
    assert adapter.distribution or adapter.path.startswith(FORMULAS)
    assert {*adapter.names} <= names
    assert {*adapter.fixed} <= {*record.settings, "beta"}
    for name, choice in adapter.conventions.items():
        assert choice in record.conventions[name].choices
    # A process of its own reads it as JSON.
    copy = Adapter(**json.loads(json.dumps(asdict(adapter))))
    assert copy == adapter


def test_labels_are_distinct_and_wrappers_and_formulas_exist() -> None:
    labels = [adapter.label for adapter in ADAPTERS]
    assert len(labels) == len(set(labels))
    for adapter in ADAPTERS:
        module, _, attribute = adapter.path.partition(":")
        if module in (WRAPPERS, FORMULAS):
            function = getattr(importlib.import_module(module), attribute)
            assert callable(function)
        assert bool(adapter.public) == (module == WRAPPERS)


def test_ten_packages_are_called_and_no_wrapper_is_left_over() -> None:
    distributions = {adapter.distribution for adapter in ADAPTERS}
    assert len(distributions - {"", "focal-parity"}) >= 10
    used = {adapter.path.partition(":")[2] for adapter in ADAPTERS}
    helpers = {"public", "import_torchvision"}
    for module in (wrappers, formulas, formulas_of_family):
        for name, value in vars(module).items():
            is_own = getattr(value, "__module__", "") == module.__name__
            if is_own and not name.startswith("_"):
                assert name in used | helpers


def test_optax_is_accurate_in_the_finite_tail_and_nan_at_infinity(rows: dict[str, Row]) -> None:
    row = rows["optax"]
    assert row["version"] == importlib.import_module("optax").__version__
    assert 0 < row["value"]["eps"] < 100
    assert 0 < row["gradient"]["eps"] < 100
    assert row["easy_zero"] == row["easy_off"] == [None, None]
    assert (row["hard_off"], row["nan_easy"], row["nan_hard"]) == (None, None, None)
    assert row["infinite"] == [["nan", "nan"], ["inf", "nan"]]
    assert (row["alpha"], row["soft"]) == ("α, 1 − α", "interpolate")
    assert row["column"] == "(4, 4)"
    assert row["dtypes"] == {"float64": "float64", "bfloat16": "bfloat16"}


def test_the_formula_of_torchvision_loses_its_tail_and_its_gradient(rows: dict[str, Row]) -> None:
    row = rows["torchvision (formula)"]
    assert row["version"] == "formula"
    positive, negative = row["easy_zero"]
    assert 16.5 <= positive <= 17
    assert 14 <= negative <= 17
    assert 16.5 <= row["nan_easy"] <= 17
    assert all(10 <= margin <= 13 for margin in row["easy_off"])
    assert row["nan_hard"] is None
    assert row["value"]["eps"] == pytest.approx(2.0**23)
    assert (row["alpha"], row["soft"]) == ("α, 1 − α", "interpolate")
    assert row["column"] == "error"
    assert row["layers"] == {"values": "FAIL", "gradients": "FAIL"}


def test_the_alpha_of_the_tutorial_is_that_of_the_negatives(rows: dict[str, Row]) -> None:
    row = rows["tutorial (formula)"]
    assert (row["alpha"], row["soft"]) == ("1 − α, α", "exp_bce")
    assert 16.5 <= row["easy_zero"][0] <= 18


def test_a_detached_modulator_is_a_gradient_that_is_off_at_every_logit(
    rows: dict[str, Row],
) -> None:
    row = rows["clcarwin (formula)"]
    assert row["function"] == "softmax_focal_loss"
    assert row["focal"]
    assert row["gradient"]["eps"] > 1e6
    assert row["nan_easy"] is None
    assert (row["soft"], row["alpha"]) == ("error", "none")


def report(*kept: tuple[str, str], layers: Iterable[str] = check.LAYERS) -> check.Report:
    """A report in which these layers keep from these grades."""
    limits = dict(kept)
    rows = [judge.Row(name, judge.PASS, kept_from=limits.get(name, "")) for name in layers]
    return check.Report("port", Plan(RECORDS["sigmoid_focal_loss"]), tuple(rows))


def test_a_grade_is_that_of_all_layers() -> None:
    without_shapes = [name for name in check.LAYERS if name != "shapes"]
    assert facts._grade(report()) == "complete"
    assert facts._grade(report(("values", "safe"), ("dtypes", "complete"))) == "same"
    assert facts._grade(report(("values", "same"))) == ""
    # What a wrapper keeps from the implementation says nothing of it.
    assert facts._grade(report(layers=without_shapes)) == "exact"
    assert facts._grade(report(("values", "safe"), layers=without_shapes)) == "same"
    assert facts._grade(report(layers=LAYERS)) is None


def test_the_tables_have_the_grade(rows: dict[str, Row]) -> None:
    row = rows["optax"]
    assert row["grade"] is None
    for grade, text in ((None, "–"), ("", "below same"), ("safe", "safe")):
        for columns in (SHORT, FULL["Accuracy"]):
            names = [column.header for column in columns]
            assert cells(row | {"grade": grade}, columns)[names.index("grade")] == text


def test_the_grade_of_an_implementation_is_that_of_its_check() -> None:
    (adapter,) = [adapter for adapter in ADAPTERS if adapter.label == "torchvision (formula)"]
    assert command.audit(adapter)["grade"] == "same"


def test_what_cannot_be_run_has_its_reason(rows: dict[str, Row]) -> None:
    assert "RuntimeError: no such operator" in rows["broken"]["reason"]
    assert rows["silent"]["reason"].startswith("ended with -9")
    assert "os._exit(3), which ends the process" in rows["exits"]["reason"]
    assert rows["absent"]["reason"] == "not installed"
    assert rows["absent"]["version"] is None


def test_an_implementation_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit_sleeps.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert command.audit(SLOW, LAYERS, limit=0.5)["reason"] == "no answer in 0.5 s"


def test_tables_have_a_cell_for_every_column_and_versions(rows: dict[str, Row]) -> None:
    audited = list(rows.values())
    for columns in (*FULL.values(), SHORT):
        lines = markdown(audited, columns).splitlines()
        assert len(lines) == len(rows) + 2
        assert {line.count("|") for line in lines} == {len(columns) + 1}
    _, _, *lines = markdown(audited, SHORT).splitlines()
    short = dict(zip(rows, lines, strict=True))
    assert importlib.import_module("optax").__version__ in short["optax"]
    assert " 16.75 " in short["torchvision (formula)"]
    assert cells(rows["absent"], SHORT)[:2] == ["absent", "not installed"]


def test_the_command_prints_tables_and_writes_json(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: dict[str, Row],
) -> None:
    monkeypatch.setattr(command, "audit", lambda adapter, layers, limit: rows[adapter.label])
    file = tmp_path / "audit.json"
    assert command.main(["--only", "optax", "TUTORIAL", "--markdown", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "### Accuracy" in printed
    assert f"torch {importlib.import_module('torch').__version__}" in printed
    assert "`optax.sigmoid_focal_loss`" in printed
    written = json.loads(file.read_text())
    assert [row["label"] for row in written] == ["optax", "tutorial (formula)"]
    assert command.main(["--only", "optax", "--markdown", "--short"]) == 0
    assert capsys.readouterr().out.startswith("| implementation | version |")
    assert command.main(["--only", "optax"]) == 0
    assert "optax" in capsys.readouterr().out


def test_a_name_that_nobody_has_is_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "nobody"])
    assert "no implementation has a name with nobody" in capsys.readouterr().err


def test_the_heatmap_of_centernet_is_lost_beyond_its_clamp() -> None:
    (adapter,) = [one for one in ADAPTERS if one.label == "CenterNet heatmap (formula)"]
    row = facts.facts(adapter, ("gradients",))
    assert row["layers"] == {"gradients": "FAIL"}
    assert 9 <= row["easy_off"][0] <= 9.5
    assert 9 <= row["hard_off"] <= 9.75
    assert row["infinite"][1] == ["9.208", "0"]
    assert (row["soft"], row["alpha"]) == ("as here", "–")


def test_what_timm_makes_of_soft_targets_has_a_name() -> None:
    (adapter,) = [one for one in ADAPTERS if one.label == "timm asymmetric with clip"]
    if command.installed(adapter) is None:
        pytest.skip("timm is not installed")
    # Its wrapper may change what the process has of torchvision.
    row = command.audit(adapter, ("values",))
    assert (row["focal"], row["soft"]) == (True, "interpolated")
    assert row["nan_easy"] == 4
