"""One block of the sweep: which logits it has, what the port gives for them, and how far that is
from the twin."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from parity_tests.contract.tolerances import EPS, SMALLEST_NORMAL
from parity_tests.ports.python import locate
from parity_tests.truth import float64

from .record import ALPHA, Cell, Settings, empty

UNIT, TINY = EPS["float32"], SMALLEST_NORMAL["float32"]

Array = np.ndarray
# Logits and targets to the loss and its gradient in the logits, all of one shape.
Evaluate = Callable[[Array, Array], tuple[Array, Array]]


def measure(settings: Settings, block: int) -> list[Cell]:
    """One cell for each γ and target."""
    found = empty(settings)
    for magnitudes, gammas in groups(settings, block):
        for start in range(0, len(magnitudes) - 1, settings.chunk):
            for cell in _chunk(settings, magnitudes[start : start + settings.chunk + 1], gammas):
                found[cell.gamma, cell.target] += cell
    return list(found.values())


def groups(settings: Settings, block: int) -> Iterator[tuple[Array, tuple[float, ...]]]:
    """The bits of |logit| with the γ that are asked for them. Before the first one stands its
    neighbour."""
    if not settings.sample:
        first = block * 2**21
        yield np.maximum(np.arange(first - 1, first + 2**21), 0).astype(np.uint32), settings.gammas
        return
    # Every exponent has 2^16 mantissas, evenly spread, each with other low bits. Where the loss
    # bends, from 2^-8 to 2^8, and at infinity and NaN, every γ is asked for all of them. Elsewhere
    # the γ take turns.
    everything = 119 <= block < 135 or block == 255
    share = 1 if everything else min(4, 1 << len(settings.gammas).bit_length() - 1)
    for turn in range(share):
        k = np.arange(turn, 2**16, share, dtype=np.uint32)
        magnitudes = np.uint32(block << 23) | k << np.uint32(7) | k & np.uint32(127)
        yield (
            np.concatenate([magnitudes[:1], magnitudes]),
            settings.gammas[(turn - block) % share :: share],
        )


def _chunk(settings: Settings, magnitudes: Array, gammas: tuple[float, ...]) -> Iterator[Cell]:
    """The first magnitude is there only to be compared with the second one."""
    # Signs are set as bits: arithmetic would make a signalling NaN another NaN.
    u = np.stack([magnitudes, magnitudes | np.uint32(2**31)]).view(np.float32)
    with np.errstate(invalid="ignore"):
        margins = float64.both_margins(u[0].astype(float))
    asked = [
        (0, u[::-1].copy(), np.zeros(u.size, settings.labels)),
        (1, u, np.ones(u.size, settings.labels)),
    ]
    for gamma in gammas:
        focal = float64.focal(margins, gamma)
        for target, logits, labels in asked:
            value, slope = (
                x.reshape(u.shape) for x in evaluate(settings, gamma)(logits.ravel(), labels)
            )
            yield replace(
                _judge(value, slope, truths(focal, target), logits), gamma=gamma, target=target
            )


def truths(focal: tuple[Array, Array], target: int) -> tuple[Array, Array]:
    """The loss and its gradient in the logits, from f and −∂f/∂u at the margins."""
    alpha_t = ALPHA if target else 1 - ALPHA
    return alpha_t * focal[0], (-alpha_t if target else alpha_t) * focal[1]


def _judge(value: Array, slope: Array, truth: tuple[Array, Array], logits: Array) -> Cell:
    errors, slope_errors = _errors(value, truth[0]), _errors(slope, truth[1])
    cell = Cell(0.0, 0, logits=logits[:, 1:].size)
    if not (np.isfinite(errors.max()) and np.isfinite(slope_errors.max())):
        cell = replace(cell, **_special(value, slope, truth, logits))
        errors, slope_errors = (np.where(np.isfinite(x), x, 0) for x in (errors, slope_errors))
    worst, steepest = errors.argmax(), slope_errors.argmax()
    rises = [_rises(value[0, :-1], value[0, 1:]), _rises(value[1, 1:], value[1, :-1])]
    return replace(
        cell,
        value=max(0.0, float(errors.flat[worst])),
        value_at=float(logits.flat[worst]),
        slope=max(0.0, float(slope_errors.flat[steepest])),
        slope_at=float(logits.flat[steepest]),
        rises=sum(count for count, _ in rises),
        rise=max(size for _, size in rises),
    )


def _errors(got: Array, truth: Array) -> Array:
    """In eps of the truth. A result of 0 may stand for anything up to the smallest normal
    number."""
    with np.errstate(invalid="ignore"):
        error, scale = got - truth, np.abs(truth)
        np.abs(error, out=error)
        if not got.all():
            error -= TINY * (got == 0)
        np.maximum(scale, TINY, out=scale)
        error /= scale
        error *= 1 / UNIT
        return error


def _special(
    value: Array, slope: Array, truth: tuple[Array, Array], logits: Array
) -> dict[str, int]:
    """The counts of NaN and infinity: their errors have no size."""
    value, slope, logits = value[:, 1:], slope[:, 1:], logits[:, 1:]
    known, nans, infinities = ~np.isnan(logits), 0, 0
    for got, exact in ((value, truth[0][:, 1:]), (slope, truth[1][:, 1:])):
        nans += _count(known & np.isnan(got))
        wrong = (np.isinf(got) | np.isinf(exact)) & (got != exact) & ~np.isnan(got)
        infinities += _count(known & wrong)
    return {"nans": nans, "infinities": infinities, "nans_lost": _count(~known & ~np.isnan(value))}


def _count(mask: Array) -> int:
    return int(np.count_nonzero(mask))


def _rises(before: Array, after: Array) -> tuple[int, float]:
    """How often the loss rises from one margin to the next larger one, and by how many eps at
    most."""
    where = np.flatnonzero(after > before)
    if not where.size:
        return 0, 0.0
    low, high = (x[where].astype(float) for x in (before, after))
    return where.size, float(np.max((high - low) / np.maximum(low, TINY)) / UNIT)


@cache
def evaluate(settings: Settings, gamma: float) -> Evaluate:
    loss = locate(settings.target)
    return {"jax": _jax, "torch": _torch}[settings.framework](
        lambda z, y: loss(z, y, alpha=ALPHA, gamma=gamma)
    )


def _jax(loss: Callable[[Any, Any], Any]) -> Evaluate:
    jax = importlib.import_module("jax")
    jax.config.update("jax_platforms", "cpu")

    def both(z: Any, y: Any) -> tuple[Any, Any]:
        value, pull_back = jax.vjp(lambda z: loss(z, y), z)
        return value, pull_back(jax.numpy.ones_like(value))[0]

    compiled = jax.jit(both)

    def evaluate(z: Array, y: Array) -> tuple[Array, Array]:
        value, slope = compiled(z, y)
        return np.asarray(value), np.asarray(slope)

    return evaluate


def _torch(loss: Callable[[Any, Any], Any]) -> Evaluate:
    torch = importlib.import_module("torch")
    # A chunk is in the cache of one core, and cores have blocks of their own.
    torch.set_num_threads(1)

    def both(z: Array, y: Array) -> tuple[Array, Array]:
        leaf = torch.from_numpy(z).requires_grad_()
        value = loss(leaf, torch.from_numpy(y))
        return value.detach().numpy(), torch.autograd.grad(value, leaf, torch.ones_like(value))[
            0
        ].numpy()

    return both
