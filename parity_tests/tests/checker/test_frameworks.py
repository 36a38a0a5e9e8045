"""Ports in TensorFlow, and in Keras on JAX, through the command, as their users run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parity_tests.tests import ROOT

PORTS = {
    "tensorflow": """
import tensorflow as tf

def focal(labels, scores):
    u = (2 * labels - 1) * scores
    return tf.sigmoid(-u) ** 2 * tf.math.softplus(-u)
""",
    "keras": """
from keras import ops

def focal(labels, scores):
    u = (2 * labels - 1) * scores
    return ops.sigmoid(-u) ** 2 * ops.softplus(-u)
""",
}
OPTIONS = (
    *("--as", "sigmoid_focal_loss", "--map", "logits=scores", "--map", "targets=labels"),
    *("--set", "gamma=2", "--set", "alpha=none"),
)
ORDINARY = '{"logits": 0.5, "targets": 0, "gamma": 2.0, "alpha": null}'


@pytest.mark.parametrize(("framework", "backend"), [("tensorflow", ""), ("keras", "jax")])
def test_a_port_of_another_framework(tmp_path: Path, framework: str, backend: str) -> None:
    """All values pass; and at an ordinary point, where these formulas are accurate, both
    derivatives too."""
    (tmp_path / "losses.py").write_text(PORTS[framework])
    done = run(tmp_path, backend, "--layer", "values", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["framework"] == framework
    assert report["versions"][framework]
    counts = {row["layer"]: row["count"] for row in report["rows"]}
    assert counts["values"] == 200
    done = run(tmp_path, backend, "--at", ORDINARY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gradient" in done.stdout
    assert "second" in done.stdout


def run(folder: Path, backend: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "parity_tests.checker.cli", "check", "losses:focal"]
    command += [*OPTIONS, *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if backend:
        env["KERAS_BACKEND"] = backend
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
