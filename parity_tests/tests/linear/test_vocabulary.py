"""A hundred thousand classes: what the loss of a linear layer saves, as the benchmark and the
example say."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from benchmarks.process import fresh
from benchmarks.vocabulary import command as vocabulary
from benchmarks.vocabulary.command import MEMORY, Row
from benchmarks.vocabulary.layers import FULL, JAX, QUICK, Shape, temporaries
from examples import large_vocabulary
from parity_tests.tests import ROOT

EPS = float(np.finfo(np.float32).eps)


def of_chunks(shape: Shape, chunk: int) -> int:
    return temporaries(partial(JAX.fused, chunk_size=chunk), shape)


def test_temporaries_are_those_of_a_chunk() -> None:
    """A step makes the logits of a chunk and their slope; the rest are gradients, as large as the
    arguments."""
    tokens, size, classes = QUICK
    grads = (tokens + classes) * size
    for chunk in (32, 128, 512):
        logits_and_slopes = 2 * chunk * classes
        numbers = logits_and_slopes + grads + 16 * tokens
        assert of_chunks(QUICK, chunk) <= 4 * numbers
    assert of_chunks(QUICK, 512) > 2 * of_chunks(QUICK, 32)
    unfused = temporaries(JAX.unfused, FULL)
    assert temporaries(JAX.fused, FULL) <= MEMORY * unfused


def test_temporaries_do_not_grow_with_all_logits() -> None:
    twice = QUICK._replace(tokens=2 * QUICK.tokens)
    more = of_chunks(twice, 128) - of_chunks(QUICK, 128)
    assert more <= 4 * QUICK.tokens * (QUICK.size + 16)
    more_unfused = temporaries(JAX.unfused, twice) - temporaries(JAX.unfused, QUICK)
    assert more_unfused >= 4 * QUICK.tokens * QUICK.classes


def test_a_broken_requirement_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def row(ratio: float) -> Row:
        return Row(JAX, "memory", "1 MiB", "2 MiB", ratio, "", MEMORY)

    monkeypatch.setattr(vocabulary, "growth", lambda shape: iter([("1", "2", "3", "4")]))
    monkeypatch.setattr(vocabulary, "of_peer", lambda *_: iter([row(0.5)]))
    for ratio, of_half, code in ((0.5, 0.1, 1), (0.1, 0.5, 1), (0.1, 0.1, 0)):
        monkeypatch.setattr(vocabulary, "rows", lambda *_, ratio=ratio: iter([row(ratio)]))
        monkeypatch.setattr(vocabulary, "of_mask", lambda *_, ratio=of_half: row(ratio))
        assert vocabulary.main([]) == code


def test_both_losses_train_alike_where_memory_is_enough() -> None:
    """Two orders of a sum over rows, and of one over features, differ by a few units of eps for
    each step."""
    recipe = large_vocabulary.Recipe(
        words=100_000, classes=2000, batch=256, steps=3, judged=64, width=16
    )
    train = partial(fresh, 200, large_vocabulary.attempt)
    fused, unfused = (train(name, recipe, bound=False) for name in large_vocabulary.LOSSES)
    assert len(fused.curve) == recipe.steps
    roundings = recipe.steps * recipe.width
    np.testing.assert_allclose(fused.curve, unfused.curve, rtol=roundings * EPS)


def test_the_example_fits_where_all_logits_do_not(tmp_path: object) -> None:
    program = ["-W", "error", "-m", "examples.large_vocabulary", "--quick", f"--out={tmp_path}"]
    command = [sys.executable, *program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("│")]
    lines = {line.split()[1]: line for line in table}
    assert "refused" in lines["unfused"]
    assert "RESOURCE_EXHAUSTED: Out of memory" in done.stdout
    # What it took is in its line; that it was under the limit is known from its end.
    memory = lines["fused"].split("│")[3]
    assert int(memory.split()[0]) > 0
    with np.load(f"{tmp_path}/curve_large_vocabulary.npz", allow_pickle=False) as file:
        curve = file["curve"]
    assert len(curve) == large_vocabulary.QUICK.steps
    # It has learned which words are frequent, without which each of 10,000 is as likely.
    assert curve[-1] < curve[0] - 1
