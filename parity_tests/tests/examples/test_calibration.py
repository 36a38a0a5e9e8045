"""The calibration example: what it measures by hand, what repairs scores where the truth is known,
and what it says."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from examples import calibration_jax
from examples.calibration import metrics, report
from examples.calibration.rows import DIVIDED, RECOVERED, Results
from focal_jax import sigmoid_focal_loss
from parity_tests.contract.exact import Draws
from parity_tests.pages import make_readme
from parity_tests.tests import ROOT, markdown

EPS = float(np.finfo(np.float64).eps)
# Probabilities that 20 samples can have exactly: k of them are of class 1.
COPIES = 20
SHARES = np.arange(1, COPIES) / COPIES
LABELS = (np.arange(COPIES) < np.arange(1, COPIES)[:, None]).astype(int).ravel()
FOCAL = ("focal, γ = 1", "focal, γ = 2", "focal, γ = 3")
PLAIN = ("cross entropy", *FOCAL, "FLSD-53")
DIVIDED_LOSSES = ("cross entropy", "focal, γ = 2")


class Means(NamedTuple):
    """A row of a table of the page: the means over the seeds."""

    # The accuracy or, for two classes, the average precision.
    right: float
    nll: float
    ece: float
    temperature: float | None = None


# By the loss and by what was done with its probabilities then.
MeansByRow = dict[tuple[str, str], Means]


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
    labels = np.array([0, 1, 1, 1])
    right, nll, ece = metrics.scores(labels, np.stack([1 - p, p], -1))
    assert ece == pytest.approx((0.8 + 0.1) / 4, rel=10 * EPS)
    of_labels = [0.9, 0.1, 0.95, 0.95]
    assert nll == pytest.approx(-np.log(of_labels).mean(), rel=10 * EPS)
    # Of the order that is 2 of 2, then 3 of 4.
    assert right == pytest.approx((2 * 1 + 3 / 4) / 3, rel=10 * EPS)


def test_scores_of_many_classes_are_those_of_the_most_probable() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    right, nll, ece = metrics.scores(np.array([1, 2]), p)
    assert right == 0.5
    assert ece == pytest.approx((0.5 + 0.2) / 2, rel=10 * EPS)
    assert nll == pytest.approx(-np.log([0.3, 0.8]).mean(), rel=10 * EPS)


def test_the_diagram_has_the_bins_of_the_error() -> None:
    draws = Draws(0)
    p = draws.uniform(shape=500)
    # By far not as often as p says, so that the error is large.
    happened = (draws.uniform(shape=500) < p**2).astype(int)
    means, shares, counts = metrics.reliability(happened, p)
    assert counts.sum() == len(p)
    mean_gap = (counts * np.abs(shares - means)).sum() / len(p)
    error = metrics.calibration_error(happened, p, metrics.BINS)
    assert mean_gap == pytest.approx(error, rel=len(p) * EPS)


def require_calibrated(probabilities: np.ndarray) -> None:
    """Every sum of 20 labels is that of their probabilities, and no probabilities have a smaller
    NLL than the truth.

    The slope that gave a probability is right to a few eps of its terms, and its derivative is not
    below a hundredth of them: so a thousand eps.
    """
    _, nll, ece = metrics.scores(LABELS, of_class_1(probabilities))
    entropies = -SHARES * np.log(SHARES) - (1 - SHARES) * np.log(1 - SHARES)
    assert ece <= 1000 * EPS
    assert nll == pytest.approx(entropies.mean(), rel=1000 * EPS)


def test_counts_are_calibrated_and_others_are_not() -> None:
    require_calibrated(SHARES)
    with pytest.raises(AssertionError):
        require_calibrated(SHARES**1.001)


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.0])
def test_a_planted_temperature_is_found(planted: float) -> None:
    """At T the NLL is the entropy, its least value. The search stops at 1e-6 of log T, a few steps
    of it wide."""
    z = planted * np.log(SHARES / (1 - SHARES))
    logits = np.repeat(both_logits(z), COPIES, axis=0)
    assert metrics.temperature(LABELS, logits) == pytest.approx(planted, rel=1e-5)
    assert metrics.temperature(LABELS, 1.001 * logits) != pytest.approx(planted, rel=1e-5)


def both_logits(z: np.ndarray) -> np.ndarray:
    """Logits of class 0 and of class 1."""
    return np.stack([np.zeros_like(z), z], -1)


def best_logits(gamma: float) -> np.ndarray:
    """What a model says that makes the expected loss least, without the formula: where its slope
    changes its sign."""
    shares = jnp.asarray(SHARES)

    def loss(z: Array) -> Array:
        losses = sigmoid_focal_loss(z, shares, alpha=None, gamma=gamma, soft_targets="mixture")
        return losses.sum()

    slope = jax.jit(jax.grad(loss))
    low = np.full_like(SHARES, -40.0)
    high = np.full_like(SHARES, 40.0)
    # Each step halves the interval, until it has no number of float64 inside.
    for _ in range(64):
        middle = (low + high) / 2
        falls = np.asarray(slope(jnp.asarray(middle))) < 0
        low = np.where(falls, middle, low)
        high = np.where(falls, high, middle)
    return both_logits((low + high) / 2)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.0])
def test_recovery_calibrates_the_best_model(gamma: float) -> None:
    z = best_logits(gamma)
    require_calibrated(calibration_jax.recovered(z, gamma)[:, 1])
    with pytest.raises(AssertionError):
        require_calibrated(calibration_jax.recovered(z, gamma + 0.01)[:, 1])
    with pytest.raises(AssertionError):
        require_calibrated(calibration_jax.recovered(z, 0.0)[:, 1])


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.0])
def test_the_best_model_is_not_calibrated_by_itself(gamma: float) -> None:
    raw = 1 / (1 + np.exp(-best_logits(gamma)[:, 1]))
    _, nll, ece = metrics.scores(LABELS, of_class_1(raw))
    _, least, none = metrics.scores(LABELS, of_class_1(SHARES))
    assert nll > least
    assert ece > none + 0.05
    with pytest.raises(AssertionError):
        require_calibrated(raw)


def means(table: str) -> MeansByRow:
    """What a table says, whose cells are mean ± standard deviation."""
    by_row: MeansByRow = {}
    for loss, then, *scores in markdown.rows(table):
        if "±" in scores[0]:
            # Only the rows that were divided have a T.
            by_row[loss, then] = Means(*(float(cell.split()[0]) for cell in scores if cell))
    return by_row


def require_rows(by_row: MeansByRow) -> None:
    expected = {("class frequencies", "")}
    expected |= {(name, "") for name in PLAIN}
    expected |= {(name, RECOVERED) for name in FOCAL}
    divided = {(name, DIVIDED) for name in DIVIDED_LOSSES}
    assert set(by_row) == expected | divided
    assert {row for row, mean in by_row.items() if mean.temperature is not None} == divided


def require_spoiled_and_recovered(caravan: MeansByRow) -> None:
    """The larger γ, the larger the ECE, and recovery takes away two thirds of it."""
    errors = [caravan[name, ""].ece for name in ("cross entropy", *FOCAL)]
    assert errors == sorted(errors)
    for name in FOCAL:
        raw = caravan[name, ""]
        recovered = caravan[name, RECOVERED]
        assert raw.nll > caravan["class frequencies", ""].nll
        assert recovered.nll < raw.nll
        assert recovered.ece <= raw.ece * 0.34


@pytest.fixture(scope="module")
def quick() -> list[Results]:
    with jax.numpy_dtype_promotion("standard"):
        return calibration_jax.everything(quick=True)


def test_a_quick_run_has_all_rows_and_a_picture(
    quick: list[Results], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for as_markdown in (False, True):
        out = tmp_path / str(as_markdown)
        report.report(quick, Namespace(markdown=as_markdown, out=out))
        picture = (out / "calibration.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000
    printed = capsys.readouterr().out
    assert printed.count("wrote") == 1, "a page has no such line"
    assert printed.count("FLSD-53") == 4
    for problem in quick:
        table = report.markdown(problem)
        require_rows(means(table))
        assert table in printed
    _, caravan = quick
    require_spoiled_and_recovered(means(report.markdown(caravan)))


def test_a_run_is_its_seeds(quick: list[Results]) -> None:
    for once, again in zip(quick, calibration_jax.everything(quick=True), strict=True):
        np.testing.assert_array_equal(once.labels, again.labels)
        for row, same in zip(once.rows, again.rows, strict=True):
            np.testing.assert_array_equal(row.probabilities, same.probabilities)
    one_seed, another = quick[0].rows[1].probabilities
    assert np.any(one_seed != another), "seeds differ"


@pytest.fixture
def page_tables() -> list[MeansByRow]:
    """The tables of the page: digits, then Caravan.

    They are of one machine; made anew on another, the sentences below them have to hold there as
    well.
    """
    page = (ROOT / "docs" / "calibration.md").read_text()
    tables = make_readme.tables(page)["examples.calibration_jax --markdown --out docs"]
    digits, caravan = map(means, tables.split("###")[1:])
    return [digits, caravan]


def test_the_page_says_what_both_tables_say(page_tables: list[MeansByRow]) -> None:
    for by_row in page_tables:
        require_rows(by_row)
        frequencies = by_row.pop(("class frequencies", ""))
        right = [mean.right for mean in by_row.values()]
        assert max(right) - min(right) <= 0.01
        best = by_row["cross entropy", DIVIDED]
        assert best.nll == min(frequencies.nll, *(mean.nll for mean in by_row.values()))
        assert best.ece < by_row["cross entropy", ""].ece
        assert frequencies.ece <= min(mean.ece for mean in by_row.values())
        divided = by_row["focal, γ = 2", DIVIDED]
        assert best.nll < divided.nll
        assert divided.nll < by_row["focal, γ = 2", ""].nll
        assert divided.nll < by_row["focal, γ = 2", RECOVERED].nll


def test_the_page_says_what_the_table_of_the_digits_says(page_tables: list[MeansByRow]) -> None:
    digits, _ = page_tables
    temperature = digits["cross entropy", DIVIDED].temperature
    assert temperature is not None
    assert temperature > 1, "too sure of itself"
    entropy, one, two, three, flsd = (digits[name, ""] for name in PLAIN)
    assert one.nll < entropy.nll
    assert one.ece < entropy.ece < min(three.ece, flsd.ece)
    assert abs(two.ece - entropy.ece) <= 0.005
    for name in FOCAL:
        assert digits[name, RECOVERED].nll > digits[name, ""].nll


def test_the_page_says_what_the_table_of_caravan_says(page_tables: list[MeansByRow]) -> None:
    _, caravan = page_tables
    require_spoiled_and_recovered(caravan)
