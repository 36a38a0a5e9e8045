"""What the page of detectors says, of the results in the repository and of the paper."""

import csv
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.table import markdown
from examples.detection import results, table
from examples.detection.recipe import AFTER, BEFORE, LOSSES, RECIPE
from examples.detection.results import Row
from parity_tests.pages import make_readme
from parity_tests.pages.make_readme import ROOT

HEAVY = results.COMMITTED.with_name("results_heavy_boxes.csv")
PAIR = (BEFORE, AFTER)


def test_the_page_has_the_tables_of_the_results() -> None:
    text = (ROOT / "docs" / "detection.md").read_text()
    shown = list(make_readme.tables(text).values())
    rows, heavy = results.read(results.COMMITTED), results.read(HEAVY)
    expected = [table.sheet(rows), table.sheet(heavy), table.paper_sheet(rows)]
    assert shown == [markdown(sheet) + "\n" for sheet in expected]


@pytest.fixture(scope="module")
def committed() -> list[Row]:
    return results.read_of(results.COMMITTED, RECIPE)


def test_every_result_is_there_once_and_whole(committed: list[Row]) -> None:
    heavy = results.read_of(HEAVY, replace(RECIPE, box_weight=1.0))
    runs = {(one.loss, one.seed, one.step) for one in heavy}
    assert runs == {(x, s, y) for x in PAIR for s in range(SEEDS) for y in RECIPE.looks}
    keys = [(one.loss, one.seed, one.step) for one in committed]
    assert len(set(keys)) == len(keys)
    runs = {(loss, seed) for loss, seed, _ in keys}
    assert set(keys) == {(*run, step) for run in runs for step in RECIPE.looks}
    assert {loss for loss, _ in runs} <= set(LOSSES)


def differences(rows: list[Row], one: str, other: str, step: int = RECIPE.steps) -> list[Row]:
    """By how much a loss is ahead of another with each seed."""
    ahead = []
    for row in rows:
        if (row.loss, row.step) == (one, step):
            (beside,) = table.results_of(other, [x for x in rows if x.seed == row.seed], step)
            scores = {name: getattr(row, name) - getattr(beside, name) for name in SCORES}
            ahead.append(row._replace(**scores))
    assert len(ahead) == SEEDS
    return ahead


def mean_of(rows: list[Row], name: str, step: int = RECIPE.steps, score: str = "ap") -> float:
    every = [getattr(row, score) for row in table.results_of(name, rows, step)]
    assert len(every) == SEEDS
    return float(np.mean(every))


def paper() -> dict[str, float]:
    """The average precision of the rows of the paper that have one."""
    with table.PAPER.open(newline="") as file:
        return {row["row"]: float(row["ap"]) for row in csv.DictReader(file) if row["ap"]}


SEEDS = 3
SCORES = ("ap", "ap50", "small")
GAMMA_1, OHEM = "focal, γ = 1", "OHEM, 1:3"
QUALITY, VARIFOCAL = "quality, γ = 2", "varifocal"


def test_what_the_page_says_of_cross_entropy_and_focal_loss(committed: list[Row]) -> None:
    ahead = differences(committed, AFTER, BEFORE)
    ap, ap50, small = ([getattr(row, name) for row in ahead] for name in SCORES)
    assert f"{min(ap):.3f} {max(ap):.3f} {min(small):.3f} {max(small):.3f}" == (
        "0.055 0.082 0.055 0.079"
    )
    assert min(ap50) > 0
    assert max(ap50) < 0.03
    assert mean_of(committed, AFTER) >= 0.65


def test_what_the_page_says_of_the_order(committed: list[Row]) -> None:
    order = ("CE, no prior", BEFORE, "CE, α = 0.75", "focal, γ = 0.5", GAMMA_1, AFTER)
    for before, after in pairwise(order):
        assert min(row.ap for row in differences(committed, after, before)) > 0
    gammas = order[-3:]
    of_paper = [paper()[f"{name}, best α"] for name in gammas]
    assert of_paper == sorted(of_paper)
    of_digits = [mean_of(committed, name, score="ap50") for name in gammas]
    assert min(of_digits[:2]) > of_digits[2]


