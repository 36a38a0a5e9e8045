"""Losses of rows whose logits are never all there: PyTorch here, JAX in the file of the same name.

The logits of a chunk of rows are made, give its loss and its slope, and are forgotten. Loss and gradient together need
three products of matrices, as many as a layer that keeps its logits.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .arrays import compute_dtype, widen
from .collectives import Devices, sum_over
from .engine import (
    as_typed,
    has_other_rules,
    is_watched,
    on_any_mesh,
    refuse_other_rules,
    refuse_second_derivative,
)
from .known import is_known
from .layer import Named, Settings, add_chunk, has_wide_products, logits_of, losses_of
from .versions import is_wrapped


class Plan(NamedTuple):
    """The settings, the fields of their devices, the number of chunks, the names of all arrays, of which the first
    `rows` have rows, and the names of those that are differentiated."""

    gamma: float | None
    softcap: float | None
    smoothing: float
    group: str
    here: int
    size: int
    chunks: int
    rows: int
    names: str
    moved: str

    @property
    def devices(self) -> Devices:
        return Devices(self.group, self.here, self.size)

    def name(self, arrays: Any) -> Named:
        return {name: arrays[i] for i, name in enumerate(self.names.split())}

    def parts(self, *named: Named) -> Iterator[tuple[Named, ...]]:
        """One chunk of all that has rows, and all of what is shared, after the other."""
        with_rows, size = self.names.split()[: self.rows], len(named[0]["features"])
        step = -(-size // self.chunks)
        for start in range(0, size, step or 1):
            end = start + step
            yield tuple({name: x[start:end] if name in with_rows else x for name, x in some.items()} for some in named)


FIELDS = len(Plan._fields)


@on_any_mesh(each=False)
def sum_over_chunks(rows: Named, shared: Named, chunks: int, settings: Settings) -> Tensor:
    """The sum of all losses, over a divisor if there is one. `rows` has features, targets and what else there is of
    each row, `shared` the kernel and what else all rows share."""
    return _by_rule(_Sum, _flat(rows), shared, chunks, settings)[0]


@on_any_mesh(each=True)
def losses_in_chunks(rows: Named, shared: Named, chunks: int, settings: Settings) -> Tensor:
    """The loss of each row. A gradient makes the logits again."""
    return _by_rule(_Rows, _flat(rows), shared, chunks, settings)[0].view(rows["features"].shape[:-1])


def _flat(rows: Named) -> Named:
    """A tensor for each row, or a number, with one axis for all rows."""
    shape = rows["features"].shape[:-1]

    def flat(x: Tensor) -> Tensor:
        rest = x.shape[len(shape) :]
        return torch.broadcast_to(x, (*shape, *rest)).reshape(math.prod(shape), *rest)

    return {name: flat(x) for name, x in rows.items()}


def _by_rule(rule: Any, rows: Named, shared: Named, chunks: int, settings: Settings) -> tuple[Tensor, ...]:
    given = {**rows, **shared}
    moved = [name for name, x in given.items() if x.dtype.is_floating_point and is_watched([x])]
    gamma, softcap, smoothing, devices = settings
    group, here, size = devices.group, devices.here, devices.size
    names = " ".join(list(given)), " ".join(moved)
    plan = Plan(gamma, softcap, smoothing, group, here, size, chunks, len(rows), *names)
    if moved and has_other_rules():
        refuse_other_rules(devices)
        # torch.func and forward mode keep what they need: the logits of all chunks.
        return (rule.plain(plan, given),)
    return (rule.apply if moved else rule.forward)(*plan, *given.values())


class _Sum(torch.autograd.Function):
    """The sum, and its slopes in what is differentiated."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        return tuple((_opaque_sum if torch.compiler.is_compiling() else _sum)(*args[:FIELDS], list(args[FIELDS:])))

    @staticmethod
    def plain(plan: Plan, given: Named) -> Tensor:
        return _Rows.plain(plan, given).sum()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _, *slopes = output
        ctx.plan = inputs[:FIELDS]
        ctx.mark_non_differentiable(*slopes)
        # Else PyTorch makes zeros of the size of the kernel, as cotangents of the slopes.
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[FIELDS:], *slopes)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        # Read once: a checkpoint that is not reentrant gives them once.
        (cotangent, *_), plan, saved = cotangents, Plan(*ctx.plan), ctx.saved_tensors
        given = plan.name(saved)
        if cotangent is None:
            return (None,) * (FIELDS + len(given))
        if torch.is_grad_enabled():
            refuse_second_derivative(plan.devices)
            return _differentiable(_Sum, plan, given, cotangent)
        slopes = saved[len(given) :]
        return _gradients(plan, given, slopes if _is_one(cotangent) else [cotangent * x for x in slopes])


