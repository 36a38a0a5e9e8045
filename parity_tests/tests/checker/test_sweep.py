"""The sweep over float32: its twin, the logits that it goes over, and the faults that it must
see."""

import itertools
import re

import numpy as np
import pytest

from parity_tests.checker.sweep import blocks, command, table
from parity_tests.checker.sweep.members import ALPHA, MEMBERS, Truth
from parity_tests.checker.sweep.record import Cell, Settings
from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws, spaced
from parity_tests.contract.tolerances import EPS, SMALLEST_NORMAL
from parity_tests.truth import float64, oracle

PORTS = "parity_tests.tests.checker.sweep_ports"
RIGHT = "focal_jax:sigmoid_focal_loss"


@pytest.mark.parametrize("number", range(len(command.GAMMAS)))
def test_the_float64_twin_at_every_exponent(number: int) -> None:
    """To 16 eps of float64, which is 3e-8 eps of float32."""
    gamma, draws = command.GAMMAS[number], Draws(number)
    bits = np.arange(255) << 23 | draws.integers(0, 2**23, 255)
    magnitudes = bits.astype(np.uint32).view(np.float32).astype(float)
    margins = float64.both_margins(magnitudes)
    logits_of = (np.stack([-magnitudes, magnitudes]), np.stack([magnitudes, -magnitudes]))
    sigmoid = MEMBERS["sigmoid"]
    for i, magnitude in enumerate(magnitudes.tolist()):
        target = i // 2 % 2
        losses, slopes, *_ = sigmoid.truth(margins, logits_of[target], gamma, target)
        # Where the loss bends, from 2^-8 to 2^8, both margins are compared; elsewhere they take
        # turns with the targets.
        bends = 119 <= i < 135
        for row in (0, 1):
            if bends or row == (i + number) % 2:
                logit = -magnitude if row == target else magnitude
                require_the_truth(losses[row, i], slopes[row, i], logit, target, gamma)


def require_the_truth(loss: float, slope: float, logit: float, target: int, gamma: float) -> None:
    jet = oracle.certified(oracle.sigmoid_focal_loss, logit, target, ALPHA, gamma)
    for value, term in ((loss, jet[()]), (slope, jet["logits",])):
        error = abs(float(value) - term.value) - SMALLEST_NORMAL["float64"]
        assert error <= 16 * EPS["float64"] * abs(term.value), (logit, target, gamma)


@pytest.mark.parametrize("block", [0, 1, 511, 1023])
def test_every_logit_is_in_one_block(block: int) -> None:
    settings = Settings(RIGHT, "jax", command.GAMMAS)
    ((magnitudes, gammas),) = blocks.groups(settings, block)
    assert gammas == command.GAMMAS
    first = block * 2**21
    assert np.array_equal(magnitudes[1:], np.arange(first, first + 2**21))
    assert magnitudes[0] == max(first - 1, 0), "the neighbour before it belongs to the block before"
    assert 2 * 2**21 * settings.blocks == 2**32


@pytest.mark.parametrize("block", [0, 60, 118, 119, 127, 134, 135, 254, 255])
@pytest.mark.parametrize("gammas", [command.GAMMAS, (2.0,), (1.0, 2.0, 3.0)])
def test_the_sample_has_65536_mantissas_of_every_exponent(
    gammas: tuple[float, ...], block: int
) -> None:
    settings = Settings(RIGHT, "jax", gammas, sample=True)
    groups, turns = zip(*blocks.groups(settings, block), strict=True)
    assert set(itertools.chain(*turns)) == set(gammas)
    for group in groups:
        assert (len(group) - 1) % settings.chunk == 0
    # The first of a group is the neighbour before it.
    magnitudes = np.concatenate([group[1:] for group in groups])
    assert np.array_equal(np.unique(magnitudes >> 23), [block])
    assert len(np.unique(magnitudes)) == len(magnitudes) == 2**16
    assert magnitudes.min() == block << 23
    assert magnitudes.max() == (block << 23) + 2**23 - 1


def cells(
    target: str, *exponents: int, gamma: float = 2.0, loss: str = "sigmoid"
) -> dict[int, Cell]:
    """The cell of each target, of blocks of the sample, which are exponents."""
    labels = "int32" if loss == "sigmoid" else "float32"
    settings = Settings(target, "jax", (gamma,), labels, sample=True, loss=loss)
    sums = {0: Cell(gamma, 0), 1: Cell(gamma, 1)}
    for block in exponents:
        for cell in blocks.measure(settings, block):
            sums[cell.target] += cell
    return sums


