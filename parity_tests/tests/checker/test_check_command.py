"""The command as people use it: its rows, files and exit codes."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from parity_tests.checker.cli import main
from parity_tests.checker.layers.check import layers_of
from parity_tests.contract.records import RECORDS
from parity_tests.tests import ROOT

SIGMOID = ("--as", "sigmoid_focal_loss", "--framework", "torch")
Capture = pytest.CaptureFixture[str]
FEW = ("--layer", "values", "--layer", "gradients")


def check(*arguments: str) -> int:
    return main(["check", *arguments])


# Each of the ports, and the options with which it is right.
RIGHT = {
    "fixed": "--map logits=scores --map targets=truth --set gamma=1.5 --set alpha=0.5",
    "renamed": ("--map logits=scores --map targets=truth --map gamma=focusing --map alpha=balance"),
    "extra": "--pass from_logits=true",
    "mean": "",
    "WithWeights": "--as softmax_focal_loss --map alpha=weight --set gamma=2",
    "WithWeights, fixed": (
        "--as softmax_focal_loss --map alpha=weight --set gamma=2 --set alpha=[0.2,0.3,0.5]"
    ),
    "detached": "--values-only",
    "probabilities": "--map logits=p --input probabilities --set alpha=none",
    "numpy_loss": "--framework numpy --set alpha=none --gradient some_ports:numpy_slope",
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.usefixtures("ports")
def test_a_port_is_checked_for_what_it_does(name: str, capsys: Capture) -> None:
    port, _, _ = name.partition(",")
    options = shlex.split(RIGHT[name])
    layers = ("--layer", "values") if port == "probabilities" else FEW
    assert check(f"some_ports:{port}", *SIGMOID, *options, *layers) == 0
    assert "PASS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("port", "layer", "code", "message"),
    [
        ("zeroes", "values", 2, "the loss changes its targets in place"),
        ("unmasked", "options", 1, "masked elements must be 0 whatever their logits are"),
        ("deaf", "values", 1, "your gamma has no effect: the loss has γ = 2 whatever is passed"),
        ("weighted_mean", "options", 1, "mean divides by 6 here"),
    ],
)
@pytest.mark.usefixtures("ports")
def test_a_port_that_misuses_its_arguments_fails(
    port: str, layer: str, code: int, message: str, capsys: Capture
) -> None:
    function = "softmax_focal_loss" if port == "weighted_mean" else "sigmoid_focal_loss"
    options = ("--as", function, "--framework", "torch", "--layer", layer)
    assert check(f"some_ports:{port}", *options) == code
    out, err = capsys.readouterr()
    assert message in " ".join((out + err).split())


def test_a_port_in_a_file(ports: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder, and whatever else is called as the file is."""
    monkeypatch.chdir(ports.parent)
    file = ports / "random.py"
    shutil.copy(ports / "some_ports.py", file)
    expected = {"mean": 0, "zeroes": 2}
    found = {name: check(f"{file}:{name}", *SIGMOID, "--layer", "values") for name in expected}
    assert found == expected
    assert "random" in capsys.readouterr().out


@pytest.mark.usefixtures("ports")
def test_without_gradients_the_layer_fails(capsys: Capture) -> None:
    assert check("some_ports:detached", *SIGMOID, "--layer", "gradients") == 1
    assert "does not require grad" in capsys.readouterr().out


