"""Strokes pixel by pixel: its parts by known cases, and the same training in both frameworks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from skimage.morphology import thin

from examples import segmentation_jax, segmentation_torch
from examples.detection import scenes as of_detection
from examples.segmentation import command, pictures, recipe, scenes
from examples.segmentation.recipe import LOSSES, RECIPE, Answers, Data, Run
from examples.segmentation.scores import intersection_over_union, scores
from parity_tests.pages import make_readme
from parity_tests.tests import ROOT, markdown

from .curves import difference

SMALL = replace(RECIPE, train=16, validation=4, test=4, batch_size=2, steps=50, looks=(25, 50))
PARTS = {part: recipe.dataset(part, SMALL, 0) for part in command.PARTS}
PAGE = ROOT / "docs" / "segmentation.md"
BOTH = LOSSES["Dice + focal, γ = 2"]


@pytest.fixture(autouse=True)
def as_a_reader_runs_it() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def trained(script: ModuleType, loss: recipe.Loss, recipe: recipe.Recipe = SMALL) -> Run:
    return script.train(PARTS, loss, recipe, 0, "float64")


def test_both_frameworks_train_the_same_network() -> None:
    ours, theirs = (trained(script, BOTH) for script in (segmentation_jax, segmentation_torch))
    assert len(ours.losses) == SMALL.steps
    assert difference(ours.losses, theirs.losses) <= 1e-9
    assert theirs.losses[-10:].mean() < theirs.losses[:10].mean(), "it learns"
    assert tuple(ours.answers) == tuple(theirs.answers) == SMALL.looks
    for step in SMALL.looks:
        for in_jax, in_torch in zip(ours.answers[step], theirs.answers[step], strict=True):
            assert np.abs(in_jax - in_torch).max() <= 1e-9 * np.abs(in_torch).max()


def test_both_frameworks_take_the_same_steps_with_alpha_and_without_dice() -> None:
    few = replace(SMALL, steps=5, looks=(5,))
    scripts = segmentation_jax, segmentation_torch
    ours, theirs = (trained(script, LOSSES["CE, α = 0.75"], few) for script in scripts)
    assert difference(ours.losses, theirs.losses) <= 1e-9


@pytest.mark.parametrize(
    ("loss", "rate"),
    [(BOTH._replace(gamma=2.001), 1.0), (BOTH, 1 + 1e-6), (BOTH._replace(dice=False), 1.0)],
    ids=["another loss", "another learning rate", "without Dice"],
)
def test_the_agreement_can_fail(loss: recipe.Loss, rate: float) -> None:
    few = replace(SMALL, steps=5, looks=(5,))
    other = replace(few, learning_rate=few.learning_rate * rate)
    ours = trained(segmentation_torch, BOTH, few)
    theirs = trained(segmentation_torch, loss, other)
    assert difference(ours.losses, theirs.losses) > 1e-9


def test_the_dice_loss_by_hand() -> None:
    """Scores ½ and ¼ on one stroke: 1 − (2·½ + 1) / (¾ + 1 + 1)."""
    logits, strokes = np.array([0.0, -np.log(3)]), np.array([True, False])
    expected = 1 - 2 / 2.75
    in_torch = segmentation_torch.dice_loss(torch.tensor(logits), torch.tensor(strokes))
    in_jax = segmentation_jax.dice_loss(jnp.asarray(logits), jnp.asarray(strokes))
    assert float(in_torch) == pytest.approx(expected, rel=1e-14)
    assert float(in_jax) == pytest.approx(expected, rel=1e-14)


def test_the_first_scores_are_those_of_the_prior() -> None:
    model, _ = segmentation_torch.start(torch.float32, SMALL, 0)
    with torch.no_grad():
        score = torch.sigmoid(model(torch.tensor(PARTS["test"].images, dtype=torch.float32)))
    assert float(score.median()) == pytest.approx(recipe.PRIOR, rel=0.1)


def test_few_pixels_are_strokes_and_strokes_are_thin() -> None:
    strokes = np.concatenate([part.scenes.strokes for part in PARTS.values()])
    assert 0.007 < strokes.mean() < 0.014
    thinned = np.stack([thin(scene) for scene in strokes])
    # Where two digits cross, something can be left to thin.
    assert thinned.sum() > 0.9 * strokes.sum()
    for scene in strokes:
        assert scene.any()


@pytest.mark.parametrize(("part", "source"), scenes.SOURCES.items())
def test_photographs_and_digits_are_those_of_the_part(
    part: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test scene has a photograph or a digit of training."""
    asked = []

    def photograph(name: str) -> np.ndarray:
        asked.append(name)
        return of_detection.photograph(name)

    def written_digits(part: str) -> tuple[np.ndarray, np.ndarray]:
        asked.append(part)
        return of_detection.written_digits(part)

    monkeypatch.setattr(scenes, "photograph", photograph)
    monkeypatch.setattr(scenes, "written_digits", written_digits)
    scenes.scenes(part, 1, 0)
    assert asked == [*of_detection.BACKGROUNDS[source], source]
    assert (source == "test") == (part == "test")


