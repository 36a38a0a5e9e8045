"""Every fast path is a path: what runs only when compiled, or only on accelerators, is as exact as
all else."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
import torch

import focal_jax._core.focal
import focal_torch._base.pieces
import focal_torch._core.focal
from parity_tests.contract.exact import Draws, magnitudes
from parity_tests.contract.tolerances import (
    EPS,
    GRADIENT,
    PER_GAMMA,
    SIGMOID,
    SMALLEST_NORMAL,
    SOFTMAX,
    VALUE,
)
from parity_tests.tests.parametrize import slow

EPS32 = EPS["float32"]
TINY = SMALLEST_NORMAL["float32"]
SIZES = magnitudes(-4, 4, 200).astype(np.float32)
SPECIAL = np.array([-np.inf, 0, np.inf], np.float32)
LOGITS = np.concatenate([-SIZES, SPECIAL, SIZES])


def worst_error(
    result: torch.Tensor, truth: torch.Tensor, scale: torch.Tensor | None = None
) -> float:
    """The worst in eps of float32; the truth is the same loss in float64, which other tests hold
    against the oracle."""
    result = result.detach().double()
    assert torch.equal(result.isinf(), truth.isinf())
    assert not result.isnan().any()
    finite = truth.isfinite()
    error = (result - truth)[finite].abs() - TINY
    size = truth.abs() if scale is None else scale
    relative = error / size[finite].clamp(min=TINY)
    return float(relative.max()) / EPS32


class Results(NamedTuple):
    value: torch.Tensor
    slope: torch.Tensor


def both(loss: Callable[..., torch.Tensor], z: torch.Tensor) -> Results:
    leaf = z.clone().requires_grad_()
    value = loss(leaf)
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    return Results(value.detach(), slope)


def compiled(loss: Callable[..., torch.Tensor], z: torch.Tensor) -> Results:
    torch._dynamo.reset()
    return both(torch.compile(loss, fullgraph=True), z)


def units(gamma: float) -> tuple[float, float]:
    """What a sigmoid loss and its slope may be off by, in eps."""
    more = PER_GAMMA * gamma
    return SIGMOID[VALUE] + more, SIGMOID[GRADIENT] + more


@pytest.mark.parametrize("gamma", [*map(slow, (0.0, 0.5, 5.0)), 2.0])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_compiled_hard_targets(gamma: float, dtype: torch.dtype) -> None:
    z = torch.tensor(LOGITS).repeat(2)
    y = torch.arange(2).repeat_interleave(len(LOGITS)).to(dtype)

    def loss(z: torch.Tensor, y: torch.Tensor = y) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, y, gamma=gamma)

    truth = both(lambda z: loss(z, y.long()), z.double())
    results = compiled(loss, z)
    value_units, slope_units = units(gamma)
    assert worst_error(results.value, truth.value) <= value_units
    assert worst_error(results.slope, truth.slope) <= slope_units


@pytest.mark.parametrize("gamma", [0.5, slow(2.0)])
@pytest.mark.parametrize("target", [slow(1e-6), 0.3, slow(0.5)])
def test_compiled_soft_targets(gamma: float, target: float) -> None:
    z = torch.tensor(LOGITS[np.isfinite(LOGITS)])
    y = float(np.float32(target))

    def loss(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, torch.full_like(z, y), gamma=gamma)

    truth = both(loss, z.double())
    results = compiled(loss, z)
    value_units, slope_units = units(gamma)
    assert worst_error(results.value, truth.value) <= value_units
    scale = size_of_slope(z.double(), y, gamma)
    assert worst_error(results.slope, truth.slope, scale) <= slope_units


def size_of_slope(z: torch.Tensor, y: float, gamma: float) -> torch.Tensor:
    """The sum of its two terms' sizes, of which one may cancel the other."""
    p, q = z.sigmoid(), (-z).sigmoid()
    # The focal factor is miss^γ; miss is the size of the slope of cross entropy as well.
    miss = y * q + (1 - y) * p
    hit = y * p + (1 - y) * q
    rounding = (miss + hit - 1).abs().max()
    assert rounding < EPS["float64"] * 4
    targets = torch.full_like(z, y)
    cross = torch.nn.functional.binary_cross_entropy_with_logits(z, targets, reduction="none")
    change_of_miss = abs(1 - 2 * y) * p * q
    of_factor = gamma * change_of_miss / miss * cross
    alpha_t = 0.25 * y + 0.75 * (1 - y)
    return alpha_t * miss**gamma * (of_factor + miss)