def test_what_the_page_says_of_alpha(committed: list[Row]) -> None:
    def ends(name: str) -> dict[int, float]:
        return {row.seed: row.ap for row in table.results_of(name, committed, RECIPE.steps)}

    for alpha in ("0.5", "0.25"):
        ((seed, ap),) = ends(f"{GAMMA_1}, α = {alpha}").items()
        assert f"{seed} {ap:.3f} {ends(AFTER)[seed]:.3f}" == "0 0.682 0.662"
    of_half = ends("focal, γ = 0.5, α = 0.5")
    gains = [ap - ends("focal, γ = 0.5")[seed] for seed, ap in of_half.items()]
    assert f"{min(gains):.3f} {max(gains):.3f}" == "0.029 0.047"
    ahead = sorted(ap - ends(AFTER)[seed] for seed, ap in of_half.items())
    assert [f"{x:.3f}" for x in ahead] == ["-0.001", "0.007", "0.020"]
    for alpha in ("0.5", "0.25"):
        for seed, ap in ends(f"{AFTER}, α = {alpha}").items():
            assert ap < ends(AFTER)[seed]
    ((seed, ap),) = ends("focal, γ = 5, α = 0.5").items()
    assert f"{seed} {ap:.3f}" == "0 0.367"
    assert ap < ends("focal, γ = 5")[seed]
    assert not ends("focal, γ = 5, α = 0.25")


def test_what_the_page_says_of_targets_that_are_overlaps(committed: list[Row]) -> None:
    ap = [row.ap for row in differences(committed, VARIFOCAL, AFTER)]
    assert f"{min(ap):.3f} {max(ap):.3f}" == "0.009 0.024"
    assert min(row.ap for row in differences(committed, QUALITY, AFTER)) > 0
    for name in (QUALITY, VARIFOCAL):
        assert min(row.ap for row in differences(committed, name, AFTER, 500)) > 0.038
        assert max(abs(row.ap50) for row in differences(committed, name, AFTER)) < 0.01


def test_what_the_page_says_of_a_large_gamma(committed: list[Row]) -> None:
    behind = [-row.ap for row in differences(committed, "focal, γ = 5", BEFORE)]
    assert min(behind) > 0.14
    assert paper()["focal, γ = 5, best α"] > paper()["CE"]
    early = [row.ap for row in table.results_of("focal, γ = 5", committed, 500)]
    of_cross_entropy = [row.ap for row in table.results_of(BEFORE, committed, 500)]
    assert max(np.divide(early, of_cross_entropy)) < 0.5


def test_what_the_page_says_of_learning_sooner(committed: list[Row]) -> None:
    before = {row.seed: row.ap for row in table.results_of(BEFORE, committed, 250)}
    times = [row.ap / before[row.seed] for row in table.results_of(GAMMA_1, committed, 250)]
    assert f"{min(times):.1f} {max(times):.1f}" == "1.9 2.8"
    assert min(row.ap for row in differences(committed, AFTER, BEFORE, 500)) < 0
    sooner = [row.ap for row in differences(committed, GAMMA_1, BEFORE, 500)]
    assert f"{min(sooner):.2f} {max(sooner):.2f}" == "0.07 0.10"
    higher = [row.ap for row in differences(committed, AFTER, GAMMA_1)]
    assert f"{min(higher):.3f} {max(higher):.3f}" == "0.004 0.017"
    assert min(row.ap50 for row in differences(committed, GAMMA_1, AFTER)) > 0


def test_what_the_page_says_of_hard_negatives(committed: list[Row]) -> None:
    others = {row.loss for row in committed if row.seed == SEEDS - 1} - {OHEM}
    early = [row.ap for row in table.results_of(OHEM, committed, 250)]
    assert f"{min(early):.3f} {max(early):.3f}" == "0.269 0.282"
    assert min(early) > max(row.ap for row in committed if row.step == 250 and row.loss != OHEM)
    ap50 = mean_of(committed, OHEM, score="ap50")
    assert ap50 > max(mean_of(committed, name, score="ap50") for name in others)
    ahead = [row.ap for row in differences(committed, AFTER, OHEM)]
    assert f"{min(ahead):.3f} {np.mean(ahead):.3f}" == "0.001 0.012"
    theirs = paper()
    deeper = (theirs[f"{name}, deeper network"] for name in (f"{AFTER}, best α", OHEM))
    assert next(deeper) - next(deeper) == pytest.approx(4.9)


def test_what_the_page_says_of_the_weight_of_boxes(committed: list[Row]) -> None:
    heavy = results.read(HEAVY)
    before, after = mean_of(heavy, BEFORE), mean_of(committed, AFTER)
    assert before > mean_of(committed, BEFORE)
    assert after > mean_of(heavy, AFTER) > before
    # Each at its better weight.
    at_half = [row for row in committed if row.loss == AFTER]
    at_one = [row for row in heavy if row.loss == BEFORE]
    ahead = differences([*at_half, *at_one], AFTER, BEFORE)
    ap, ap50 = ([getattr(row, name) for row in ahead] for name in SCORES[:2])
    assert f"{min(ap):.3f} {max(ap):.3f} {np.mean(ap):.3f}" == "0.006 0.064 0.029"
    behind, less_behind, best = sorted(ap50)
    assert f"{behind:.3f} {best:.3f}" == "-0.005 0.020"
    assert less_behind < 0