def test_the_worst_errors_are_those_that_the_oracle_finds() -> None:
    evaluate = blocks.evaluate(Settings(RIGHT, "jax", (1.5,), sample=True), 1.5)
    for target, cell in cells(RIGHT, 126, gamma=1.5).items():
        for order, logit, error in ((0, cell.value_at, cell.value), (1, cell.slope_at, cell.slope)):
            (result,) = evaluate(np.full(1, logit, np.float32), np.full(1, target))[order]
            jet = oracle.certified(oracle.sigmoid_focal_loss, logit, target, 0.25, 1.5)
            term = jet[("logits",) * order]
            assert error > 2
            expected = error_in_eps(float(result), term, "float32", 0.0)
            assert error == pytest.approx(expected, rel=1e-6)


def test_gamma_is_what_float32_has() -> None:
    assert command.exponent("0.3") == float(np.float32(0.3)) != 0.3


def test_a_probability_that_is_close_to_one_is_seen() -> None:
    wrong = cells(f"{PORTS}:close_to_one", 130, 131)
    for cell in wrong.values():
        assert cell.value >= 2**23, "the loss is 0, or of another size"
    assert 15 < wrong[1].value_at < 18
    assert -18 < wrong[0].value_at < -15
    lines = list(table.failures(wrong.values(), "sigmoid"))
    assert len(lines) == 4
    numbers = r"off by 2.5\d+e\+07 eps at -0x1.\w+p\+4 = -1\d.\d+, allowed 7"
    assert re.fullmatch(f"γ = 2, target 0: value {numbers}", lines[0])


def test_a_clamped_sigmoid_is_seen() -> None:
    """Beyond it there is no gradient, at all."""
    wrong = cells(f"{PORTS}:clamped_heatmap", 130, loss="heatmap")
    for cell in wrong.values():
        assert abs(cell.slope_at) > 9.2
        assert cell.slope == 2**23, "all of the gradient is missing"
    assert len(list(table.failures(wrong.values(), "heatmap"))) == 4


def test_a_logarithm_with_a_floor_is_seen() -> None:
    wrong = cells(f"{PORTS}:floored_asymmetric", 131, gamma=4.0, loss="asymmetric")
    lines = list(table.failures(wrong.values(), "asymmetric"))
    assert any("target 1: gradient off" in line for line in lines)
    assert 16 < abs(wrong[1].slope_at) < 32


@pytest.mark.parametrize("gamma", [0.5, 4.0])
@pytest.mark.parametrize("target", [0, 1])
def test_the_twin_of_the_shift_is_a_slope(gamma: float, target: int) -> None:
    """The gradient is what the loss changes by, and is at most what its terms add up to."""
    a = spaced(0.1, 6, 200)
    step = 1e-6
    member = MEMBERS["asymmetric"]

    def at(x: np.ndarray) -> Truth:
        logits = np.stack([x, -x]) if target else np.stack([-x, x])
        return member.truth(float64.both_margins(x), logits, gamma, target)

    middle = at(a)
    change = at(a + step).value - at(a - step).value
    # Along the first row margins grow, and logits of class 0 fall.
    signs = np.array([[1.0], [-1.0]]) * (1 if target else -1)
    slopes = signs * change / (2 * step)
    close = np.abs(slopes - middle.slope) <= 1e-4 * np.abs(middle.slope) + 1e-9
    # But for the edge of the shift, at which both sides of a difference lie apart.
    assert close.mean() > 0.99
    assert (middle.slope_scale >= np.abs(middle.slope)).all()


def test_a_loss_that_rises_is_seen() -> None:
    """Between the last logit of one block and the first one, 3, of the next."""
    for target, least, most in ((f"{PORTS}:bumpy", 20, 32), (RIGHT, 0, 3)):
        settings = Settings(target, "jax", (2.0,))
        for cell in blocks.measure(settings, 514):
            assert least <= cell.rise <= most


def test_infinity_and_nan_that_are_lost_are_seen() -> None:
    wrong = cells(f"{PORTS}:clipped", 255)
    for cell in wrong.values():
        assert (cell.infinities, cell.nans, cell.nans_lost) == (1, 0, 2**17 - 2)
    slopes_at = (wrong[0].slope_at, wrong[1].slope_at)
    assert slopes_at == (np.inf, -np.inf), "there the gradient is not 0"
    for cell in cells(RIGHT, 255).values():
        assert (cell.infinities, cell.nans, cell.nans_lost, cell.logits) == (0, 0, 0, 2**17)


def test_nan_that_was_made_is_seen() -> None:
    for cell in cells(f"{PORTS}:gaps", 127).values():
        assert (cell.infinities, cell.nans, cell.nans_lost) == (0, 1, 0)
        assert cell.value < 7, "the error of the others is still reported"
