"""What is said of trained detectors: which digits they find, and the table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from examples.detection import anchors, curves, found, pictures, results, table
from examples.detection.evaluate import Detections
from examples.detection.recipe import LOSSES, RECIPE, Data
from examples.detection.results import Row
from examples.detection.scenes import SIDE, Scenes
from parity_tests.contract.exact import Draws

SQUARE = np.array([0.0, 0, 10, 10])
TRUTH = np.stack([SQUARE, SQUARE + 20])


def scene(*boxes: tuple[float, int, float]) -> Detections:
    """Squares by how far each is from the first digit, with a class and a score."""
    places, labels, scores = zip(*boxes, strict=True)
    return Detections(SQUARE + np.array(places)[:, None], np.array(labels), np.array(scores))


def test_a_digit_is_found_once_by_a_box_of_its_class() -> None:
    """The second box is the first digit again, the third has another class, the last is apart."""
    found_by = scene((1, 3, 0.9), (0, 3, 0.8), (20, 4, 0.7), (21, 5, 0.6), (50, 3, 0.5))
    digits = found.digits_of(found_by, TRUTH, np.array([3, 5]))
    assert digits.tolist() == [0, -1, -1, 1, -1]


def data(count: int) -> Data:
    """Scenes with the same two digits."""
    none = anchors.Targets(*[np.zeros(0)] * 3)
    images = np.zeros((count, SIDE, SIDE))
    labels = [np.array([3, 5])] * count
    return Data(images, none, Scenes(images, [TRUTH] * count, labels))


def test_the_threshold_is_that_of_the_largest_f1() -> None:
    """Of two right boxes above three wrong ones, the last right box is where it is best."""
    one = scene((0, 3, 0.9), (20, 5, 0.6), (50, 1, 0.5), (50, 2, 0.4), (50, 3, 0.3))
    assert found.best_threshold([one], data(1), range(1)) == 0.6


def test_detectors_are_compared_where_no_threshold_was_chosen() -> None:
    good, poor = scene((0, 3, 0.9), (20, 5, 0.8)), scene((0, 3, 0.7), (50, 5, 0.6))
    first, second = [poor, good, good, good], [good, poor, poor, poor]
    both = found.compare(first, second, data(4))
    assert both.thresholds == [0.8, 0.7]
    # The threshold of the first leaves out both boxes of its first scene.
    assert both.more.tolist() == [2, -1]


def test_scenes_are_chosen_by_their_difference_alone() -> None:
    more, fewer = found.most_different(np.array([0, 2, -1, 2, 1, -3]), 2)
    assert more.tolist() == [1, 3]
    assert fewer.tolist() == [5, 2]


def test_labels_stay_in_the_scene_and_apart() -> None:
    draws, taken = Draws(0), []
    for _ in range(8):
        low = draws.uniform(0, SIDE - 20, 2)
        box = np.concatenate([low, low + 12])
        place = pictures.free_place(box, taken)
        assert (place >= 0).all()
        assert (place <= SIDE).all()
        taken.append(place)
    corners = np.array(taken)
    assert np.array_equal(anchors.overlaps(corners, corners), np.eye(len(corners)))


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    boxes = [scene((0, 3, 0.9), (20, 5, 0.6)), scene((5, 1, 0.2))]
    kept = results.Found(boxes, np.arange(6.0).reshape(1, 2, 3))
    path = results.found_path(tmp_path, "focal, γ = 0.5")
    assert path.name == "focal_gamma_0.5.npz"
    results.save(path, kept)
    again = results.load(path)
    assert np.array_equal(again.logits, kept.logits)
    for one, other in zip(again.boxes, boxes, strict=True):
        assert all(map(np.array_equal, one, other))
    paths = {results.found_path(tmp_path, name) for name in LOSSES}
    assert len(paths) == len(LOSSES)


def row(loss: str, seed: int, step: int, ap: float) -> Row:
    scores = ap, ap + 0.2, ap - 0.1
    return Row(results.name_of(RECIPE), loss, seed, step, *scores, "torch-2", "a machine")


ROWS = [
    *(row("CE", seed, step, ap) for seed, step, ap in ((0, 500, 0.3), (0, 2000, 0.5))),
    *(row("CE", seed, step, ap) for seed, step, ap in ((1, 500, 0.2), (1, 2000, 0.4))),
    *(row("focal, γ = 2", 0, step, ap) for step, ap in ((500, 0.4), (2000, 0.6))),
    row("focal, γ = 2, α = 0.5", 0, 2000, 0.65),
    row("CE, α = 0.75", 0, 2000, 0.55),
]


def test_rows_are_appended_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "results.csv"
    assert results.read(path) == []
    results.append(path, ROWS[:2])
    results.append(path, ROWS[2:])
    assert results.read(path) == ROWS


def test_results_of_another_recipe_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    assert results.read_of(path, RECIPE) == []
    results.append(path, ROWS)
    assert results.read_of(path, RECIPE) == ROWS
    with pytest.raises(SystemExit, match=r"expected results of recipe .* got .* --out"):
        results.read_of(path, replace(RECIPE, box_weight=1.0))


def test_pictures_of_detectors_that_are_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pictures", "--runs", str(tmp_path)])
    with pytest.raises(SystemExit):
        pictures.main()
    assert "CE.npz" in capsys.readouterr().err


def test_losses_without_a_colour_are_drawn_where_there_are_no_others() -> None:
    quality = "quality, γ = 2"
    assert quality not in curves.COLOURS
    figure = curves.curve_figure([row(quality, 0, step, 0.1) for step in (500, 2000)])
    assert [line.get_label() for line in figure.axes[0].lines] == [quality]


def test_the_gains_leave_out_what_ends_behind() -> None:
    ends = {"focal, γ = 1": 0.5, "focal, γ = 5": 0.2, "CE": 0.4}
    rows = [row(name, 0, step, ap) for name, ap in ends.items() for step in (500, 2000)]
    precision, gain = curves.curve_figure(rows).axes
    assert {line.get_label() for line in precision.lines} == set(ends)
    assert {line.get_label() for line in gain.lines} == {"focal, γ = 1", "CE"}


def test_the_table_has_means_spread_and_gain_of_seeds_that_both_have() -> None:
    cross_entropy, _, focal, balanced = table.sheet(ROWS).rows
    assert cross_entropy[1:] == ["2", "0.450", "0.400–0.500", "–", "0.650", "0.350", "0.250"]
    assert focal[1:] == ["1", "0.600", "0.600–0.600", "+0.100", "0.800", "0.500", "0.400"]
    assert balanced[-1] == "–", "without a result of that step"


def test_every_row_of_the_paper_has_a_counterpart() -> None:
    for cells in table.paper_sheet(ROWS).rows:
        ours = table.counterparts(cells[0].removesuffix(", deeper network"))
        assert ours
        assert set(ours) <= set(LOSSES)


def test_the_best_alpha_of_a_gamma_stands_beside_the_paper() -> None:
    rows = {cells[0]: cells[1:] for cells in table.paper_sheet(ROWS).rows}
    assert rows["focal, γ = 2, best α"] == ["34.0", "52.5", "65.0", "85.0", "0.5"]
    assert rows["CE"] == ["30.2", "46.7", "45.0", "65.0", "none"]
    assert rows["CE, α = 0.75"] == ["31.1", "49.4", "55.0", "75.0", "0.75"]
    assert rows["CE, no prior"] == ["diverged", "–", "–", "–", "–"]
