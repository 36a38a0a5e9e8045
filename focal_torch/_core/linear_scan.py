"""The loss of a linear layer by chunks of its rows, so that only one chunk has logits at a time:
PyTorch here, JAX in the file of the same name.

The logits of a chunk are made, give its loss and its gradients, and are freed. Loss and gradients
together need three products of matrices, as many as a layer that keeps its logits. Shapes are those
of `linear_chunk.py`; before `_flat` rows have any number of axes.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._base.arrays import compute_dtype, upcast
from .._base.collectives import sum_over
from .._base.meshes import on_any_mesh
from .._base.tracing import (
    in_functorch_or_forward_mode,
    is_concrete,
    is_for_onnx,
    refuse_compiled_transforms,
    refuse_other_rules,
    refuse_second_derivative,
    without_autocast,
)
from .._base.versions import is_batched
from .linear_chunk import (
    Grads,
    LayerSettings,
    RowInputs,
    SharedInputs,
    add_chunk,
    has_wide_products,
    logits_of,
    row_losses,
)
from .linear_inputs import (
    TENSORS,
    Flat,
    Inputs,
    chunks_of,
    for_each,
    inputs_of,
    part_of,
)

# For DTensors: the fields with rows, and the axis of the classes in those that have it.
ROWS = RowInputs._fields
CLASSES = {"alpha": -1, "bias": -1, "gamma": -1, "kernel": 0}


@on_any_mesh(each_row=False, rows=ROWS, classes=CLASSES)
def sum_over_chunks(
    rows: RowInputs, shared: SharedInputs, chunks: int, settings: LayerSettings
) -> Tensor:
    """The sum of the losses of all rows, over a divisor if there is one."""
    inputs = inputs_of(_flat(rows), shared, chunks, settings)
    if _keeps_all_logits(inputs):
        return _losses(*inputs.flatten()).sum()
    rule = _Sum.apply if any(inputs.wanted) else _Sum.forward
    total, *_ = rule(*inputs.flatten())
    return total


@on_any_mesh(each_row=True, rows=ROWS, classes=CLASSES)
def losses_in_chunks(
    rows: RowInputs, shared: SharedInputs, chunks: int, settings: LayerSettings
) -> Tensor:
    """The loss (…) of each row. A gradient makes the logits again."""
    inputs = inputs_of(_flat(rows), shared, chunks, settings)
    if _keeps_all_logits(inputs):
        losses = _losses(*inputs.flatten())
    else:
        rule = _Rows.apply if any(inputs.wanted) else _Rows.forward
        losses = rule(*inputs.flatten())
    return losses.view(rows.features.shape[:-1])


def _flat(rows: RowInputs) -> RowInputs:
    """Each (…) or (…, K) as (N,) or (N, K), with one axis for all rows."""
    shape = rows.features.shape[:-1]

    def flat(x: Tensor) -> Tensor:
        rest = x.shape[len(shape) :]
        return torch.broadcast_to(x, (*shape, *rest)).reshape(math.prod(shape), *rest)

    return for_each(flat, rows)


def _keeps_all_logits(inputs: Inputs) -> bool:
    """Whether the logits of all chunks are kept. torch.func and forward mode keep what they need,
    and ONNX has no operator of ours."""
    if torch.compiler.is_compiling():
        refuse_compiled_transforms(vmap=False)
    if is_for_onnx():
        return True
    if not any(inputs.wanted) or not in_functorch_or_forward_mode():
        return False
    refuse_other_rules(inputs.spec.settings.group)
    return True


class _Sum(torch.autograd.Function):
    """The sum, and its gradients in what is differentiated."""

    @staticmethod
    def forward(*flat: Any) -> tuple[Tensor, ...]:
        evaluate = _opaque_sum_and_grads if torch.compiler.is_compiling() else _sum_and_grads
        return tuple(evaluate(*flat))

    @staticmethod
    def setup_context(ctx: Any, inputs: Flat, output: tuple[Tensor, ...]) -> None:
        _, *grads = output
        _, _, ctx.spec, ctx.wanted = Inputs.of(inputs)
        ctx.mark_non_differentiable(*grads)
        # Else PyTorch makes zeros of the size of the kernel, as cotangents of the gradients.
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:TENSORS], *grads)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        cotangent = cotangents[0]
        # Read once: a checkpoint that is not reentrant gives them once.
        saved = ctx.saved_tensors
        inputs = Inputs.of((*saved[:TENSORS], *ctx.spec, ctx.wanted))
        if cotangent is None:
            return (None,) * len(inputs.flatten())
        if torch.is_grad_enabled():
            refuse_second_derivative(inputs.spec.settings.group)
            return _in_their_places(inputs, _differentiable_grads(inputs, cotangent, sum_=True))
        grads = saved[TENSORS:]
        # A product with 1 would need a second tensor of the size of the kernel.
        if not _is_one(cotangent):
            grads = [cotangent * x for x in grads]
        return _in_their_places(inputs, grads)


class _Rows(torch.autograd.Function):
    """The loss of each row. Its gradient is that of the sum, with the cotangents as weights."""

    @staticmethod
    def forward(*flat: Any) -> Tensor:
        evaluate = _opaque_losses if torch.compiler.is_compiling() else _losses
        return evaluate(*flat)

    @staticmethod
    def setup_context(ctx: Any, inputs: Flat, output: Tensor) -> None:
        _, _, ctx.spec, ctx.wanted = Inputs.of(inputs)
        ctx.save_for_backward(*inputs[:TENSORS])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        (cotangent,) = cotangents
        inputs = Inputs.of((*ctx.saved_tensors, *ctx.spec, ctx.wanted))
        if torch.is_grad_enabled() or is_batched(cotangent):
            refuse_second_derivative(inputs.spec.settings.group)
            return _in_their_places(inputs, _differentiable_grads(inputs, cotangent, sum_=False))
        return _in_their_places(inputs, _grads_weighted_by(cotangent, inputs))


def _grads_weighted_by(cotangent: Tensor, inputs: Inputs) -> list[Tensor]:
    """The gradients of Σ cotangent·loss: those of a sum with cotangent·weight as its weights."""
    weight = inputs.rows.weight
    product = cotangent if weight is None else cotangent * weight
    features, gamma, targets, _, where = inputs.rows
    rows = RowInputs(features, gamma, targets, product, where)
    weighted = Inputs(rows, inputs.shared, inputs.spec, inputs.wanted)
    grads = list(_Sum.forward(*weighted.flatten())[1:])
    of_rows = zip(ROWS, inputs.wanted[: len(ROWS)], strict=True)
    names = [name for name, wanted in of_rows if wanted]
    if "weight" in names:
        # The sum's is in cotangent·weight.
        i = names.index("weight")
        grads[i] = grads[i] * cotangent
    return grads


def _is_one(x: Tensor) -> bool:
    return is_concrete(x) and not is_batched(x) and x.item() == 1


def _differentiable_grads(inputs: Inputs, cotangent: Tensor, *, sum_: bool) -> Sequence[Tensor]:
    """Gradients that can be differentiated again. Their graph keeps the logits of all chunks."""
    # A backward pass runs with create_graph where its gradients are differentiated.
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Of views: the hooks of the inputs are called where these gradients arrive.
        views = inputs.with_views()
        losses = _losses(*views.flatten())
        result = losses.sum() if sum_ else losses
        return torch.autograd.grad(result, views.differentiated(), cotangent, create_graph=again)


def _in_their_places(inputs: Inputs, grads: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """A gradient for each input of the rule, None for those that are not differentiated."""
    places: list[Tensor | None] = [None] * len(inputs.flatten())
    remaining = iter(grads)
    for i, (x, wanted) in enumerate(zip(inputs.tensors(), inputs.wanted, strict=True)):
        if wanted and x is not None:
            places[i] = next(remaining).to(x.dtype)
    return tuple(places)


def _sum_and_grads(*flat: Any) -> list[Tensor]:
    inputs = Inputs.of(flat)
    dtype = compute_dtype(inputs.rows.features)
    row_grads = _zeros(inputs.rows, inputs.wanted[: len(ROWS)], dtype)
    shared_grads = _zeros(inputs.shared, inputs.wanted[len(ROWS) :], dtype)
    total = inputs.rows.features.new_zeros((), dtype=dtype)
    shared = _upcast_kernel(inputs)
    with without_autocast(total):
        for part in chunks_of(inputs):
            rows = part_of(inputs.rows, part)
            value, grads = add_chunk(inputs.spec.settings, rows, shared, shared_grads, row_grads)
            total += value
            for name, grad in grads.items():
                row_grads[name][part] = grad
    if "features" in row_grads:
        # Each rank has the part that its classes make.
        row_grads["features"] = sum_over(row_grads["features"], inputs.spec.settings.group)
    return [total, *row_grads.values(), *shared_grads.values()]


def _zeros(inputs: RowInputs | SharedInputs, wanted: Sequence[bool], dtype: torch.dtype) -> Grads:
    """0 for the gradient in each wanted field."""
    zeros: Grads = {}
    for (name, x), is_wanted in zip(inputs._asdict().items(), wanted, strict=True):
        if is_wanted:
            zeros[name] = torch.zeros_like(x, dtype=dtype)
    return zeros


def _losses(*flat: Any) -> Tensor:
    inputs = Inputs.of(flat)
    features, shared = inputs.rows.features, _upcast_kernel(inputs)
    losses: list[Tensor] = []
    parts = list(chunks_of(inputs))
    with without_autocast(features):
        for part in parts:
            rows = part_of(inputs.rows, part)
            logits = logits_of(rows.features, shared.kernel)
            losses.append(row_losses(inputs.spec.settings, logits, rows, shared))
    # Without rows there is no chunk.
    if not losses:
        return features.new_zeros((0,), dtype=compute_dtype(features))
    computed = torch.cat(losses)
    indices = [part for part in parts if isinstance(part, Tensor)]
    if not indices:
        return computed
    return computed.new_zeros((len(features),)).index_copy(0, torch.cat(indices), computed)


def _upcast_kernel(inputs: Inputs) -> SharedInputs:
    """What is shared, with the kernel in float32 once for all chunks, where products need that."""
    if has_wide_products(inputs.rows.features):
        return inputs.shared
    return inputs.shared._replace(kernel=upcast(inputs.shared.kernel))


# Opaque to torch.compile, which would lay out the steps of all chunks, one after the other. The
# arguments are the fields of RowInputs, SharedInputs and ChunkSpec. An int would be one that the
# program is made for: the number of chunks follows from the number of rows.
ARGUMENTS = (
    "(Tensor features, Tensor? row_gamma, Tensor targets, Tensor? weight, Tensor? where, "
    "Tensor? alpha, Tensor? bias, Tensor? divisor, Tensor? class_gamma, Tensor kernel, "
    "float? gamma, float? softcap, float smoothing, float z_loss, str group, int rank, int size, "
    "SymInt chunks, bool[] wanted)"
)
_opaque_sum_and_grads = torch.library.custom_op(
    "focal_torch::sum_over_chunks",
    _sum_and_grads,
    mutates_args=(),
    schema=f"{ARGUMENTS} -> Tensor[]",
)
_opaque_losses = torch.library.custom_op(
    "focal_torch::losses_in_chunks", _losses, mutates_args=(), schema=f"{ARGUMENTS} -> Tensor"
)


@_opaque_sum_and_grads.register_fake
def _sum_and_grads_fake(*flat: Any) -> list[Tensor]:
    inputs = Inputs.of(flat)
    features = inputs.rows.features
    dtype = compute_dtype(features)
    grads = [torch.empty_like(x, dtype=dtype) for x in inputs.differentiated()]
    return [features.new_empty((), dtype=dtype), *grads]


@_opaque_losses.register_fake
def _losses_fake(*flat: Any) -> Tensor:
    features = Inputs.of(flat).rows.features
    # Its len() would be a number, and the program one for that number of rows.
    return features.new_empty((features.shape[0],), dtype=compute_dtype(features))
