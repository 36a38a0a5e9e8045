"""The losses for Keras of docs/recipes.md, with each backend: what is trained is saved, ids may be
floats, and Keras weights the samples."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import focal_torch
from parity_tests.contract.exact import Draws
from parity_tests.pages.page_code import blocks
from parity_tests.tests import ROOT

[CODE] = [code for code, _ in blocks(ROOT / "docs" / "recipes.md") if "KERAS_BACKEND" in code]
LOGITS = Draws(1808).uniform(-2, 2, (6, 3)).astype(np.float32)
IDS = np.array([0, 2, 1, 1, 0, 2])
LABELS = np.eye(3, dtype=np.float32)[IDS]
WEIGHTS = np.array([1, 2, 3, 4, 5, 6], np.float32)
# Roundings of float32 in a loss, and in the mean that Keras takes.
CLOSE = 16 * float(np.finfo(np.float32).eps)
# Run after the code of the page, in its process.
ANSWERS = """
import json
from pathlib import Path

given = json.loads(Path("given.json").read_text())
z, ids, labels, w = (np.array(given[name]) for name in ("logits", "ids", "labels", "weights"))
z = z.astype("float32")
softmax, sigmoid = SoftmaxFocal(gamma=1.5), SigmoidFocal(gamma=1.5)
config = keras.losses.serialize(SigmoidFocal(gamma=0.5, reduction="sum"))
copy = keras.losses.deserialize(config)
answers = {
    "rows": SoftmaxFocal(gamma=1.5, reduction=None)(ids, z),
    "rows of floats": SoftmaxFocal(gamma=1.5, reduction=None)(ids.astype("float32"), z),
    "mean": softmax(ids, z),
    "weighted": softmax(ids, z, sample_weight=w),
    "samples": SigmoidFocal(gamma=1.5, reduction=None)(labels, z),
    "sigmoid mean": sigmoid(labels, z),
    "sigmoid weighted": sigmoid(labels, z, sample_weight=w),
    "copied": copy(labels, z),
}
try:
    softmax(ids[:, None], z)
except ValueError as error:
    refused = str(error)
numbers = {name: keras.ops.convert_to_numpy(x).tolist() for name, x in answers.items()}
numbers |= {"refused": refused, "backend": keras.backend.backend()}
Path("answers.json").write_text(json.dumps(numbers))
"""


def truths() -> dict[str, np.ndarray]:
    """The same without Keras, in float64."""
    z = torch.tensor(LOGITS.astype(float))
    ids, labels = torch.tensor(IDS), torch.tensor(LABELS)
    rows = focal_torch.softmax_focal_loss(z, ids, gamma=1.5).numpy()
    samples = focal_torch.sigmoid_focal_loss(z, labels, alpha=None, gamma=1.5).numpy().mean(-1)
    others = focal_torch.sigmoid_focal_loss(z, labels, alpha=None, gamma=0.5).numpy().mean(-1)
    return {
        "rows": rows,
        "rows of floats": rows,
        "mean": rows.mean(),
        "weighted": (WEIGHTS * rows).mean(),
        "samples": samples,
        "sigmoid mean": samples.mean(),
        "sigmoid weighted": (WEIGHTS * samples).mean(),
        "copied": others.sum(),
    }


@pytest.fixture(scope="module", params=["jax", "torch"])
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the process of a backend says, after it has trained, saved and loaded."""
    backend = request.param
    folder = tmp_path_factory.mktemp(backend)
    given = {"logits": LOGITS, "ids": IDS, "labels": LABELS, "weights": WEIGHTS}
    lists = {name: array.tolist() for name, array in given.items()}
    Path(folder, "given.json").write_text(json.dumps(lists))
    command = [sys.executable, "-c", CODE + ANSWERS]
    settings = {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    env = os.environ | settings
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(Path(folder, "answers.json").read_text())
    assert found["backend"] == backend
    return found


@pytest.mark.parametrize("name", truths())
def test_numbers_are_those_of_the_losses(name: str, answers: Any) -> None:
    assert_allclose(answers[name], truths()[name], rtol=CLOSE)


def test_a_column_of_ids_is_refused(answers: Any) -> None:
    assert "expected shape (6,)" in answers["refused"]
