"""Each extra alone: what it does not bring is hidden, and what it is for has to run all the same.

`python -m parity_tests.tests.project.extras` runs these programs in environments that have nothing
else, which takes long.
"""

import sys
from pathlib import Path

import pytest

from parity_tests.tests import ROOT

from .extras import ExtraError, run
from .extras_closure import NAME, PROJECT, closure, write_allowed
from .extras_programs import EXTRAS, Program

HIDING = Path(__file__).parent / "hiding"
SHORT = [
    pytest.param(name, program, id=f"{name}-{number}")
    for name, extra in EXTRAS.items()
    for number, program in enumerate(extra.programs)
    if not program.long
]


def run_alone(extra: str, program: Program, folder: Path) -> None:
    """Run a program with the distributions of an extra only."""
    allowed = folder / "allowed.json"
    write_allowed(extra.split(","), allowed)
    settings = {"PYTHONPATH": f"{HIDING}:{ROOT}", "FOCAL_PARITY_ALLOWED": str(allowed)}
    run(sys.executable, program, folder, settings)


@pytest.mark.parametrize(("extra", "program"), SHORT)
def test_an_extra_brings_what_it_is_for(extra: str, program: Program, tmp_path: Path) -> None:
    run_alone(extra, program, tmp_path)


@pytest.mark.parametrize(
    ("extra", "module"),
    [
        ("examples", "pytest"),
        ("jax", "torch"),
        ("torch", "jax"),
        ("parity", "jax"),
        ("flax", "mpmath"),
    ],
)
def test_a_program_that_needs_more_fails(extra: str, module: str, tmp_path: Path) -> None:
    with pytest.raises(ExtraError, match=f"No module named '{module}'"):
        run_alone(extra, Program(("-c", f"import {module}")), tmp_path)


def test_make_test_imports_no_more_than_its_extra_brings(tmp_path: Path) -> None:
    """All of its tests are found; those of the slow tier need what `dev` adds."""
    found = (
        "-m",
        "pytest",
        str(ROOT / "parity_tests"),
        "-q",
        "--collect-only",
        "-p",
        "no:cacheprovider",
    )
    run_alone("test", Program((*found, "--tier=test"), prints="tests collected"), tmp_path)
    with pytest.raises(ExtraError, match="No module named 'selenium'"):
        run_alone("test", Program((*found, "--tier=slow")), tmp_path)


def test_what_is_hidden_is_not_there_for_a_search_either(tmp_path: Path) -> None:
    code = (
        "from importlib import metadata, util\n"
        "assert util.find_spec('pytest') is None and util.find_spec('jax') is not None\n"
        "names = {found.name.lower() for found in metadata.distributions()}\n"
        "assert 'jax' in names and not names & {'pytest', 'torch', 'tensorflow-cpu'}, names\n"
        "assert not metadata.entry_points(group='jax_plugins')\n"
    )
    run_alone("jax", Program(("-c", code)), tmp_path)


def test_output_and_exit_code_are_asked_for(tmp_path: Path) -> None:
    for program in (Program(("-c", "print(1)"), prints="2"), Program(("-c", "print(1)"), code=1)):
        with pytest.raises(ExtraError, match="got 0"):
            run_alone("jax", program, tmp_path)


def test_the_demonstration_is_light() -> None:
    """No compilers for accelerators, no peers, no TensorFlow, no browser, no site, no tests."""
    heavy = closure(["dev"]) - closure(["examples"])
    assert closure(["examples"]) <= closure(["test"]) <= closure(["dev"])
    assert {
        *(
            "jax-cuda13-plugin",
            "keras",
            "kornia",
            "libtpu",
            "mkdocs",
            "mmdet",
            "monai",
            "pyright",
            "pytest",
        ),
        *("selenium", "tensorflow-cpu", "torchvision"),
    } <= heavy


def test_every_extra_is_tried_or_only_gathers_others() -> None:
    """`audit` is run by `make audit`, `peers`, `test` and `dev` by the tests themselves."""
    tried = {name for extra in EXTRAS for name in extra.split(",")}
    assert tried | {"audit", "dev", "peers", "test"} == set(PROJECT["optional-dependencies"])


def test_a_closure_follows_extras_and_markers() -> None:
    assert NAME in closure([])
    assert {"jax", "jaxlib", "ml-dtypes"} <= closure(["jax"])
    assert "libtpu" not in closure(["jax"])
    assert "flax" not in closure(["jax"])
    assert {"jax", "optax", "flax"} <= closure(["flax"])
    assert "colorama" not in closure(["parity"]) or sys.platform == "win32"
