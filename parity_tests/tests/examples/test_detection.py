"""The dense detector: its parts by known cases, and the same loss curve in both frameworks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
import torch

from examples import detection_jax, detection_torch
from examples.detection import anchors, command, evaluate, recipe, scenes
from examples.detection.recipe import LOSSES, RECIPE, Run
from parity_tests.contract.exact import Draws
from parity_tests.pages.make_readme import ROOT, tables

SMALL = replace(RECIPE, train=32, test=16, steps=50, batch_size=4)
DATA, TEST = recipe.dataset("train", SMALL, 0), recipe.dataset("test", SMALL, 0)
WEIGHTS = recipe.initial_weights(0)
# The rows of the table by their place.
PRIOR, HALF, ONE, TWO, FIVE = range(2, 7)


@pytest.fixture(autouse=True)
def as_a_reader_runs_it() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def curve(script: ModuleType, loss: recipe.Loss, recipe: recipe.Recipe = SMALL) -> Run:
    return script.train(WEIGHTS, DATA, TEST, loss, recipe, 0, "float64")


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.max(np.abs(ours - theirs) / np.abs(theirs)))


@pytest.mark.parametrize("name", ["cross entropy", "focal, γ = 0.5", "focal, γ = 2"])
def test_both_frameworks_train_the_same_detector(name: str) -> None:
    """Rounding grows with every step that builds on it: the requirement is that of the smaller
    examples."""
    ours, theirs = curve(detection_jax, LOSSES[name]), curve(detection_torch, LOSSES[name])
    assert len(ours.losses) == 50
    assert difference(ours.losses, theirs.losses) <= 1e-9
    assert np.abs(ours.shares - theirs.shares).max() <= 1e-9
    assert theirs.losses[-10:].mean() < theirs.losses[:10].mean(), "it learns"
    for one, other in ((ours.logits, theirs.logits), (ours.boxes, theirs.boxes)):
        assert np.abs(one - other).max() <= 1e-9 * np.abs(other).max()


def test_the_agreement_can_fail() -> None:
    ours = curve(detection_torch, LOSSES["focal, γ = 2"])
    for loss, other in (
        (LOSSES["focal, γ = 2"]._replace(gamma=2.001), SMALL),
        (LOSSES["focal, γ = 2"], replace(SMALL, learning_rate=SMALL.learning_rate * (1 + 1e-6))),
    ):
        assert difference(ours.losses, curve(detection_torch, loss, other).losses) > 1e-9


def test_the_first_scores_are_those_of_the_prior() -> None:
    for loss in LOSSES.values():
        model, _ = detection_torch.start(WEIGHTS, loss, torch.float32, SMALL)
        with torch.no_grad():
            first = torch.sigmoid(model(torch.tensor(DATA.images[:4], dtype=torch.float32))[0])
        assert float(first.median()) == pytest.approx(loss.prior, rel=0.1)


def test_thousands_of_anchors_are_background_and_few_are_digits() -> None:
    assert DATA.targets.labels.shape == (SMALL.train, len(anchors.ANCHORS))
    assert len(anchors.ANCHORS) > 2000
    assert 0.001 < (DATA.targets.labels >= 0).mean() < 0.02


def test_every_digit_has_an_anchor() -> None:
    for labels, digits in zip(DATA.targets.labels, DATA.scenes.labels, strict=True):
        assert set(digits) == set(labels[labels >= 0])
    assert (DATA.targets.judged | (DATA.targets.labels < 0)).all()


def test_training_and_test_scenes_have_nothing_in_common() -> None:
    assert not set(scenes.BACKGROUNDS["train"]) & set(scenes.BACKGROUNDS["test"])
    assert not set(scenes.DIGITS["train"]) & set(scenes.DIGITS["test"])


def test_scenes_are_those_of_their_seed() -> None:
    again, other = scenes.scenes("train", 4, 0), scenes.scenes("train", 4, 1)
    assert (again.images == DATA.scenes.images[:4]).all()
    assert (other.images != DATA.scenes.images[:4]).any()


def test_digits_are_in_the_scene_and_apart() -> None:
    for boxes in DATA.scenes.boxes:
        assert (boxes >= 0).all()
        assert (boxes <= scenes.SIDE).all()
        assert np.allclose(anchors.overlaps(boxes, boxes), np.eye(len(boxes)), rtol=0, atol=0)


def test_overlaps_of_known_boxes() -> None:
    box = np.array([[0.0, 0.0, 2.0, 2.0]])
    others = np.array(
        [[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], [1.0, 1.0, 3.0, 3.0], [2.0, 0.0, 4.0, 2.0]]
    )
    assert anchors.overlaps(box, others).tolist() == [[1, 2 / 6, 1 / 7, 0]]


def test_boxes_come_back_from_what_the_heads_are_to_answer() -> None:
    draws = Draws(0)
    low = draws.uniform(0, 60, (len(anchors.ANCHORS), 2))
    boxes = np.concatenate([low, low + draws.uniform(5, 36, low.shape)], 1)
    assert np.abs(anchors.decode(anchors.encode(boxes)) - boxes).max() <= 1e-12 * scenes.SIDE


def test_the_best_of_boxes_that_overlap_is_kept() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [0, 0, 10, 10]])
    assert anchors.suppress(boxes, np.array([0.5, 0.9, 0.1, 0.4])).tolist() == [1, 2]


def answers(shift: float = 0.0, other_class: int = 0) -> Run:
    """What a detector would say that knows the truth, or nearly. The background answers with its
    anchors."""
    labels = TEST.targets.labels
    boxes = np.where((labels >= 0)[..., None], TEST.targets.boxes, 0)
    classes = (labels + other_class) % scenes.CLASSES
    logits = np.where(
        (labels >= 0)[..., None] & (classes[..., None] == np.arange(scenes.CLASSES)), 9.0, -9.0
    )
    return Run(np.zeros(1), np.zeros(1), logits, boxes + np.array([shift, 0, 0, 0]))


def test_average_precision_of_known_answers() -> None:
    perfect, shifted, confused = (
        evaluate.scores(TEST, evaluate.found(run))
        for run in (answers(), answers(4.0), answers(other_class=1))
    )
    assert perfect == pytest.approx((1, 1, 1))
    assert 0 < shifted.ap < 0.8 * shifted.ap50
    assert max(confused) < 0.1


def test_the_command_prints_every_loss_and_writes_both_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "QUICK", replace(SMALL, test=8, steps=2))
    for options in ([], ["--markdown"]):
        monkeypatch.setattr(
            "sys.argv", ["detection_torch", "--quick", "--out", str(tmp_path), *options]
        )
        command.main("torch", detection_torch.__doc__, detection_torch.train)
        out = capsys.readouterr().out
        assert [name for name in LOSSES if name not in out] == []
    assert out.count("\n| ") == len(LOSSES) + 1
    for picture in ("scenes", "losses"):
        assert (tmp_path / f"detection_torch_{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_what_the_page_says_of_its_table() -> None:
    (table,) = tables((ROOT / "docs" / "detection.md").read_text()).values()
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()[2:]
    ]
    assert [row[0] for row in cells] == list(LOSSES)
    plain, balanced, prior, half, one, two, five = (float(row[1]) for row in cells)
    worst, best = ([float(row[2].split("–")[end]) for row in cells] for end in (0, 1))
    assert prior > 3 * max(plain, balanced)
    assert min(half, one) > prior > two > five
    assert worst[HALF] > best[PRIOR] > worst[ONE], "in every seed, and on average alone"
    assert best[TWO] > worst[PRIOR]
    assert worst[FIVE] < balanced < best[FIVE], "about as precise"
