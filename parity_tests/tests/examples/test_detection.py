"""The dense detector: its parts by known cases, and the same loss curve in both frameworks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import jax
import numpy as np
import pytest
import torch

from examples import detection_jax, detection_torch
from examples.detection import anchors, command, evaluate, recipe, scenes
from examples.detection.recipe import LOSSES, RECIPE, Run
from parity_tests.contract.exact import Draws
from parity_tests.pages.make_readme import ROOT, tables
from parity_tests.tests import markdown

from .curves import difference

SMALL = replace(RECIPE, train=32, test=16, steps=50, batch_size=4)
DATA = recipe.dataset("train", SMALL, 0)
TEST = recipe.dataset("test", SMALL, 0)
WEIGHTS = recipe.initial_weights(0)
FOCAL = LOSSES["focal, γ = 2"]


@pytest.fixture(autouse=True)
def as_a_reader_runs_it() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def curve(script: ModuleType, loss: recipe.Loss, recipe: recipe.Recipe = SMALL) -> Run:
    return script.train(WEIGHTS, DATA, TEST, loss, recipe, 0, "float64")


@pytest.mark.parametrize("name", ["cross entropy", "focal, γ = 0.5", "focal, γ = 2"])
def test_both_frameworks_train_the_same_detector(name: str) -> None:
    """Rounding grows with every step that builds on it: the requirement is that of the smaller
    examples."""
    ours = curve(detection_jax, LOSSES[name])
    theirs = curve(detection_torch, LOSSES[name])
    assert len(ours.losses) == 50
    assert difference(ours.losses, theirs.losses) <= 1e-9
    assert np.abs(ours.shares - theirs.shares).max() <= 1e-9
    assert theirs.losses[-10:].mean() < theirs.losses[:10].mean(), "it learns"
    for in_jax, in_torch in ((ours.logits, theirs.logits), (ours.boxes, theirs.boxes)):
        assert np.abs(in_jax - in_torch).max() <= 1e-9 * np.abs(in_torch).max()


@pytest.mark.parametrize(
    ("loss", "recipe"),
    [
        (FOCAL._replace(gamma=2.001), SMALL),
        (FOCAL, replace(SMALL, learning_rate=SMALL.learning_rate * (1 + 1e-6))),
    ],
    ids=["another loss", "another learning rate"],
)
def test_the_agreement_can_fail(loss: recipe.Loss, recipe: recipe.Recipe) -> None:
    ours = curve(detection_torch, FOCAL)
    theirs = curve(detection_torch, loss, recipe)
    assert difference(ours.losses, theirs.losses) > 1e-9


def test_the_first_scores_are_those_of_the_prior() -> None:
    images = torch.tensor(DATA.images[:4], dtype=torch.float32)
    for loss in LOSSES.values():
        model, _ = detection_torch.start(WEIGHTS, loss, torch.float32, SMALL)
        with torch.no_grad():
            logits, _ = model(images)
        score = torch.sigmoid(logits).median()
        assert float(score) == pytest.approx(loss.prior, rel=0.1)


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
        assert np.array_equal(anchors.overlaps(boxes, boxes), np.eye(len(boxes)))


def test_overlaps_of_known_boxes() -> None:
    """A square of 2 by 2 and others of that size, by how far they are moved."""
    box = np.array([0.0, 0.0, 2.0, 2.0])
    moved = np.array([[0, 0], [1, 0], [1, 1], [2, 0]])
    others = box + np.concatenate([moved, moved], 1)
    assert anchors.overlaps(box[None], others).tolist() == [[1, 2 / 6, 1 / 7, 0]]


def test_boxes_come_back_from_what_the_heads_are_to_answer() -> None:
    draws = Draws(0)
    low = draws.uniform(0, 60, (len(anchors.ANCHORS), 2))
    high = low + draws.uniform(5, 36, low.shape)
    boxes = np.concatenate([low, high], 1)
    decoded = anchors.decode(anchors.encode(boxes))
    assert np.abs(decoded - boxes).max() <= 1e-12 * scenes.SIDE


def test_the_best_of_boxes_that_overlap_is_kept() -> None:
    """Squares of 10 by 10, all but one nearly in the same place."""
    low = np.array([[0.0, 0], [1, 0], [20, 20], [0, 0]])
    boxes = np.concatenate([low, low + 10], 1)
    scores = np.array([0.5, 0.9, 0.1, 0.4])
    assert anchors.suppress(boxes, scores).tolist() == [1, 2]


def answers(shift: float = 0.0, other_class: int = 0) -> Run:
    """What a detector would say that knows the truth, or nearly. The background answers with its
    anchors."""
    labels = TEST.targets.labels
    is_digit = (labels >= 0)[..., None]
    boxes = np.where(is_digit, TEST.targets.boxes, 0) + np.array([shift, 0, 0, 0])
    classes = (labels + other_class) % scenes.CLASSES
    is_class = classes[..., None] == np.arange(scenes.CLASSES)
    logits = np.where(is_digit & is_class, 9.0, -9.0)
    return Run(np.zeros(1), np.zeros(1), logits, boxes)


def scores(run: Run) -> evaluate.Scores:
    return evaluate.scores(TEST, evaluate.detections(run))


def test_average_precision_of_known_answers() -> None:
    assert scores(answers()) == pytest.approx((1, 1, 1))
    shifted = scores(answers(shift=4.0))
    assert 0 < shifted.ap < 0.8 * shifted.ap50
    confused = scores(answers(other_class=1))
    assert max(confused) < 0.1


def test_the_command_prints_every_loss_and_writes_both_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "QUICK", replace(SMALL, test=8, steps=2))
    argv = ["detection_torch", "--quick", "--out", str(tmp_path)]
    for options in ([], ["--markdown"]):
        monkeypatch.setattr("sys.argv", [*argv, *options])
        command.main("torch", detection_torch.__doc__, detection_torch.train)
        out = capsys.readouterr().out
        assert [name for name in LOSSES if name not in out] == []
    assert out.count("\n| ") == len(LOSSES) + 1
    for picture in ("scenes", "losses"):
        png = (tmp_path / f"detection_torch_{picture}.png").read_bytes()
        assert png.startswith(b"\x89PNG")


class Precision(NamedTuple):
    """Average precision over the seeds, as a row of the table of the page has it."""

    mean: float
    worst: float
    best: float


def precision(mean: str, seeds: str) -> Precision:
    worst, best = map(float, seeds.split("–"))
    return Precision(float(mean), worst, best)


def test_what_the_page_says_of_its_table() -> None:
    (table,) = tables((ROOT / "docs" / "detection.md").read_text()).values()
    _, *rows = markdown.rows(table)
    assert [row[0] for row in rows] == list(LOSSES)
    precisions = [precision(mean, seeds) for _, mean, seeds, *_ in rows]
    plain, balanced, prior, half, one, two, five = precisions
    assert prior.mean > 3 * max(plain.mean, balanced.mean)
    assert min(half.mean, one.mean) > prior.mean > two.mean > five.mean
    assert half.worst > prior.best, "in every seed"
    assert prior.best > one.worst, "on average alone"
    assert two.best > prior.worst
    assert five.worst < balanced.mean < five.best, "about as precise"
