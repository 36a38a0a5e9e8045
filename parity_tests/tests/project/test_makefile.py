"""`make` installs what a target needs and no more, and anew only when what decides about it has
changed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from parity_tests.tests import ROOT

ANEW = "rm -rf .venv\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def planned(tree: Path, target: str) -> str:
    """What `make` would do for a target."""
    # Options of a `make` that this test is run by are not for the one that it runs.
    env = dict(os.environ)
    for name in os.environ:
        if name.startswith(("MAKE", "MFLAGS")):
            del env[name]
    command = ["make", "-n", target]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def do_as_planned(tree: Path, target: str) -> None:
    """Leave the stamps that the commands of a target leave."""
    for line in planned(tree, target).splitlines():
        if line.startswith("touch "):
            stamp = tree / line.removeprefix("touch ")
            stamp.parent.mkdir(exist_ok=True)
            stamp.touch()


@pytest.mark.parametrize(
    ("target", "extra"),
    [
        ("demo", "examples"),
        ("detection", "examples"),
        ("docs", "docs"),
        ("lint", "dev"),
        ("test-quick", "test"),
        ("test", "test"),
        ("test-slow", "dev"),
    ],
)
def test_a_target_installs_its_extra_in_a_new_environment(
    tree: Path, target: str, extra: str
) -> None:
    plan = planned(tree, target)
    assert ANEW in plan
    assert plan.count(" -m pip install ") == 1
    assert f"--editable '.[{extra}]'" in plan


def test_nothing_is_installed_twice(tree: Path) -> None:
    do_as_planned(tree, "demo")
    plan = planned(tree, "demo")
    assert "pip" not in plan
    assert "python -m examples" in plan


def test_the_tests_add_to_the_environment_of_the_demonstration(tree: Path) -> None:
    do_as_planned(tree, "demo")
    plan = planned(tree, "test")
    assert ANEW not in plan
    assert "--editable '.[test]'" in plan
    do_as_planned(tree, "test")
    assert "pip" not in planned(tree, "test") + planned(tree, "test-quick")
    assert "--editable '.[dev]'" in planned(tree, "test-slow")


def test_what_the_tests_have_is_enough_for_the_demonstration(tree: Path) -> None:
    do_as_planned(tree, "test-slow")
    for target in ("demo", "docs", "test", "lint"):
        assert "pip" not in planned(tree, target)


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_a_change_of_an_input_makes_the_environment_anew(tree: Path, name: str) -> None:
    do_as_planned(tree, "test")
    with (tree / name).open("a") as file:
        file.write("# another line\n")
    plan = planned(tree, "demo")
    assert ANEW in plan
    assert "--editable '.[examples]'" in plan
