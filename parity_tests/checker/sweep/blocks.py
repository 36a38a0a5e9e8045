"""One block of the sweep: which logits it has, what the port gives for them, and how far that is
from the twin."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from parity_tests.contract.tolerances import EPS, SMALLEST_NORMAL
from parity_tests.ports.locate import locate
from parity_tests.truth import float64

from .members import MEMBERS, Truth
from .record import Cell, Settings, empty

UNIT, TINY = EPS["float32"], SMALLEST_NORMAL["float32"]

Array = np.ndarray
# Logits and targets to the loss and its gradient in the logits, all of one shape.
Evaluate = Callable[[Array, Array], tuple[Array, Array]]


def measure(settings: Settings, block: int) -> list[Cell]:
    """One cell for each γ and target."""
    cells = empty(settings)
    for magnitudes, gammas in groups(settings, block):
        for start in range(0, len(magnitudes) - 1, settings.chunk):
            chunk = magnitudes[start : start + settings.chunk + 1]
            for cell in _chunk(settings, chunk, gammas):
                cells[cell.gamma, cell.target] += cell
    return list(cells.values())


def groups(settings: Settings, block: int) -> Iterator[tuple[Array, tuple[float, ...]]]:
    """The bits of |logit| with the γ that are asked for them. Before the first one stands its
    neighbour."""
    if not settings.sample:
        first = block * 2**21
        magnitudes = np.arange(first - 1, first + 2**21)
        # The first logit of all has no neighbour, and is compared with itself.
        yield np.maximum(magnitudes, 0).astype(np.uint32), settings.gammas
        return
    # Every exponent has 2^16 mantissas, evenly spread, each with other low bits. Where the loss
    # bends, from 2^-8 to 2^8, and at infinity and NaN, every γ is asked for all of them. Elsewhere
    # the γ take turns.
    turns = 1
    if not (119 <= block < 135 or block == 255):
        # A power of two, so that each turn has as many mantissas.
        turns = min(4, 1 << len(settings.gammas).bit_length() - 1)
    for turn in range(turns):
        k = np.arange(turn, 2**16, turns, dtype=np.uint32)
        mantissas = k << np.uint32(7) | k & np.uint32(127)
        magnitudes = np.uint32(block << 23) | mantissas
        gammas = settings.gammas[(turn - block) % turns :: turns]
        yield np.concatenate([magnitudes[:1], magnitudes]), gammas


def _chunk(settings: Settings, magnitudes: Array, gammas: tuple[float, ...]) -> Iterator[Cell]:
    """The first magnitude is there only to be compared with the second one."""
    # Signs are set as bits: arithmetic would make a signalling NaN another NaN.
    u = np.stack([magnitudes, magnitudes | np.uint32(2**31)]).view(np.float32)
    with np.errstate(invalid="ignore"):
        margins = float64.both_margins(u[0].astype(float))
    # The margin of class 0 is −logit.
    logits_of = (u[::-1].copy(), u)
    member = MEMBERS[settings.loss]
    for gamma in gammas:
        loss = evaluate(settings, gamma)
        for target, logits in enumerate(logits_of):
            labels = np.full(u.size, member.targets[target], settings.labels)
            value, slope = loss(logits.ravel(), labels)
            with np.errstate(invalid="ignore"):
                truth = member.truth(margins, logits.astype(float), gamma, target)
            cell = _judge(value.reshape(u.shape), slope.reshape(u.shape), truth, logits)
            yield replace(cell, gamma=gamma, target=target)


def _judge(value: Array, slope: Array, truth: Truth, logits: Array) -> Cell:
    errors = _errors(value, truth.value, truth.value_scale)
    slope_errors = _errors(slope, truth.slope, truth.slope_scale)
    cell = Cell(0.0, 0, logits=logits[:, 1:].size)
    if not (np.isfinite(errors.max()) and np.isfinite(slope_errors.max())):
        cell = replace(cell, **_special(value, slope, truth, logits))
        errors[~np.isfinite(errors)] = 0
        slope_errors[~np.isfinite(slope_errors)] = 0
    value_error, value_at = _worst(errors, logits)
    slope_error, slope_at = _worst(slope_errors, logits)
    cell = replace(cell, value=value_error, value_at=value_at)
    cell = replace(cell, slope=slope_error, slope_at=slope_at)
    # Margins grow along the first row, and fall along the second.
    rises, rise = _rises(value[0, :-1], value[0, 1:])
    other_rises, other_rise = _rises(value[1, 1:], value[1, :-1])
    return replace(cell, rises=rises + other_rises, rise=max(rise, other_rise))


def _worst(errors: Array, logits: Array) -> tuple[float, float]:
    """The largest error, and the logit that has it."""
    at = errors.argmax()
    return max(0.0, float(errors.flat[at])), float(logits.flat[at])


def _errors(got: Array, truth: Array, scale: Array) -> Array:
    """In eps of the scale. A result of 0 may stand for anything up to the smallest normal
    number."""
    with np.errstate(invalid="ignore"):
        error = got - truth
        np.abs(error, out=error)
        if not got.all():
            error -= TINY * (got == 0)
        error /= np.maximum(scale, TINY)
        error *= 1 / UNIT
        return error


def _special(value: Array, slope: Array, truth: Truth, logits: Array) -> dict[str, int]:
    """The counts of NaN and infinity: their errors have no size."""
    known = ~np.isnan(logits)
    counts = {"nans": 0, "infinities": 0}
    for got, exact in ((value, truth.value), (slope, truth.slope)):
        is_nan = np.isnan(got)
        is_infinite = np.isinf(got) | np.isinf(exact)
        counts["nans"] += _count(known & is_nan)
        counts["infinities"] += _count(known & is_infinite & (got != exact) & ~is_nan)
    counts["nans_lost"] = _count(~known & ~np.isnan(value))
    return counts


def _count(mask: Array) -> int:
    """Without the first column, which is there only to be compared with the second one."""
    return int(np.count_nonzero(mask[:, 1:]))


def _rises(before: Array, after: Array) -> tuple[int, float]:
    """How often the loss rises from one margin to the next larger one, and by how many eps at
    most."""
    where = np.flatnonzero(after > before)
    if not where.size:
        return 0, 0.0
    low, high = before[where].astype(float), after[where].astype(float)
    sizes = (high - low) / np.maximum(low, TINY)
    return where.size, float(np.max(sizes) / UNIT)


@cache
def evaluate(settings: Settings, gamma: float) -> Evaluate:
    loss = locate(settings.target)
    framework = {"jax": _jax, "torch": _torch}[settings.framework]
    keywords = MEMBERS[settings.loss].keywords(gamma)
    return framework(lambda z, y: loss(z, y, **keywords))


def _jax(loss: Callable[[Any, Any], Any]) -> Evaluate:
    jax = importlib.import_module("jax")
    jax.config.update("jax_platforms", "cpu")

    def both(z: Any, y: Any) -> tuple[Any, Any]:
        value, pull_back = jax.vjp(lambda z: loss(z, y), z)
        (slope,) = pull_back(jax.numpy.ones_like(value))
        return value, slope

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
        (slope,) = torch.autograd.grad(value, leaf, torch.ones_like(value))
        return value.detach().numpy(), slope.numpy()

    return both
