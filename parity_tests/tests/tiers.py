"""Three tiers of tests: `--tier quick`, `--tier test`, `--tier slow`. Without the option all of
them are run.

    quick   the numbered layers on a small grid, with both packages: the inner loop
    test    what the claims of the README rest on; its packages are those of the extra [test]
    slow    the rest: compilers for accelerators, browsers, peers, long trainings, many processes

A file is slow as a whole, so that what it imports need not be installed for the others, or it marks
some of its tests with `pytest.mark.slow`. JAX without jit compiles every operation by itself, which
takes longer than the whole loss: beyond the small grid in float32 that is slow, too.
"""

from pathlib import Path
from typing import Any

import pytest

from parity_tests.contract.suite import PROBLEMS, SMALL_GRID
from parity_tests.ports.packages import EAGER_JAX, JAX, PORTS, TORCH

TIERS = ("quick", "test", "slow")
COMPILERS, BROWSER, PEERS = "compilers for GPU and TPU", "a browser", "other implementations"
PROCESSES, TRAINING, TIMES = "many processes", "long trainings", "benchmarks"
SLOW_FILES = {
    "test_accelerator_bytes.py": COMPILERS,
    "test_accelerators.py": COMPILERS,
    "test_audit.py": PEERS,
    "test_benchmarks.py": TIMES,
    "test_benchmarks_device.py": TIMES,
    "test_calibration.py": TRAINING,
    "test_detection.py": TRAINING,
    "test_extras.py": PROCESSES,
    "test_family_costs.py": TIMES,
    "test_frameworks.py": PEERS,
    "test_keras_recipe.py": PEERS,
    "test_migration.py": PEERS,
    "test_mutants.py": PROCESSES,
    "test_onnx.py": PEERS,
    "test_page.py": BROWSER,
    "test_plugin.py": PROCESSES,
    "test_pods.py": COMPILERS,
    "test_porting.py": PEERS,
    "test_segmentation.py": TRAINING,
    "test_site.py": BROWSER,
    "test_site_figure.py": BROWSER,
    "test_site_layout.py": BROWSER,
    "test_split.py": PROCESSES,
    "test_split_faults.py": PROCESSES,
    "test_split_models.py": PROCESSES,
    "test_training_sharded.py": TRAINING,
    "test_vocabulary.py": TRAINING,
}

# Beside the small grid of problems: one γ that is no whole number and the usual one, and each
# package in its usual way.
QUICK_GAMMAS = (0.5, 2.0)


def is_ignored(path: Path, tier: str | None) -> bool:
    """Whether a file has no test of a tier, and is not even imported."""
    if tier == "quick":
        return path.name.startswith("test_") and not is_layer(path)
    return tier == "test" and path.name in SLOW_FILES


def is_layer(path: Path) -> bool:
    """Whether a file is one of the numbered layers."""
    return path.name.removeprefix("test_")[:1].isdecimal()


def belongs(item: pytest.Item, tier: str | None) -> bool:
    """Whether a test is one of a tier."""
    if tier is None:
        return True
    marked = item.path.name in SLOW_FILES or item.get_closest_marker("slow") is not None
    slow = marked or is_eager_jax_beyond_the_small_grid(item)
    if tier == "quick":
        return not slow and item.get_closest_marker("not_quick") is None and is_on_small_grid(item)
    return slow == (tier == "slow")


def is_eager_jax_beyond_the_small_grid(item: pytest.Item) -> bool:
    """Whether a test is that of JAX without jit on a problem that is not small, or in float64."""
    params = parameters(item)
    name = params.get("name")
    is_small = name in SMALL_GRID and "float32" in name
    return params.get("port") == EAGER_JAX and name in PROBLEMS and not is_small


def parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec else {}


def is_on_small_grid(item: pytest.Item) -> bool:
    params = parameters(item)
    problem = params.get("name")
    port = params.get("port")
    if problem in PROBLEMS and problem not in SMALL_GRID:
        return False
    if params.get("dtype") == "float64":
        return False
    if port in PORTS and port not in (JAX, TORCH):
        return False
    return params.get("gamma", 2.0) in QUICK_GAMMAS