class _Rows(torch.autograd.Function):
    """The loss of each row. Its gradient is that of the sum, with the cotangents as weights."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor]:
        return ((_opaque_rows if torch.compiler.is_compiling() else _rows)(*args[:FIELDS], list(args[FIELDS:])),)

    @staticmethod
    def plain(plan: Plan, given: Named) -> Tensor:
        return _rows(*plan, list(given.values()))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor]) -> None:
        ctx.plan = inputs[:FIELDS]
        ctx.save_for_backward(*inputs[FIELDS:])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        (cotangent,), plan = cotangents, Plan(*ctx.plan)
        given = plan.name(ctx.saved_tensors)
        if torch.is_grad_enabled() or is_wrapped(cotangent):
            refuse_second_derivative(plan.devices)
            return _differentiable(_Rows, plan, given, cotangent)
        weight = cotangent * given["weight"] if "weight" in given else cotangent
        rest = {name: x for name, x in given.items() if name != "weight"}
        rows = plan.rows + ("weight" not in given)
        _, *slopes = _Sum.forward(*ctx.plan[:-3], rows, " ".join(["weight", *rest]), plan.moved, weight, *rest.values())
        moved = zip(plan.moved.split(), slopes, strict=True)
        return _gradients(plan, given, [x * cotangent if name == "weight" else x for name, x in moved])


def _is_one(x: Tensor) -> bool:
    return is_known(x) and not is_wrapped(x) and x.item() == 1


def _differentiable(rule: Any, plan: Plan, given: Named, cotangent: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again. Their graph keeps the logits of all chunks."""
    with torch.enable_grad():
        moved = [given[name] for name in plan.moved.split()]
        return _gradients(
            plan, given, torch.autograd.grad(rule.plain(plan, given), moved, cotangent, create_graph=True)
        )


def _gradients(plan: Plan, given: Named, slopes: Any) -> tuple[Tensor | None, ...]:
    found = dict(zip(plan.moved.split(), slopes, strict=True))
    return *(None for _ in plan), *(found[name].to(x.dtype) if name in found else None for name, x in given.items())


def _sum(*args: Any) -> list[Tensor]:
    plan, given = _given(*args)
    dtype = compute_dtype(given["features"])
    slopes = {name: torch.zeros_like(given[name], dtype=dtype) for name in plan.moved.split()}
    total = given["features"].new_zeros((), dtype=dtype)
    with as_typed(total):
        for part, into in plan.parts(given, slopes):
            total += add_chunk(plan, part, into)
    if "features" in slopes:
        slopes["features"] = sum_over(slopes["features"], plan.devices)
    return [total, *slopes.values()]


def _rows(*args: Any) -> Tensor:
    plan, given = _given(*args)
    with as_typed(given["features"]):
        found = [losses_of(plan, logits_of(part), part) for (part,) in plan.parts(given)]
    return torch.cat(found) if found else given["features"].new_zeros((0,), dtype=compute_dtype(given["features"]))


def _given(*args: Any) -> tuple[Plan, Named]:
    """The plan, and the arrays by name, where half precision is widened once if that is needed."""
    plan, given = Plan(*args[:-1]), Plan(*args[:-1]).name(args[-1])
    return plan, given if has_wide_products(given["features"]) else given | {"kernel": widen(given["kernel"])}


# What torch.compile need not look into: it would lay out the steps of all chunks, one after the other.
ARGUMENTS = (
    "(float? gamma, float? softcap, float smoothing, str group, int here, int size, int chunks, int rows, str names, "
    "str moved, Tensor[] arrays)"
)
_opaque_sum = torch.library.custom_op(
    "focal_torch::sum_over_chunks", _sum, mutates_args=(), schema=f"{ARGUMENTS} -> Tensor[]"
)
_opaque_rows = torch.library.custom_op(
    "focal_torch::losses_in_chunks", _rows, mutates_args=(), schema=f"{ARGUMENTS} -> Tensor"
)


@_opaque_sum.register_fake
def _(*args: Any) -> list[Tensor]:
    plan, given = _given(*args)
    dtype = compute_dtype(given["features"])
    slopes = (torch.empty_like(given[name], dtype=dtype) for name in plan.moved.split())
    return [given["features"].new_empty((), dtype=dtype), *slopes]


@_opaque_rows.register_fake
def _(*args: Any) -> Tensor:
    _, given = _given(*args)
    return given["features"].new_empty((len(given["features"]),), dtype=compute_dtype(given["features"]))