@pytest.fixture(scope="module")
def written(sample_ports: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One check of the textbook formula with all files; the folder, and what was printed."""
    folder = tmp_path_factory.mktemp("formula")
    shutil.copy(sample_ports, folder / "some_ports.py")
    files = [f"--{kind}=out/report.{kind}" for kind in ("json", "junit", "badge")]
    command = [sys.executable, "-m", "parity_tests.checker.cli", "check", "some_ports:formula"]
    command += [*SIGMOID, *files]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (1, "")
    return folder / "out", done.stdout


@pytest.mark.usefixtures("ports")
def test_several_processes_find_the_same(tmp_path: Path) -> None:
    layers = ("--layer", "values", "--layer", "special values", "--layer", "identities")
    reports = []
    for jobs in ("1", "2"):
        out = tmp_path / f"{jobs}.json"
        code = check("some_ports:formula", *SIGMOID, *layers, "--jobs", jobs, "--json", str(out))
        assert code == 1
        reports.append(json.loads(out.read_text()))
    assert reports[0] == reports[1]
    assert [row["layer"] for row in reports[0]["rows"]] == ["names", *layers[1::2]]


def test_the_report_for_people(written: tuple[Path, str]) -> None:
    text = " ".join(written[1].split())
    assert "your (1 − p_t) cancels below logit -14.6, target 0: the loss is exactly 0" in text
    assert "your gradient is NaN above logit 16.75, target 1, for γ = 0" in text
    assert "FAIL some_ports:formula in float32" in text
    command = f"focal-parity check some_ports:formula {' '.join(SIGMOID)} --dtype float32 --at "
    assert command in text


def test_the_readme_shows_these_sentences(written: tuple[Path, str]) -> None:
    readme = (ROOT / "README.md").read_text()
    shown = [line for line in readme.splitlines() if line.startswith("→ your")]
    text = " ".join(written[1].split())
    assert len(shown) == 2
    assert all(line in text for line in shown)


def test_the_json_has_every_layer(written: tuple[Path, str]) -> None:
    report = json.loads((written[0] / "report.json").read_text())
    assert report["passed"] is False
    assert report["function"] == "sigmoid_focal_loss"
    assert report["versions"]["torch"]
    status = {row["layer"]: row["status"] for row in report["rows"]}
    assert status["values"] == status["gradients"] == status["special values"] == "FAIL"
    assert status["names"] == status["options"] == "PASS"
    for row in report["rows"]:
        assert row["reproduce"].startswith("focal-parity check some_ports:formula")


def test_the_junit_file_has_a_case_per_layer(written: tuple[Path, str]) -> None:
    suite = ElementTree.fromstring((written[0] / "report.junit").read_text())
    failures = [case for case in suite if case.find("failure") is not None]
    assert int(suite.get("failures", "0")) == len(failures) > 0
    assert (
        int(suite.get("tests", "0"))
        == len(suite)
        == 1 + len(layers_of(RECORDS["sigmoid_focal_loss"]))
    )


def test_the_badge(written: tuple[Path, str]) -> None:
    badge = json.loads((written[0] / "report.badge").read_text())
    assert badge["schemaVersion"] == 1
    assert badge["color"] == "red"


@pytest.mark.usefixtures("ports")
def test_the_line_of_a_report_shows_its_point_again(capsys: Capture) -> None:
    point = '{"logits": 20.0, "targets": 1, "gamma": 2.0, "alpha": null}'
    assert check("focal_torch:sigmoid_focal_loss", "--at", point) == 0
    assert "8.7565" in capsys.readouterr().out
    point = '{"logits": 20.0, "targets": 1, "gamma": 2.0, "alpha": 0.25}'
    assert check("some_ports:formula", *SIGMOID, "--at", point) == 1
    assert "0.0" in capsys.readouterr().out


def test_expected_failures_are_strict(ports: Path, capsys: Capture) -> None:
    listed = ports / "expected.txt"
    options = (*SIGMOID, "--xfails", "expected.txt")
    listed.write_text("values  # 1 − p\nfloat64 gradients\n\n# nothing else\n")
    assert check("some_ports:formula", *options, "--layer", "values") == 0
    assert "expected failure" in capsys.readouterr().out
    assert check("some_ports:extra", *options, "--pass", "from_logits=true", *FEW) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "take it out of the expected failures" in text
    listed.write_text("colours\n")
    assert check("some_ports:formula", *options) == 2
    assert "expected.txt, line 1: 'colours' is no layer" in capsys.readouterr().err


def test_list_and_explain(capsys: Capture) -> None:
    assert main(["list"]) == 0
    assert "WeightedFocalLoss" in capsys.readouterr().out
    assert main(["explain", "softmax_focal_loss"]) == 0
    assert "u_t = z_t − log Σ_{j≠t} exp(z_j)" in capsys.readouterr().out
    assert main(["explain", "hinge"]) == 2
    assert "there is no function 'hinge'" in capsys.readouterr().err


# Modules that belong to no standard library and not to the project itself.
FOREIGN = """
import importlib, sys
importlib.import_module(sys.argv[1])
names = {name.partition(".")[0] for name in sys.modules}
names -= sys.stdlib_module_names | {"parity_tests"}
print(*sorted(name for name in names if not name.startswith("_")))
"""


def foreign_modules(module: str) -> list[str]:
    """What a new process has after an import, beyond what it has after one of the standard
    library."""
    return sorted(modules_after(module) - modules_after("json"))


def modules_after(module: str) -> set[str]:
    command = [sys.executable, "-c", FOREIGN, module]
    return set(subprocess.check_output(command, text=True, timeout=300).split())


def test_importing_the_command_imports_nothing_else() -> None:
    """Importing takes as long as what it imports: no framework, no numpy, nothing that is
    installed."""
    assert foreign_modules("parity_tests.checker.cli") == []


def test_the_test_above_would_notice() -> None:
    assert "mpmath" in foreign_modules("parity_tests.truth.oracle")
