"""Each extra alone: what it does not bring is hidden, and what it is for has to run all the same.

`python -m parity_tests.tests.project.extras` runs these programs in environments that have nothing
else, which takes long.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from parity_tests.tests import ROOT

from .extras import ExtraError, run
from .extras_closure import NAME, PROJECT, closure, write_allowed
from .extras_programs import EXTRAS, Program

HIDING = Path(__file__).parent / "hiding"


def short_programs() -> list[Any]:
    params: list[Any] = []
    for name, extra in EXTRAS.items():
        for number, program in enumerate(extra.programs):
            if not program.long:
                params.append(pytest.param(name, program, id=f"{name}-{number}"))
    return params


def run_alone(extra: str, program: Program, folder: Path) -> None:
    """Run a program with the distributions of an extra only."""
    allowed = folder / "allowed.json"
    write_allowed(extra.split(","), allowed)
    settings = {"PYTHONPATH": f"{HIDING}:{ROOT}", "FOCAL_PARITY_ALLOWED": str(allowed)}
    run(sys.executable, program, folder, settings)


@pytest.mark.parametrize(("extra", "program"), short_programs())
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
    pytest_options = ("-q", "--collect-only", "-p", "no:cacheprovider")
    collect = ("-m", "pytest", str(ROOT / "parity_tests"), *pytest_options)
    run_alone("test", Program((*collect, "--tier=test"), prints="tests collected"), tmp_path)
    with pytest.raises(ExtraError, match="No module named 'selenium'"):
        run_alone("test", Program((*collect, "--tier=slow")), tmp_path)


def test_what_is_hidden_is_not_there_for_a_search_either(tmp_path: Path) -> None:
    code = (
        "from importlib import metadata, util\n"
        "assert util.find_spec('pytest') is None and util.find_spec('jax') is not None\n"
        "names = {found.name.lower() for found in metadata.distributions()}\n"
        "assert 'jax' in names and not names & {'pytest', 'torch', 'tensorflow-cpu'}, names\n"
        "assert not metadata.entry_points(group='jax_plugins')\n"
    )
    run_alone("jax", Program(("-c", code)), tmp_path)


@pytest.mark.parametrize("requirement", [{"prints": "2"}, {"code": 1}], ids=str)
def test_output_and_exit_code_are_checked(requirement: dict[str, Any], tmp_path: Path) -> None:
    program = Program(("-c", "print(1)"), **requirement)
    with pytest.raises(ExtraError, match="got 0"):
        run_alone("jax", program, tmp_path)


def test_the_demonstration_is_light() -> None:
    """No compilers for accelerators, no peers, no TensorFlow, no browser, no site, no tests."""
    heavy = closure(["dev"]) - closure(["examples"])
    assert closure(["examples"]) <= closure(["test"]) <= closure(["dev"])
    accelerators = {"jax-cuda13-plugin", "libtpu"}
    peers = {"keras", "kornia", "mmdet", "monai", "tensorflow-cpu", "torchvision"}
    tools = {"mkdocs", "pyright", "pytest", "selenium"}
    assert accelerators | peers | tools <= heavy


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
