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
VERSIONS = {
    "python": "3.11.7",
    **{name: f"{bound}.0" for name, bound in lower_bounds(PYPROJECT).items()},
}
ROW = Row("oldest", VERSIONS, "12 passed", {"torch, a": "ok", "torch, b, c, d": "needs >=9: no"})


def test_the_oldest_pair_is_what_pyproject_asks_for() -> None:
    bounds = lower_bounds(PYPROJECT)
    assert list(bounds) == list(FRAMEWORKS)
    assert pairs()["oldest"].requirements == {name: f"=={bound}" for name, bound in bounds.items()}
    changed = PYPROJECT.replace(f'"torch>={bounds["torch"]}"', '"torch>=9.8"')
    assert lower_bounds(changed) == {**bounds, "torch": "9.8"}


def test_the_newest_pair_asks_for_nothing_and_for_the_newest_python() -> None:
    assert set(pairs()["newest"].requirements.values()) == {""}
    assert newest_pythons(PYPROJECT) == ("3.13", "3.12", "3.11")
    assert newest_pythons(PYPROJECT.replace(":: 3.13", ":: 3.9")) == ("3.12", "3.11", "3.9")


def test_bounds_are_those_of_the_page() -> None:
    """Raising or lowering one without `make versions` is an error, here and in the command."""
    assert disagreements(PYPROJECT, PAGE.read_text()) == []


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_bound_that_was_not_run_is_noticed(name: str) -> None:
    bound = lower_bounds(PYPROJECT)[name]
    (fault,) = disagreements(
        PYPROJECT.replace(f'"{name}>={bound}"', f'"{name}>=0.0.1"'), markdown([ROW])
    )
    assert (
        f"asks for {name}>=0.0.1, and the oldest in docs/versions.md is {VERSIONS[name]}" in fault
    )
    assert len(disagreements(PYPROJECT, "no table")) == len(FRAMEWORKS)


def test_versions_are_compared_by_their_numbers() -> None:
    assert release("2.4") == release("2.4.0+cpu") == (2, 4, 0)
    assert release("2.11") > release("2.4.1")


def test_the_table_of_a_run() -> None:
    assert oldest_in(markdown([ROW])) | VERSIONS == oldest_in(markdown([ROW]))
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
    found = command.smoke(sys.executable, "smoke_none")
    assert list(found) == ["none, the end"]
    assert found["none, the end"].startswith("FAILED")
    assert "smoke_none" in found["none, the end"]
    assert ROW._replace(smoke=found).failures()


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
    for got in ([1.0 + 1e-11], [float("nan")], [1.0, 1.0]):
        with pytest.raises(DifferentError):
            same(got, [1.0])
    refused(broken, words="a reason")
    with pytest.raises(DifferentError):
        refused(lambda: None, words="a reason")
    with pytest.raises(ValueError, match="a reason"):
        refused(broken, words="another")


@pytest.mark.parametrize("smoke", [smoke_jax, smoke_torch], ids=["jax", "torch"])
def test_a_part_of_each_smoke(smoke: ModuleType) -> None:
    found = smoke.checks()
    assert len(found) > 60
    for name in ("recipes", "sigmoid, functions"):
        assert outcome(found[name], "9") == "ok"


def test_a_smoke_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("focal_torch.binary.focal_descent", lambda u, gamma: 1.001 * u)
    assert outcome(smoke_torch.checks()["sigmoid, derivatives"], "9").startswith("FAILED")


def test_an_interpreter_is_found_on_the_path_or_in_pyenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    with pytest.raises(
        environments.MissingError, match=f"none of Python 3.99, {here} is on the path"
    ):
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
    one, two = Pair(("3.11",), {"torch": "==2.4"}), Pair(("3.11",), {"torch": "==2.5"})
    for pair in (one, one, two):
        assert environments.python_of("oldest", pair) == str(tmp_path / "oldest" / "bin" / "python")
    assert made == [one, two]


def compiled(folder: Path, name: str, code: str, *options: str) -> Path:
    source = folder / f"{name}.c"
    source.write_text(code)
    library = folder / f"lib{name}.so"
    command = [
        "cc",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(source),
        f"-Wl,-soname,lib{name}.so",
        *options,
    ]
    subprocess.run(command, check=True, timeout=60)
    return library


def test_stand_ins_let_a_library_be_loaded(tmp_path: Path) -> None:
    """One that is linked to a library with versions and to one without, both of which are then
    taken away."""
    exported = tmp_path / "versions.map"
    exported.write_text("GPU_12 { global: gpu_sum; };\n")
    gone = [
        compiled(
            tmp_path, "gpu", "long gpu_sum() { return 5; }", f"-Wl,--version-script={exported}"
        ),
        compiled(tmp_path, "other", "long other_sum() { return 6; }"),
    ]
    code = "long gpu_sum(); long other_sum(); long both() { return gpu_sum() + other_sum(); }"
    user = compiled(
        tmp_path, "user", code, f"-L{tmp_path}", "-lgpu", "-lother", "-Wl,-rpath,$ORIGIN"
    )
    for library in gone:
        library.unlink()
    with pytest.raises(OSError, match="cannot open shared object file"):
        ctypes.CDLL(str(user))
    assert stand_ins.make(tmp_path) == ["libgpu.so", "libother.so"]
    assert ctypes.CDLL(str(user)).both() == 0
    assert stand_ins.make(tmp_path) == []


def test_the_readme_names_the_bounds() -> None:
    line = " ".join((ROOT / "README.md").read_text().split())
    bounds = lower_bounds(PYPROJECT)
    names = {"NumPy": "numpy", "JAX": "jax", "PyTorch": "torch"}
    assert f"Python {newest_pythons(PYPROJECT)[-1]} to {newest_pythons(PYPROJECT)[0]}," in line
    assert [name for name, key in names.items() if f"{name} {bounds[key]}" not in line] == []


def test_a_pair_that_cannot_be_made_is_a_failure_beside_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def python_of(name: str, pair: Pair) -> str:
        if name == "oldest":
            raise environments.MissingError("pip install torch==0.0.1\nno such version")
        return sys.executable

    monkeypatch.setattr(environments, "python_of", python_of)
    monkeypatch.setattr(command, "run", lambda name, python: ROW._replace(name=name))
    rows, faults = command.run_all({name: pairs()[name] for name in ("oldest", "pinned")})
    assert [row.name for row in rows] == ["pinned"]
    assert faults == ["oldest: pip install torch==0.0.1\nno such version"]