@pytest.mark.parametrize("classes", [slow(1), slow(2), slow(7), 1000])
def test_compiled_softmax(classes: int) -> None:
    draws = Draws(classes)
    spread = magnitudes(-1, 2.5, 64)[:, None]
    logits = draws.bell((64, classes)) * spread
    z = torch.tensor(logits, dtype=torch.float32)
    t = torch.tensor(draws.integers(0, classes, 64))

    def loss(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.softmax_focal_loss(z, t)

    truth = both(loss, z.double())
    # The margin is rounded with its logits, which changes the loss by its slope.
    moved = (truth.slope * z.double()).abs().sum(1)
    value_scale = truth.value.abs() + moved
    # So is the slope, by no more than γ + 2 times itself for a margin that moves by 1.
    margin = 4 * z.double().abs().amax(1, keepdim=True)
    slope_scale = truth.slope.abs() * (1 + margin)
    for results in (compiled(loss, z), both(loss, z)):
        assert worst_error(results.value, truth.value, value_scale) <= SOFTMAX
        assert worst_error(results.slope, truth.slope, slope_scale) <= SOFTMAX


def test_large_compiled_tensors_are_one_piece() -> None:
    z = torch.arange(-(2**18), 2**18) * (9 / 2**18)
    y = torch.arange(2**19) % 2

    def loss(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, y)

    truth = both(loss, z.double())
    results = compiled(loss, z)
    value_units, slope_units = units(2)
    assert worst_error(results.value, truth.value) <= value_units
    assert worst_error(results.slope, truth.slope) <= slope_units


@pytest.mark.parametrize(
    "series", [focal_jax._core.focal.LOG_SERIES, focal_torch._core.focal.LOG_SERIES]
)
def test_the_series_of_the_logarithm(series: tuple[float, ...]) -> None:
    def relative(e: Any) -> Any:
        x = e / (1 + e / 2)
        approximation = x + x**3 * mpmath.polyval(series, x * x)
        return approximation / mpmath.log1p(e) - 1

    worst = max(abs(relative(mpmath.mpf(k) / 2000)) for k in range(1, 2001))
    assert worst < 0.04 * EPS32


@pytest.mark.parametrize("shape", [(2**19,), (1000, 600), (3, 2**18), (2**18, 1, 2)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", ["hard", "interpolate", "mixture"])
def test_large_tensors_in_pieces(
    shape: tuple[int, ...], transposed: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every argument that an element can have, as far from the whole as two roundings may be
    from each other."""
    draws = Draws(0)

    def random() -> torch.Tensor:
        stored = shape[::-1] if transposed else shape
        x = torch.tensor(draws.uniform(shape=stored), dtype=torch.float32)
        if not transposed:
            return x
        return x.permute(*reversed(range(x.ndim)))

    z = 20 * random() - 10
    targets = random()
    settings: dict[str, Any] = {"weight": random()}
    where = random() > 0.2
    gammas = draws.uniform(0, 3, shape[-1])
    settings["gamma"] = torch.tensor(gammas, dtype=torch.float32)
    if kind == "hard":
        targets = targets > 0.5
    else:
        settings["soft_targets"] = kind

    def loss(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, targets, where=where, **settings)

    value, slope = both(loss, z)
    monkeypatch.setattr(focal_torch._base.pieces, "SMALLEST", 2**30)
    whole, whole_slope = (x.double() for x in both(loss, z))
    value_units, slope_units = units(3)
    assert value.shape == slope.shape == shape
    assert worst_error(value, whole) <= 2 * value_units
    assert worst_error(slope, whole_slope, whole_slope.abs() + whole) <= 2 * slope_units
    assert not value[~where].any()
    assert not slope[~where].any()


def test_pieces_take_no_temporary_memory() -> None:
    """A backward pass makes the gradient, and nothing else of the size of the logits."""
    whole_numbers = torch.arange(2**22)
    z = (whole_numbers / 2**19 - 4).requires_grad_()
    y = whole_numbers % 2 > 0
    loss = focal_torch.sigmoid_focal_loss(z, y, reduction="sum")
    with torch.profiler.profile(profile_memory=True) as profile:
        torch.autograd.grad(loss, z)
    sizes = [event.self_cpu_memory_usage for event in profile.events() or ()]
    assert sum(size >= z.numel() for size in sizes) == 1


@pytest.mark.parametrize("kind", ["hard", "interpolate", "mixture"])
def test_compiled_torch_func_differentiates_by_the_rule(kind: str) -> None:
    """Else torch.compile differentiates what is written, which is NaN where 1 − p_t is 0."""
    z = torch.tensor([200.0, 100.0, -300.0, 0.5])
    y = torch.tensor([1.0, 1.0, 0.0, 1.0])
    targets = y.int() if kind == "hard" else y * 0.75
    settings: dict[str, Any] = {} if kind == "hard" else {"soft_targets": kind}

    def total(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, targets, gamma=0.5, **settings).sum()

    torch._dynamo.reset()
    gradient = torch.compile(torch.func.grad(total), fullgraph=True, backend="aot_eager")
    truth = torch.func.grad(total)(z.double())
    _, slope_units = units(0.5)
    assert worst_error(gradient(z), truth) <= slope_units
