"""A batch that is split over devices or ranks gives the curve of one device, also after the process
was killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.training.caravan import RECIPE, Arrays, batches, dataset, initial_weights
from parity_tests.tests import ROOT

from .curves import difference

EPOCHS, STEPS = 3, 31
JAX, TORCH = "sharded_jax", "ddp_torch"

# Two orders of a sum of n positive terms differ by at most n·eps. So do weights, which fewer than n
# steps of a thousandth change by less.
TOLERANCE = RECIPE.batch_size * float(np.finfo(float).eps)


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the first run in JAX compiles, the next ones load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        yield


def command(framework: str, out: Path) -> list[str]:
    """Arguments of Python."""
    return ["-m", f"examples.training.train_{framework}", f"--out={out}", f"--epochs={EPOCHS}"]


def started(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    python = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(python, cwd=ROOT, capture_output=True, text=True, timeout=300)


def run(framework: str, out: Path) -> str:
    done = started(command(framework, out))
    assert done.returncode == 0, done.stderr
    return done.stdout


def curves(framework: str, out: Path) -> Arrays:
    with np.load(out / f"curves_{framework}_float64.npz", allow_pickle=False) as file:
        names, curves = file["runs"].tolist(), file["curves"]
    assert curves.shape[1] == EPOCHS * STEPS
    return dict(zip(names, curves, strict=True))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run in JAX."""
    folder = tmp_path_factory.mktemp("out")
    run(JAX, folder)
    return folder


@pytest.fixture(scope="module")
def in_jax(out: Path) -> Arrays:
    return curves(JAX, out)


@pytest.fixture(scope="module")
def in_torch(out: Path) -> Arrays:
    run(TORCH, out)
    return curves(TORCH, out)


def test_eight_devices_are_one(in_jax: Arrays) -> None:
    assert difference(in_jax["8 devices"], in_jax["1 device"]) <= TOLERANCE


def test_four_ranks_are_one_process(in_torch: Arrays) -> None:
    assert difference(in_torch["4 ranks"], in_torch["1 process"]) <= TOLERANCE


def test_four_ranks_are_eight_devices(in_jax: Arrays, in_torch: Arrays) -> None:
    assert difference(in_torch["4 ranks"], in_jax["8 devices"]) <= 1e-9


def test_own_divisors_would_be_noticed(in_jax: Arrays, in_torch: Arrays) -> None:
    assert difference(in_jax["8 devices, own divisors"], in_jax["1 device"]) > 1e-9
    assert difference(in_torch["4 ranks, own divisors"], in_torch["1 process"]) > 1e-9


def test_first_losses_are_those_of_the_formula(in_jax: Arrays, in_torch: Arrays) -> None:
    data = dataset()
    batch = batches(len(data.train_y))[0, 0]
    y = data.train_y[batch]
    losses = textbook(data.train_x[batch], y, initial_weights())

    def expected(edges: Sequence[int]) -> Any:
        return pytest.approx(mean_of_parts(losses, y, edges), rel=1e-12)

    assert in_jax["8 devices"][0] == expected([])
    assert in_torch["4 ranks"][0] == expected([])
    # Eight shards of 16 rows, and four whose lengths the example chooses.
    assert in_jax["8 devices, own divisors"][0] == expected(range(16, 128, 16))
    assert in_torch["4 ranks, own divisors"][0] == expected([8, 32, 72])


def textbook(x: np.ndarray, y: np.ndarray, weights: Arrays) -> np.ndarray:
    """The loss of each customer before the training. No logit is large there."""
    for layer in ("first", "second"):
        x = np.tanh(x @ weights[f"{layer}.kernel"] + weights[f"{layer}.bias"])
    z = (x @ weights["last.kernel"] + weights["last.bias"])[:, 0]
    p = 1 / (1 + np.exp(np.where(y, -z, z)))
    alpha = np.where(y, 0.25, 0.75)
    return alpha * (1 - p) ** 2 * -np.log(p)


def mean_of_parts(losses: np.ndarray, y: np.ndarray, edges: Sequence[int]) -> float:
    """The mean of what shards would return that each divide by their own positives."""
    shards = zip(np.split(losses, edges), np.split(y, edges), strict=True)
    means = [part.sum() / max(1, positive.sum()) for part, positive in shards]
    return float(np.mean(means))


# The example, with a checkpoint manager that kills its process once the first epoch of a run is
# saved.
KILLED_AFTER_ONE_EPOCH = """
import os, runpy, signal, sys
from orbax.checkpoint import CheckpointManager

save = CheckpointManager.save

def save_and_kill(self, *args, **settings):
    save(self, *args, **settings)
    if self.directory.name == "8 devices":
        self.wait_until_finished()
        os.kill(os.getpid(), signal.SIGKILL)

CheckpointManager.save = save_and_kill
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def test_a_run_that_was_killed_goes_on(in_jax: Arrays, tmp_path: Path) -> None:
    _, *module_and_options = command(JAX, tmp_path)
    done = started(["-c", KILLED_AFTER_ONE_EPOCH, *module_and_options])
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert f"8 devices: goes on from step {STEPS}\n" in run(JAX, tmp_path)
    again = curves(JAX, tmp_path)
    assert list(again) == list(in_jax)
    for name, curve in in_jax.items():
        assert again[name].tobytes() == curve.tobytes(), name
