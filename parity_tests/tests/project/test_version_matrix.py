"""The command that runs other versions: what it reads, builds and says, without making an
environment."""

import ctypes
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from parity_tests.versions import __main__ as command
from parity_tests.versions import environments, smoke_jax, smoke_torch, stand_ins
from parity_tests.versions.checks import Check, DifferentError, outcome, refused, same
from parity_tests.versions.pairs import (
    FRAMEWORKS,
    ROOT,
    Pair,
    lower_bounds,
    newest_pythons,
    pairs,
    release,
)
from parity_tests.versions.table import PAGE, Row, disagreements, markdown, oldest_in

PYPROJECT = (ROOT / "pyproject.toml").read_text()
BOUNDS = lower_bounds(PYPROJECT)
VERSIONS = {"python": "3.11.7"} | {name: f"{bound}.0" for name, bound in BOUNDS.items()}
SMOKE = {"torch, a": "ok", "torch, b, c, d": "needs >=9: no"}
ROW = Row("oldest", VERSIONS, "12 passed", SMOKE)


def test_the_oldest_pair_is_what_pyproject_asks_for() -> None:
    assert list(BOUNDS) == list(FRAMEWORKS)
    assert pairs()["oldest"].requirements == {name: f"=={bound}" for name, bound in BOUNDS.items()}
    changed = PYPROJECT.replace(f'"torch>={BOUNDS["torch"]}"', '"torch>=9.8"')
    assert lower_bounds(changed) == BOUNDS | {"torch": "9.8"}


def test_the_newest_pair_asks_for_nothing_and_for_the_newest_python() -> None:
    assert set(pairs()["newest"].requirements.values()) == {""}
    assert newest_pythons(PYPROJECT) == ("3.13", "3.12", "3.11")
    assert newest_pythons(PYPROJECT.replace(":: 3.13", ":: 3.9")) == ("3.12", "3.11", "3.9")


def test_bounds_are_those_of_the_page() -> None:
    """Raising or lowering one without `make versions` is an error, here and in the command."""
    assert disagreements(PYPROJECT, PAGE.read_text()) == []


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_bound_that_was_not_run_is_noticed(name: str) -> None:
    lowered = PYPROJECT.replace(f'"{name}>={BOUNDS[name]}"', f'"{name}>=0.0.1"')
    (fault,) = disagreements(lowered, markdown([ROW]))
    assert f"asks for {name}>=0.0.1" in fault
    assert f"the oldest in docs/versions.md is {VERSIONS[name]}" in fault
    assert len(disagreements(PYPROJECT, "no table")) == len(FRAMEWORKS)


def test_versions_are_compared_by_their_numbers() -> None:
    assert release("2.4") == release("2.4.0+cpu") == (2, 4, 0)
    assert release("2.11") > release("2.4.1")


def test_the_table_of_a_run() -> None:
    oldest = oldest_in(markdown([ROW]))
    assert oldest | VERSIONS == oldest
    assert ROW.cells()[-3:] == ["12 passed", "1 of 2", "c, d: torch >=9"]
    assert ROW.failures() == []
    broken = ROW._replace(tests="1 failed, 11 passed", smoke={"torch, a": "FAILED no"})
    assert broken.failures() == ["tests: 1 failed, 11 passed", "torch, a: FAILED no"]


@pytest.mark.parametrize(("tests", "code"), [("3 passed", 0), ("1 failed, 2 passed", 1)])
def test_the_command_fails_with_its_rows(
    tests: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "run", lambda name, _: ROW._replace(name=name, tests=tests))
    monkeypatch.setattr(command, "disagreements", lambda *_: [])
    monkeypatch.setattr(sys, "argv", ["versions", "--only-run"])
    assert command.main() == code


def test_the_command_fails_where_bound_and_page_disagree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run", lambda name, _: ROW)
    monkeypatch.setattr(command, "disagreements", lambda *_: ["torch: correct the bound"])
    monkeypatch.setattr(sys, "argv", ["versions", "--only-run"])
    assert command.main() == 1
    assert "correct the bound" in capsys.readouterr().err


def test_what_cannot_be_imported_is_a_failure() -> None:
    results = command.smoke(sys.executable, "smoke_none")
    assert list(results) == ["none, the end"]
    assert results["none, the end"].startswith("FAILED")
    assert "smoke_none" in results["none, the end"]
    assert ROW._replace(smoke=results).failures()


def broken() -> None:
    raise ValueError("a reason\nand more")


def test_outcomes() -> None:
    assert outcome(Check(lambda: None), "2.4.0") == "ok"
    assert outcome(Check(lambda: None, ">=2.4"), "2.4.0+cpu") == "ok"
    assert outcome(Check(broken), "2.4.0") == "FAILED ValueError: a reason"
    assert outcome(Check(broken, ">=2.5"), "2.4.0") == "needs >=2.5: ValueError: a reason"
    assert outcome(Check(lambda: None, ">=2.5"), "2.4.0") == "FAILED needs >=2.5 no more"


