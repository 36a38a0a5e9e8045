"""The calibration example: what it measures by hand, what repairs scores where the truth is known,
and what it says."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from examples import calibration_jax
from examples.calibration import metrics
from examples.calibration.report import markdown, report
from examples.calibration.rows import DIVIDED, RECOVERED, Found
from focal_jax import sigmoid_focal_loss
from parity_tests.contract.exact import Draws
from parity_tests.pages import make_readme
from parity_tests.tests import ROOT

EPS = float(np.finfo(np.float64).eps)
# Probabilities that 20 samples can have exactly: k of them are of class 1.
COPIES = 20
SHARES = np.arange(1, COPIES) / COPIES
LABELS = np.concatenate([np.arange(COPIES) < k for k in range(1, COPIES)]).astype(int)
Means = dict[tuple[str, str], list[float]]


@pytest.fixture(autouse=True)
def promotion_that_optax_needs() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"):
        yield


def of_class_1(p: np.ndarray) -> np.ndarray:
    """The probabilities of both classes, for each of the copies."""
    return np.repeat(np.stack([1 - p, p], -1), COPIES, axis=0)


def test_scores_by_hand() -> None:
    """Two bins: in one 1 of 2 happened where 0.2 were expected, in the other 2 of 2 where 1.9
    were."""
    p = np.array([0.1, 0.1, 0.95, 0.95])
    right, nll, ece = metrics.scores(np.array([0, 1, 1, 1]), np.stack([1 - p, p], -1))
    assert ece == pytest.approx((0.8 + 0.1) / 4, rel=10 * EPS)
    assert nll == pytest.approx(-np.log([0.9, 0.1, 0.95, 0.95]).mean(), rel=10 * EPS)
    # Of the order that is 2 of 2, then 3 of 4.
    assert right == pytest.approx((2 * 1 + 3 / 4) / 3, rel=10 * EPS)


def test_scores_of_many_classes_are_those_of_the_most_probable() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    right, nll, ece = metrics.scores(np.array([1, 2]), p)
    assert (right, ece) == (0.5, pytest.approx((0.5 + 0.2) / 2, rel=10 * EPS))
    assert nll == pytest.approx(-np.log([0.3, 0.8]).mean(), rel=10 * EPS)


def test_the_diagram_has_the_bins_of_the_error() -> None:
    draws = Draws(0)
    p = draws.uniform(shape=500)
    happened = (draws.uniform(shape=500) < p**2).astype(int)
    said, share, number = metrics.reliability(happened, p)
    assert number.sum() == len(p)
    gaps = (number * np.abs(share - said)).sum() / len(p)
    assert gaps == pytest.approx(
        metrics.calibration_error(happened, p, metrics.BINS), rel=len(p) * EPS
    )


def require_calibrated(probabilities: np.ndarray) -> None:
    """Every sum of 20 labels is that of their probabilities, and no probabilities have a smaller
    NLL than the truth.

    The slope that gave a probability is right to a few eps of its terms, and its derivative is not
    below a hundredth of them: so a thousand eps.
    """
    _, nll, ece = metrics.scores(LABELS, of_class_1(probabilities))
    entropy = -np.mean(SHARES * np.log(SHARES) + (1 - SHARES) * np.log(1 - SHARES))
    assert ece <= 1000 * EPS
    assert nll == pytest.approx(entropy, rel=1000 * EPS)


def test_counts_are_calibrated_and_others_are_not() -> None:
    require_calibrated(SHARES)
    with pytest.raises(AssertionError):
        require_calibrated(SHARES**1.001)


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.0])
def test_a_planted_temperature_is_found(planted: float) -> None:
    """At T the NLL is the entropy, its least value. The search stops at 1e-6 of log T, a few steps
    of it wide."""
    odds = planted * np.log(SHARES / (1 - SHARES))
    logits = np.repeat(np.stack([np.zeros_like(odds), odds], -1), COPIES, axis=0)
    assert metrics.temperature(LABELS, logits) == pytest.approx(planted, rel=1e-5)
    assert metrics.temperature(LABELS, 1.001 * logits) != pytest.approx(planted, rel=1e-5)


def best_logits(gamma: float) -> np.ndarray:
    """What a model says that makes the expected loss least, without the formula: where its slope
    changes its sign."""

    def slope(z: Array) -> Array:
        rule = {"alpha": None, "gamma": gamma, "soft_targets": "mixture"}
        return jax.grad(lambda z: sigmoid_focal_loss(z, jnp.asarray(SHARES), **rule).sum())(z)

    low, high, compiled = np.full_like(SHARES, -40.0), np.full_like(SHARES, 40.0), jax.jit(slope)
    for _ in range(64):
        middle = (low + high) / 2
        falls = np.asarray(compiled(jnp.asarray(middle))) < 0
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    return np.stack([np.zeros_like(low), (low + high) / 2], -1)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.0])
def test_recovery_calibrates_the_best_model(gamma: float) -> None:
    z = best_logits(gamma)
    require_calibrated(calibration_jax.recovered(z, gamma)[:, 1])
    raw = 1 / (1 + np.exp(-z[:, 1]))
    nll, ece = metrics.scores(LABELS, of_class_1(raw))[1:]
    least, none = metrics.scores(LABELS, of_class_1(SHARES))[1:]
    assert nll > least
    assert ece > none + 0.05
    for wrong in (
        raw,
        calibration_jax.recovered(z, gamma + 0.01)[:, 1],
        calibration_jax.recovered(z, 0.0)[:, 1],
    ):
        with pytest.raises(AssertionError):
            require_calibrated(wrong)


def means(table: str) -> Means:
    """Loss and repair -> accuracy or average precision, NLL and ECE; T where there is one."""
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in table.splitlines()
        if "±" in line
    ]
    return {(row[0], row[1]): [float(cell.split()[0]) for cell in row[2:] if cell] for row in rows}


def require_rows(found: Means) -> None:
    focal = [f"focal, γ = {gamma}" for gamma in (1, 2, 3)]
    plain = [(name, "") for name in ("class frequencies", "cross entropy", *focal, "FLSD-53")]
    divided = [(name, DIVIDED) for name in ("cross entropy", focal[1])]
    assert set(found) == {*plain, *divided, *((name, RECOVERED) for name in focal)}
    assert {row for row, numbers in found.items() if len(numbers) == 4} == set(divided)


def require_spoiled_and_recovered(found: Means) -> None:
    """Caravan: the larger γ, the larger the ECE, and recovery takes away two thirds of it."""
    focal = [f"focal, γ = {gamma}" for gamma in (1, 2, 3)]
    errors = [found[name, ""][2] for name in ("cross entropy", *focal)]
    assert errors == sorted(errors)
    for name in focal:
        assert found[name, ""][1] > found["class frequencies", ""][1]
        assert found[name, RECOVERED][1] < found[name, ""][1]
        assert found[name, RECOVERED][2] <= found[name, ""][2] * 0.34


@pytest.fixture(scope="module")
def quick() -> list[Found]:
    with jax.numpy_dtype_promotion("standard"):
        return calibration_jax.everything(quick=True)


def test_a_quick_run_has_all_rows_and_a_picture(
    quick: list[Found], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for as_markdown in (False, True):
        report(quick, Namespace(markdown=as_markdown, out=tmp_path / str(as_markdown)))
        pictures = [path.read_bytes() for path in tmp_path.glob("*/calibration.png")]
        assert all(picture.startswith(b"\x89PNG") and len(picture) > 10_000 for picture in pictures)
    printed = capsys.readouterr().out
    assert printed.count("wrote") == 1, "a page has no such line"
    assert printed.count("FLSD-53") == 4
    for found in quick:
        require_rows(means(markdown(found)))
        assert markdown(found) in printed
    require_spoiled_and_recovered(means(markdown(quick[1])))
    assert len(pictures) == 2


def test_a_run_is_its_seeds(quick: list[Found]) -> None:
    for once, again in zip(quick, calibration_jax.everything(quick=True), strict=True):
        np.testing.assert_array_equal(once.labels, again.labels)
        for row, same in zip(once.rows, again.rows, strict=True):
            np.testing.assert_array_equal(row.probabilities, same.probabilities)
    one, other = quick[0].rows[1].probabilities
    assert np.any(one != other), "seeds differ"


def test_the_page_says_what_its_tables_say() -> None:
    """They are of one machine; made anew on another, the sentences below them have to hold there as
    well."""
    page = (ROOT / "docs" / "calibration.md").read_text()
    digits, caravan = map(
        means,
        make_readme.tables(page)["examples.calibration_jax --markdown --out docs"].split("###")[1:],
    )
    entropy, best, flsd = ("cross entropy", ""), ("cross entropy", DIVIDED), ("FLSD-53", "")
    one, two, three = ((f"focal, γ = {gamma}", "") for gamma in (1, 2, 3))
    for found in (digits, caravan):
        require_rows(found)
        right = [numbers[0] for row, numbers in found.items() if row[0] != "class frequencies"]
        assert max(right) - min(right) <= 0.01
        assert found[best][1] == min(numbers[1] for numbers in found.values())
        assert found[best][2] < found[entropy][2]
        assert found["class frequencies", ""][2] == min(numbers[2] for numbers in found.values())
        assert (
            found[best][1]
            < found[two[0], DIVIDED][1]
            < min(found[two][1], found[two[0], RECOVERED][1])
        )
    assert digits[best][3] > 1, "too sure of itself"
    assert digits[one][1] < digits[entropy][1]
    assert digits[one][2] < digits[entropy][2] < min(digits[three][2], digits[flsd][2])
    assert abs(digits[two][2] - digits[entropy][2]) <= 0.005
    assert all(digits[name, RECOVERED][1] > digits[name, ""][1] for name, _ in (one, two, three))
    require_spoiled_and_recovered(caravan)