def test_parts_have_scenes_of_their_own() -> None:
    training, validation = (PARTS[part].scenes.images for part in ("train", "validation"))
    assert (training[: len(validation)] != validation).any()


def test_scenes_are_those_of_their_seed() -> None:
    again, other = scenes.scenes("test", 2, 0), scenes.scenes("test", 2, 1)
    assert (again.images == PARTS["test"].scenes.images[:2]).all()
    assert (other.images != PARTS["test"].scenes.images[:2]).any()


def two_scenes(first: list[float], second: list[float]) -> np.ndarray:
    return np.array([first, second])[:, None]


# Of four pixels in each scene the first two are strokes.
TRUTH = two_scenes([1, 1, 0, 0], [1, 1, 0, 0]) > 0


def known(logits: np.ndarray) -> Data:
    return Data(logits, scenes.Scenes(logits, TRUTH))


def test_the_intersection_over_the_union_by_hand() -> None:
    """Found are two strokes, one of them in each scene, and a pixel that is none: 2 of 5."""
    logits = two_scenes([3, -3, 3, -3], [3, -3, -3, -3])
    assert intersection_over_union(logits, TRUTH, 0.0) == 2 / 5


def test_the_threshold_is_chosen_in_other_scenes() -> None:
    """Between 1 and 2 all is right there; in the test scenes that loses a stroke, and a score of ½
    would be right."""
    chosen = two_scenes([2, 2, 1, 0], [2, 2, 1, 0])
    judged = two_scenes([2, 1, 0, 0], [2, 1, 0, 0])
    parts = {"validation": known(chosen), "test": known(judged)}
    found = scores(Answers(chosen, judged), parts)
    assert found.threshold == 1.0
    assert found.at_best == 1 / 2
    assert found.at_half == 1.0


def test_scenes_of_the_picture_are_the_most_different_either_way() -> None:
    strokes = np.ones((5, 1, 10), bool)
    part = np.array([5, 9, 7, 1, 6])
    focal = np.where(np.arange(10) < part[:, None, None], 1.0, -1.0)
    even = np.where(np.arange(10) < 6, 1.0, -1.0)
    entropy = np.broadcast_to(even, focal.shape)
    answers = {"CE": Answers(entropy, entropy), "focal, γ = 2": Answers(focal, focal)}
    thresholds = dict.fromkeys(answers, 0.0)
    assert pictures.most_different(strokes, answers, thresholds) == [1, 2, 0, 3]


def test_the_command_prints_every_loss_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "QUICK", replace(SMALL, steps=2, looks=(1, 2)))
    for options in ([], ["--markdown"]):
        argv = ["segmentation_torch", "--quick", "--out", str(tmp_path), *options]
        monkeypatch.setattr("sys.argv", argv)
        command.main("torch", segmentation_torch.__doc__, segmentation_torch.train)
        out = capsys.readouterr().out
        assert all(name in out for name in LOSSES)
    rows = markdown.rows(out)
    assert [row[0] for row in rows] == ["loss", *LOSSES]
    for picture in ("", "_curves"):
        png = (tmp_path / f"segmentation_torch_quick{picture}.png").read_bytes()
        assert png.startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def lines() -> dict[str, list[str]]:
    """The rows of the page by their loss."""
    tables = make_readme.tables(PAGE.read_text())
    header, *rows = markdown.rows(tables["examples.segmentation_torch --markdown --out docs"])
    assert header == [*command.HEADER]
    return {row[0]: row[1:] for row in rows}


def iou(row: list[str]) -> float:
    return float(row[0])


def ends(row: list[str]) -> list[float]:
    """The worst seed, and the best."""
    return [float(end) for end in row[1].split("–")]


def test_the_page_says_what_the_table_says(lines: dict[str, list[str]]) -> None:
    assert [*lines] == [*LOSSES]
    entropy, focal = lines["CE"], lines["focal, γ = 2"]
    gap = iou(entropy) - iou(focal)
    assert f"γ = 2 ends {gap:.3f} below it" in PAGE.read_text()
    assert ends(focal)[1] < ends(entropy)[0]
    for row in lines.values():
        assert abs(iou(row) - float(row[2])) < 0.0035
        assert float(row[4]) <= float(entropy[4])
    assert lines["CE, α = 0.75"][3] == "0.70"
    assert abs(iou(lines["Dice + CE"]) - iou(entropy)) < 0.002
    gain = iou(lines["Dice + focal, γ = 2"]) - iou(focal)
    assert f"and {gain:.3f} to focal loss" in PAGE.read_text()