def test_what_differs_is_an_error() -> None:
    same([1.0], [1.0 + 1e-15])
    for others in ([1.0 + 1e-11], [float("nan")], [1.0, 1.0]):
        with pytest.raises(DifferentError):
            same(others, [1.0])
    refused(broken, words="a reason")
    with pytest.raises(DifferentError):
        refused(lambda: None, words="a reason")
    with pytest.raises(ValueError, match="a reason"):
        refused(broken, words="another")


@pytest.mark.parametrize("smoke", [smoke_jax, smoke_torch], ids=["jax", "torch"])
def test_a_part_of_each_smoke(smoke: ModuleType) -> None:
    checks = smoke.checks()
    assert len(checks) > 60
    for name in ("recipes", "sigmoid, functions"):
        assert outcome(checks[name], "9") == "ok"


def test_a_smoke_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("focal_torch._core.sigmoid.neg_grad_u", lambda u, gamma: 1.001 * u)
    assert outcome(smoke_torch.checks()["sigmoid, derivatives"], "9").startswith("FAILED")


def test_an_interpreter_is_found_on_the_path_or_in_pyenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    missing = f"none of Python 3.99, {here} is on the path"
    with pytest.raises(environments.MissingError, match=missing):
        environments.interpreter(("3.99", here))
    python = tmp_path / "pyenv" / "versions" / f"{here}.1" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert environments.interpreter(("3.99", here)) == str(python)
    (tmp_path / f"python{here}").symlink_to(sys.executable)
    assert environments.interpreter(("3.99", here)) == f"python{here}"


def test_an_environment_is_made_again_when_its_pair_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Pair] = []
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "interpreter", lambda _: sys.executable)
    monkeypatch.setattr(environments, "_run", lambda *_: "")
    monkeypatch.setattr(environments, "_install", lambda _, pair: made.append(pair))
    before = Pair(("3.11",), {"torch": "==2.4"})
    after = Pair(("3.11",), {"torch": "==2.5"})
    python = str(tmp_path / "oldest" / "bin" / "python")
    for pair in (before, before, after):
        assert environments.python_of("oldest", pair) == python
    assert made == [before, after]


def compiled(folder: Path, name: str, code: str, *options: str) -> Path:
    source = folder / f"{name}.c"
    source.write_text(code)
    library = folder / f"lib{name}.so"
    cc = ["cc", "-shared", "-fPIC", f"-Wl,-soname,lib{name}.so"]
    files = ["-o", str(library), str(source)]
    subprocess.run([*cc, *files, *options], check=True, timeout=60)
    return library


def test_stand_ins_let_a_library_be_loaded(tmp_path: Path) -> None:
    """One that is linked to a library with versions and to one without, both of which are then
    taken away."""
    exported = tmp_path / "versions.map"
    exported.write_text("GPU_12 { global: gpu_sum; };\n")
    versioned = f"-Wl,--version-script={exported}"
    gpu = compiled(tmp_path, "gpu", "long gpu_sum() { return 5; }", versioned)
    other = compiled(tmp_path, "other", "long other_sum() { return 6; }")
    code = "long gpu_sum(); long other_sum(); long both() { return gpu_sum() + other_sum(); }"
    linked = [f"-L{tmp_path}", "-lgpu", "-lother", "-Wl,-rpath,$ORIGIN"]
    user = compiled(tmp_path, "user", code, *linked)
    gpu.unlink()
    other.unlink()
    with pytest.raises(OSError, match="cannot open shared object file"):
        ctypes.CDLL(str(user))
    assert stand_ins.make(tmp_path) == ["libgpu.so", "libother.so"]
    assert ctypes.CDLL(str(user)).both() == 0
    assert stand_ins.make(tmp_path) == []


def test_the_readme_names_the_bounds() -> None:
    line = " ".join((ROOT / "README.md").read_text().split())
    newest, *_, oldest = newest_pythons(PYPROJECT)
    assert f"Python {oldest} to {newest}," in line
    for name, package in {"NumPy": "numpy", "JAX": "jax", "PyTorch": "torch"}.items():
        assert f"{name} {BOUNDS[package]}" in line


def test_a_pair_that_cannot_be_made_is_a_failure_beside_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def python_of(name: str, pair: Pair) -> str:
        if name == "oldest":
            raise environments.MissingError("pip install torch==0.0.1\nno such version")
        return sys.executable

    monkeypatch.setattr(environments, "python_of", python_of)
    monkeypatch.setattr(command, "run", lambda name, python: ROW._replace(name=name))
    chosen = {name: pairs()[name] for name in ("oldest", "pinned")}
    rows, faults = command.run_all(chosen)
    assert [row.name for row in rows] == ["pinned"]
    assert faults == ["oldest: pip install torch==0.0.1\nno such version"]
