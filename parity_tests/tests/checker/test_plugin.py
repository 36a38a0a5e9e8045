"""The built wheel, used from a throw-away project in an empty folder, as somebody who adopts it
does."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from parity_tests.checker.layers.check import LAYERS
from parity_tests.pages import page_code
from parity_tests.tests import ROOT

LOSSES = """
import torch
from focal_torch import sigmoid_focal_loss

def focal(logits, targets, alpha=0.25, gamma=2.0, reduction="none"):
    return sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma, reduction=reduction)

def subtracting(logits, targets, alpha=0.25, gamma=2.0):
    p = torch.sigmoid((2 * targets - 1) * logits)
    weight = 1.0 if alpha is None else alpha * targets + (1 - alpha) * (1 - targets)
    return -weight * (1 - p) ** gamma * torch.log(p)
"""
# docs/parity.md has the test of a port that is made in the test run: here it is made from LOSSES.
PAGE_CODE = [code for code, _ in page_code.blocks(ROOT / "docs" / "parity.md")]
MODULE = """
from losses import focal

def make_focal():
    return focal
"""


def run(*command: str, cwd: Path, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    # The source tree must not be on the path: it would hide what the wheel lacks.
    env = {**os.environ, "PYTHONPATH": str(site or "")}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and unpacked where nothing else of the repository is."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    built = run(*pip, "wheel", *options, str(ROOT), cwd=folder)
    assert built.returncode == 0, built.stderr
    wheel = next(folder.glob("focal_parity-*.whl"))
    options = ("--quiet", "--no-deps", "--target", str(folder / "site"))
    installed = run(*pip, "install", *options, str(wheel), cwd=folder)
    assert installed.returncode == 0, installed.stderr
    return folder / "site"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "losses.py").write_text(LOSSES)
    return tmp_path


def pytest_there(project: Path, site: Path, *options: str) -> tuple[int, str, dict[str, str]]:
    """Exit code, output, and each test with what became of it."""
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q")
    done = run(*command, "--junitxml=out.xml", *options, cwd=project, site=site)
    cases = ElementTree.parse(project / "out.xml").iter("testcase")
    outcomes = {case.get("name", ""): _outcome(case) for case in cases}
    return done.returncode, done.stdout, outcomes


def _outcome(case: ElementTree.Element) -> str:
    for kind in ("failure", "error", "skipped"):
        if case.find(kind) is not None:
            return kind
    return "passed"


def test_it_is_the_wheel_that_is_used(project: Path, site: Path) -> None:
    code = "import parity_tests.checker.plugin as plugin; print(plugin.__file__)"
    assert run(sys.executable, "-c", code, cwd=project, site=site).stdout.startswith(str(site))
    names = {path.name for path in site.iterdir()}
    assert {"focal_jax", "focal_torch", "parity_tests"} <= names
    assert not {"examples", "benchmarks", "docs"} & names
    assert (site / "parity_tests" / "vectors" / "MANIFEST.json").exists()
    assert (site / "focal_jax" / "py.typed").exists()


def test_the_command_of_the_wheel(project: Path, site: Path) -> None:
    command = (sys.executable, str(site / "bin" / "focal-parity"), "check", "losses:focal")
    options = ("--as", "sigmoid_focal_loss", "--layer", "values")
    done = run(*command, *options, cwd=project, site=site)
    assert done.returncode == 0, done.stderr
    assert "PASS losses:focal in float32" in done.stdout


def test_one_test_per_layer_and_dtype(project: Path, site: Path) -> None:
    options = ("--focal-port", "losses:focal", "--focal-as", "sigmoid_focal_loss")
    dtypes = ("--focal-dtype", "float32", "--focal-dtype", "float64")
    code, out, cases = pytest_there(project, site, *options, *dtypes)
    assert code == 0, out
    names = [f"focal-parity[{case}]" for case in (*ids("float32"), *ids("float64"))]
    assert cases == {name: outcome_of(name) for name in names}


def outcome_of(name: str) -> str:
    """Of a right port of a sigmoid loss."""
    return "skipped" if "kernel-and-bias" in name else "passed"


def ids(dtype: str) -> list[str]:
    return [f"{dtype}-{layer.replace(' ', '-')}" for layer in LAYERS]


def test_a_wrong_port_fails_for_its_reason_and_may_be_expected_to(
    project: Path, site: Path
) -> None:
    options = ("--focal-port", "losses:subtracting", "--focal-as", "sigmoid_focal_loss")
    options += ("--focal-framework", "torch")
    code, out, cases = pytest_there(project, site, *options)
    assert code == 1
    assert "your (1 − p_t) cancels above logit 16" in out
    assert "Traceback" not in out
    options += ("--focal-xfails", "expected.txt")
    expected = project / "expected.txt"
    lines = [
        f"{layer}  # until p is not subtracted"
        for layer, case in zip(LAYERS, ids("float32"), strict=True)
        if cases[f"focal-parity[{case}]"] == "failure"
    ]
    expected.write_text("\n".join(lines))
    code, out, _ = pytest_there(project, site, *options)
    assert code == 0, out
    expected.write_text("\n".join(LAYERS))
    code, out, _ = pytest_there(project, site, *options, "-k", "arguments")
    assert code == 1
    assert "XPASS(strict)" in out


def test_the_grade_that_is_asked_for(project: Path, site: Path) -> None:
    """A formula that subtracts p is the same loss, and loses its tails."""
    options = ("--focal-port", "losses:subtracting", "--focal-as", "sigmoid_focal_loss")
    options += ("--focal-framework", "torch", "--focal-grade")
    code, out, cases = pytest_there(project, site, *options, "same")
    assert code == 0, out
    assert "failure" not in cases.values()
    code, out, cases = pytest_there(project, site, *options, "safe", "-k", "values")
    assert code == 1
    assert cases["focal-parity[float32-values]"] == "failure"
    code, out, cases = pytest_there(project, site, *options, "complete", "-k", "kernel or shapes")
    assert code == 1
    assert cases["focal-parity[float32-kernel-and-bias]"] == "skipped"
    done = run(sys.executable, "-m", "pytest", *options, "perfect", cwd=project, site=site)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--focal-grade has to be one of same, safe, exact, complete" in done.stderr


def test_a_port_of_a_fixture(project: Path, site: Path) -> None:
    (project / "mypkg").mkdir()
    (project / "mypkg" / "losses.py").write_text(MODULE)
    (project / "test_losses.py").write_text("\n".join(PAGE_CODE))
    code, out, cases = pytest_there(project, site)
    assert code == 0, out
    names = [f"test_focal_loss[{case}]" for case in ids("float32")]
    assert cases == {name: outcome_of(name) for name in names}


def test_without_a_port_nothing_is_added(project: Path, site: Path) -> None:
    (project / "test_own.py").write_text("def test_own():\n    pass\n")
    code, out, cases = pytest_there(project, site)
    assert code == 0, out
    assert cases == {"test_own": "passed"}


@pytest.mark.parametrize(
    ("port", "function", "says"),
    [
        ("losses:none", "sigmoid_focal_loss", "losses has no 'none'"),
        ("losses:focal", "hinge", "'hinge' is no function of the contract"),
    ],
)
def test_a_port_that_cannot_be_judged_is_one_line(
    project: Path, site: Path, port: str, function: str, says: str
) -> None:
    options = ("--focal-port", port, "--focal-as", function)
    code, out, cases = pytest_there(project, site, *options)
    assert code == 1
    assert set(cases.values()) == {"failure"}
    assert says in out
    assert "Traceback" not in out
