"""The dense detector: its parts by known cases, and the same loss curve in both frameworks."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from examples import detection_jax, detection_torch
from examples.detection import anchors, command, evaluate, network, recipe, results, scenes
from examples.detection.recipe import LOSSES, RECIPE, Answers, Run
from examples.detection.table import EARLY
from examples.schedule import learning_rates
from parity_tests.contract.exact import Draws
from parity_tests.tests import markdown

from .curves import difference

SMALL = replace(
    RECIPE,
    train=32,
    test=16,
    steps=50,
    looks=(25, 50),
    batch_size=4,
    stem=8,
    stages=(16, 16, 24),
    pyramid=16,
)
DATA = recipe.dataset("train", SMALL, 0)
TEST = recipe.dataset("test", SMALL, 0)
WEIGHTS = network.initial_weights(SMALL, 0)
FOCAL = LOSSES["focal, γ = 2"]


@pytest.fixture(autouse=True)
def as_a_reader_runs_it() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def curve(script: ModuleType, loss: recipe.Loss, recipe: recipe.Recipe = SMALL) -> Run:
    return script.train(WEIGHTS, DATA, TEST, loss, recipe, 0, "float64")


@pytest.mark.parametrize("name", ["focal, γ = 2"])
def test_both_frameworks_train_the_same_detector(name: str) -> None:
    """Rounding grows with every step that builds on it: the requirement is that of the smaller
    examples."""
    ours = curve(detection_jax, LOSSES[name])
    theirs = curve(detection_torch, LOSSES[name])
    assert len(ours.losses) == 50
    assert difference(ours.losses, theirs.losses) <= 1e-9
    assert theirs.losses[-10:].mean() < theirs.losses[:10].mean(), "it learns"
    assert tuple(ours.answers) == tuple(theirs.answers) == SMALL.looks
    for step in SMALL.looks:
        for in_jax, in_torch in zip(ours.answers[step], theirs.answers[step], strict=True):
            assert np.abs(in_jax - in_torch).max() <= 1e-9 * np.abs(in_torch).max()


@pytest.mark.parametrize(
    "name", ["CE", "OHEM, 1:3", "focal, γ = 2, α = 0.25", "quality, γ = 2", "varifocal"]
)
def test_both_frameworks_have_the_same_losses_of_classes(name: str) -> None:
    """And the same gradients, for anchors of four scenes. No gradient goes to the boxes."""
    draws, targets = Draws(0), DATA.targets
    logits = draws.uniform(-4, 4, (*targets.labels[:4].shape, scenes.CLASSES))
    answers = draws.uniform(-2, 2, (*targets.labels[:4].shape, 4))
    rest = targets.labels[:4], targets.judged[:4], np.float64(targets.boxes[:4])

    of_jax = partial(detection_jax.class_loss, LOSSES[name])
    ours, gradients = jax.value_and_grad(of_jax, (0, 1))(logits, answers, *map(jnp.asarray, rest))
    inputs = [torch.tensor(x, requires_grad=True) for x in (logits, answers)]
    theirs = detection_torch.class_loss(LOSSES[name], *inputs, *map(torch.tensor, rest))
    theirs.backward()
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-12)
    assert inputs[0].grad is not None
    assert np.asarray(gradients[0]) == pytest.approx(inputs[0].grad.numpy(), rel=1e-9, abs=1e-15)
    assert inputs[1].grad is None
    assert not np.asarray(gradients[1]).any()


def test_the_hardest_background_counts_and_every_digit() -> None:
    """Of two scenes, one with a digit and one without."""
    losses = torch.tensor([[1.0, 5.0, 3.0, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    positive = torch.tensor([[True, False, False, False, False], [False] * 5])
    kept = detection_torch.hardest(losses, positive, 2)
    assert kept.tolist() == [[True, True, False, False, True], [False] * 5]


@pytest.mark.parametrize("script", [detection_jax, detection_torch])
def test_anchors_that_are_not_judged_are_no_hard_background(script: ModuleType) -> None:
    """One digit, an anchor that is not judged and has the largest loss, and three others."""
    array = torch.tensor if script is detection_torch else jnp.asarray
    logits = np.full((1, 5, scenes.CLASSES), -20.0)
    logits[0, :, 0] = [0.0, 9.0, 1.0, -1.0, 2.0]
    labels, judged = np.array([[0, -1, -1, -1, -1]]), np.array([[True, False, True, True, True]])
    boxes = np.zeros((1, 5, 4))
    kept = np.array([[True, False, True, False, True]])
    losses = []
    for negatives, mask in ((2, judged), (None, kept)):
        loss = recipe.Loss(None, 0.0, negatives=negatives)
        inputs = map(array, (logits, boxes, labels, mask, boxes))
        losses.append(float(script.class_loss(loss, *inputs)))
    assert losses[0] == losses[1]


def test_overlaps_in_units_of_anchors_are_those_in_pixels() -> None:
    """Of boxes within the scene, at whose sides decoding cuts others."""
    draws, shape = Draws(1), (2, len(anchors.ANCHORS), 4)
    these, those = draws.uniform(-2, 2, shape)
    decoded = anchors.decode(these), anchors.decode(those)
    within = np.stack([(boxes > 0) & (boxes < scenes.SIDE) for boxes in decoded]).all((0, 2))
    pairs = zip(decoded[0][within], decoded[1][within], strict=True)
    known = [anchors.overlaps(one[None], other[None]).item() for one, other in pairs]
    found = detection_torch.overlaps(torch.tensor(these), torch.tensor(those))
    assert found.numpy()[within] == pytest.approx(np.array(known), abs=1e-12)
    assert min(known) < 0.3 < max(known)


def test_the_learning_rate_goes_up_and_down_once() -> None:
    rates = learning_rates(RECIPE)
    top = round(RECIPE.warm_up * RECIPE.steps)
    assert rates.argmax() == top
    assert rates[top] == pytest.approx(RECIPE.learning_rate)
    assert rates[0] == pytest.approx(RECIPE.learning_rate / 25)
    assert rates[-1] < RECIPE.learning_rate / 10_000
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()


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
    for loss in (FOCAL, LOSSES["CE, no prior"]):
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


def answers(shift: float = 0.0, other_class: int = 0) -> Answers:
    """What a detector would say that knows the truth, or nearly. The background answers with its
    anchors."""
    labels = TEST.targets.labels
    is_digit = (labels >= 0)[..., None]
    boxes = np.where(is_digit, TEST.targets.boxes, 0) + np.array([shift, 0, 0, 0])
    classes = (labels + other_class) % scenes.CLASSES
    is_class = classes[..., None] == np.arange(scenes.CLASSES)
    logits = np.where(is_digit & is_class, 9.0, -9.0)
    return Answers(logits, boxes)


def scores(answers: Answers) -> evaluate.Scores:
    return evaluate.scores(TEST, evaluate.detections(answers))


def test_average_precision_of_known_answers() -> None:
    assert scores(answers()) == pytest.approx((1, 1, 1))
    shifted = scores(answers(shift=4.0))
    assert 0 < shifted.ap < 0.8 * shifted.ap50
    confused = scores(answers(other_class=1))
    assert max(confused) < 0.1


def test_the_command_resumes_prints_every_loss_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "RECIPE", replace(SMALL, train=8, test=8, steps=2, looks=(1, 2)))
    trained = []

    def train(*args: Any) -> Run:
        trained.append(args[3])
        return detection_torch.train(*args)

    argv = ["detection_torch", "--out", str(tmp_path)]
    for options in (["--loss", "CE"], [], ["--markdown"]):
        monkeypatch.setattr("sys.argv", [*argv, *options])
        command.main("torch", detection_torch.__doc__, train)
        out = capsys.readouterr().out
    assert trained == [LOSSES[name] for name in ("CE", "CE, no prior", "focal, γ = 2")]
    assert [row[0] for row in markdown.rows(out)] == ["loss", *recipe.FEW]
    for picture in ("first", "more", "fewer", "losses", "curves"):
        png = (tmp_path / f"detection_{picture}.png").read_bytes()
        assert png.startswith(b"\x89PNG")


def test_the_short_command_has_a_recipe_and_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SHORT", replace(SMALL, train=8, test=8, steps=2, looks=(1, 2)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["detection_torch", "--short", "--loss", "CE"])
    command.main("torch", None, detection_torch.train)
    rows = results.read(tmp_path / "out" / "detection_torch_short" / "results.csv")
    assert [row.step for row in rows] == [1, 2]
    # It is looked at after the last step, and where the table has its early AP.
    assert recipe.SHORT.steps == recipe.SHORT.looks[-1] < recipe.RECIPE.steps
    assert EARLY in recipe.SHORT.looks


def test_the_quick_command_trains_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "QUICK", replace(SMALL, train=8, test=8, steps=1, looks=(1,)))
    argv = ["detection_torch", "--quick", "--loss", "CE", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", argv)
    trained = []

    def train(*args: Any) -> Run:
        trained.append(args[3])
        return detection_torch.train(*args)

    for _ in range(2):
        command.main("torch", None, train)
    assert len(trained) == 2
    monkeypatch.setattr("sys.argv", [argv[0], *argv[2:]])
    with pytest.raises(SystemExit, match="recipe"):
        command.main("torch", None, train)
    assert len(trained) == 2, "nothing is mixed"
    (row,) = results.read(tmp_path / "results.csv")
    assert row[1:4] == ("CE", 0, 1)
