"""Settings of the whole run: the strictest that JAX has, one thread per worker, and seeds that are
printed.

By default hypothesis draws the same examples in every run, so that a red run has its reason in the
code. `make test` draws fewer of them than `make test-slow`, and `make test-quick` the fewest.
`--hypothesis-profile explore` draws a thousand new ones per test, `--hypothesis-seed N` those of
one seed.
"""

import os

# Before anything loads OpenMP or OpenBLAS. A pool of threads in each worker, and in each process
# that a test starts, would fight the others for the same cores.
os.environ["OMP_NUM_THREADS"] = "1"

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import jax
import numpy as np
import pytest
import torch

from . import tiers
from .worker import MemoryLimit, group

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# Folders with files that take minutes come first: at the end one of them would keep a worker alone.
LONG = ("tools", "verdicts")

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_platforms", "cpu")
# For the processes that tests start. The compilers for GPU and TPU are installed, and would look
# for their devices.
os.environ["JAX_PLATFORMS"] = "cpu"
torch.set_num_threads(1)

shared = hypothesis.settings(
    deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("parity", shared, max_examples=60, derandomize=True)
hypothesis.settings.register_profile("test", shared, max_examples=10, derandomize=True)
hypothesis.settings.register_profile("quick", shared, max_examples=5, derandomize=True)
hypothesis.settings.register_profile("explore", shared, max_examples=1000)
hypothesis.settings.load_profile("parity")


def pytest_report_header(config: pytest.Config) -> str:
    fixed = hypothesis.settings.get_current_profile_name() != "explore"
    seed = config.getoption("--hypothesis-seed") or (
        "fixed by the test" if fixed else "random, printed on failure"
    )
    versions = f"jax {jax.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    return f"{versions}, hypothesis seed {seed}"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(MemoryLimit())
    tier = config.getoption("--tier")
    if tier in ("quick", "test") and not config.getoption("--hypothesis-profile"):
        hypothesis.settings.load_profile(tier)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tier", choices=tiers.TIERS, help="run the tests of one tier (default: all tests)"
    )
    parser.addoption(
        "--until",
        type=float,
        metavar="TIME",
        help="skip tests that have not begun by then, in seconds since 1970 (default: none)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    until = item.config.getoption("--until")
    if until is not None and time.time() > until:
        # Only where a run asks for it, as `.ci/run` does: it would be ended from outside, and all
        # its results lost.
        pytest.skip("left out: there is no time for it")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return tiers.is_ignored(collection_path, config.getoption("--tier")) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tier = config.getoption("--tier")
    belongs = {item: tiers.belongs(item, tier) for item in items}
    others = [item for item in items if not belongs[item]]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if belongs[item]]
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of one problem, or else of one file, share a worker. `--dist loadgroup` does nothing
    with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    # In the order of the files. By the number of its tests, a file with few and long ones would be
    # the last.
    config.option.loadscopereorder = False
    return ByGroup(config, log)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Chrome]":
    from parity_tests.tests.docs.browser import started

    with started(tmp_path_factory.mktemp("chromium")) as chrome:
        yield chrome


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the documentation, built once per worker, which takes a few seconds."""
    from parity_tests.tests.docs.site import build

    folder = tmp_path_factory.mktemp("docs") / "site"
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder
