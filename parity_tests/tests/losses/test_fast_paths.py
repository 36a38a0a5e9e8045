"""Every fast path is a path: what runs only when compiled, or only on accelerators, is as exact as
all else."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

import focal_jax.margin
import focal_torch.margin
import focal_torch.rules
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

EPS32, TINY = EPS["float32"], SMALLEST_NORMAL["float32"]
SIZES = magnitudes(-4, 4, 200).astype(np.float32)
LOGITS = np.concatenate([-SIZES, [-np.inf, 0, np.inf], SIZES]).astype(np.float32)


def errors(got: torch.Tensor, truth: torch.Tensor, scale: torch.Tensor | None = None) -> float:
    """The worst in eps of float32; the truth is the same loss in float64, which other tests hold
    against the oracle."""
    got = got.detach().double()
    assert torch.equal(got.isinf(), truth.isinf())
    assert not got.isnan().any()
    known = truth.isfinite()
    error = (got - truth)[known].abs() - TINY
    size = (truth.abs() if scale is None else scale)[known].clamp(min=TINY)
    return float((error / size).max()) / EPS32


def both(loss: Callable[..., torch.Tensor], z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = z.clone().requires_grad_()
    value = loss(leaf)
    return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


@pytest.mark.parametrize("gamma", [*map(slow, (0.0, 0.5, 5.0)), 2.0])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_compiled_hard_targets(gamma: float, dtype: torch.dtype) -> None:
    torch._dynamo.reset()
    z = torch.tensor(LOGITS).repeat(2)
    y = torch.arange(2).repeat_interleave(len(LOGITS)).to(dtype)

    def loss(z: torch.Tensor, y: torch.Tensor = y) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, y, gamma=gamma)

    got, truth = (
        both(torch.compile(loss, fullgraph=True), z),
        both(lambda z: loss(z, y.long()), z.double()),
    )
    assert errors(got[0], truth[0]) <= SIGMOID[VALUE] + PER_GAMMA * gamma
    assert errors(got[1], truth[1]) <= SIGMOID[GRADIENT] + PER_GAMMA * gamma


@pytest.mark.parametrize("gamma", [0.5, slow(2.0)])
@pytest.mark.parametrize("target", [slow(1e-6), 0.3, slow(0.5)])
def test_compiled_soft_targets(gamma: float, target: float) -> None:
    torch._dynamo.reset()
    z = torch.tensor(LOGITS[np.isfinite(LOGITS)])
    # Of the gradient's terms one may cancel the other, so their sum is the scale.
    y = float(np.float32(target))
    p, q = z.double().sigmoid(), (-z.double()).sigmoid()
    miss, hit = y * q + (1 - y) * p, y * p + (1 - y) * q
    cross = torch.nn.functional.binary_cross_entropy_with_logits(
        z.double(), torch.full_like(p, y), reduction="none"
    )
    alpha_t = 0.25 * y + 0.75 * (1 - y)
    scale = (
        alpha_t
        * miss**gamma
        * (gamma * abs(1 - 2 * y) * p * q / miss * cross + y * q + (1 - y) * p)
    )

    def loss(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, torch.full_like(z, y), gamma=gamma)

    assert (miss + hit - 1).abs().max() < EPS["float64"] * 4
    got, truth = both(torch.compile(loss, fullgraph=True), z), both(loss, z.double())
    assert errors(got[0], truth[0]) <= SIGMOID[VALUE] + PER_GAMMA * gamma
    assert errors(got[1], truth[1], scale) <= SIGMOID[GRADIENT] + PER_GAMMA * gamma


@pytest.mark.parametrize("classes", [slow(1), slow(2), slow(7), 1000])
def test_compiled_softmax(classes: int) -> None:
    torch._dynamo.reset()
    draws = Draws(classes)
    spread = magnitudes(-1, 2.5, 64)[:, None]
    z = torch.tensor(draws.bell((64, classes)) * spread, dtype=torch.float32)
    t = torch.tensor(draws.integers(0, classes, 64))

    def loss(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.softmax_focal_loss(z, t)

    got, eager, truth = (
        both(torch.compile(loss, fullgraph=True), z),
        both(loss, z),
        both(loss, z.double()),
    )
    # The margin is rounded with its logits, which changes the loss by its slope.
    scale = truth[0].abs() + (truth[1] * z.double()).abs().sum(1)
    for value, slope in (got, eager):
        assert errors(value, truth[0], scale) <= SOFTMAX
        # So is the slope, by no more than γ + 2 times itself for a margin that moves by 1.
        moved = 4 * z.double().abs().amax(1, keepdim=True)
        assert errors(slope, truth[1], truth[1].abs() * (1 + moved)) <= SOFTMAX


def test_large_compiled_tensors_are_one_piece() -> None:
    torch._dynamo.reset()
    z, y = torch.arange(-(2**18), 2**18) * (9 / 2**18), torch.arange(2**19) % 2

    def loss(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, y)

    got, truth = both(torch.compile(loss, fullgraph=True), z), both(loss, z.double())
    assert errors(got[0], truth[0]) <= SIGMOID[VALUE] + PER_GAMMA * 2
    assert errors(got[1], truth[1]) <= SIGMOID[GRADIENT] + PER_GAMMA * 2


@pytest.mark.parametrize("series", [focal_jax.margin.LOG_SERIES, focal_torch.margin.LOG_SERIES])
def test_the_series_of_the_logarithm(series: tuple[float, ...]) -> None:
    def relative(e: Any) -> Any:
        x = e / (1 + e / 2)
        return (x + x**3 * mpmath.polyval(series, x * x)) / mpmath.log1p(e) - 1

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
        x = torch.tensor(
            draws.uniform(shape=shape[::-1] if transposed else shape), dtype=torch.float32
        )
        return x.permute(*reversed(range(x.ndim))) if transposed else x

    z, y, weight, where = 20 * random() - 10, random(), random(), random() > 0.2
    targets = y > 0.5 if kind == "hard" else y
    settings: dict[str, Any] = {} if kind == "hard" else {"soft_targets": kind}
    gamma = torch.tensor(draws.uniform(0, 3, shape[-1]), dtype=torch.float32)

    def loss(z: torch.Tensor) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(
            z, targets, gamma=gamma, weight=weight, where=where, **settings
        )

    value, slope = both(loss, z)
    monkeypatch.setattr(focal_torch.rules, "PIECE", 2**30)
    whole, whole_slope = (x.double() for x in both(loss, z))
    assert value.shape == slope.shape == shape
    assert errors(value, whole) <= 2 * (SIGMOID[VALUE] + PER_GAMMA * 3)
    assert errors(slope, whole_slope, whole_slope.abs() + whole) <= 2 * (
        SIGMOID[GRADIENT] + PER_GAMMA * 3
    )
    assert not value[~where].any()
    assert not slope[~where].any()


def test_pieces_take_no_temporary_memory() -> None:
    """A backward pass makes the gradient, and nothing else of the size of the logits."""
    z, y = torch.arange(2**22) / 2**19 - 4, torch.arange(2**22) % 2 > 0
    loss = focal_torch.sigmoid_focal_loss(z.requires_grad_(), y, reduction="sum")
    with torch.profiler.profile(profile_memory=True) as profile:
        torch.autograd.grad(loss, z)
    sizes = [event.self_cpu_memory_usage for event in profile.events() or ()]
    assert sum(size >= z.numel() for size in sizes) == 1
