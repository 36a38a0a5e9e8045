"""How closed forms become derivative rules: PyTorch here, JAX in the file of the same name."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from .arrays import keep, like, near, share, widen
from .collectives import devices_of
from .engine import is_watched, refuse_nested_forward_mode, refuse_other_rules, refuse_second_derivative
from .versions import has_forward_levels, is_distributed, is_transformed, is_wrapped

Function = Callable[..., Any]


# Numbers that a piece of a large tensor has: what a loss makes of them fits the cache of a core.
PIECE = 2**16


def closed_form(
    *partials: Function | None, infinities: bool = False, pieces: bool = False
) -> Callable[[Function], Function]:
    """Give a function its partial derivatives, one for each argument (None: not differentiable).

    The function works element by element, or sums over a last axis that its tensor arguments have and its result has
    not. Numbers among the arguments are constants. The partial derivatives are made of closed forms themselves, so
    the rule holds to every order, forward and reverse. Reverse mode keeps the arguments and nothing else.
    With `infinities` they see ±inf as it is. With `pieces` a function that works element by element is called for
    one piece of large tensors after the other.
    """
    evaluate = in_pieces if pieces else _whole

    def decorate(value: Function) -> Function:
        def wide(*args: Any) -> Tensor:
            return value(*map(widen, args))

        class Rule(torch.autograd.Function):
            generate_vmap_rule = True

            @staticmethod
            def forward(*args: Any) -> Tensor:
                return evaluate(wide, args)

            @staticmethod
            def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
                tensors = [arg if isinstance(arg, Tensor) else None for arg in inputs]
                ctx.save_for_backward(*tensors)
                ctx.save_for_forward(*tensors)
                ctx.ndim = output.ndim
                ctx.constants = [None if isinstance(arg, Tensor) else arg for arg in inputs]

            @staticmethod
            def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
                (cotangent,) = cotangents
                args = _saved(ctx)
                refuse_second_derivative(devices_of(args))
                needed = ctx.needs_input_grad
                return tuple(
                    evaluate(_slope, (partials[i], infinities, arg.dtype, cotangent, *args)) if needed[i] else None
                    for i, arg in enumerate(args)
                )

        class ForwardRule(Rule):
            @staticmethod
            def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
                seen = _seen(_saved(ctx), infinities)
                terms = [
                    _push_forward(partials[i], seen, tangent, ctx.ndim)
                    for i, tangent in enumerate(tangents)
                    if tangent is not None
                ]
                return sum(terms[1:], start=terms[0])

        @wraps(value)
        def call(*args: Any) -> Tensor:
            return apply(Rule, ForwardRule, *args)

        return call

    return decorate


def apply(reverse: Any, both: Any, *args: Any) -> Any:
    """Call a function by its rule, which is there without and with forward mode, if anything is differentiated."""
    if not is_watched(args):
        return reverse.forward(*args)
    refuse_other_rules(devices_of(args))
    # torch.compile traces no Function with a jvp, and none that nothing is differentiated through.
    if torch.compiler.is_compiling():
        return reverse.apply(*args)
    if is_transformed():
        if not has_forward_levels():
            # PyTorch then refuses forward mode by itself.
            return reverse.apply(*args)
        refuse_nested_forward_mode()
    return both.apply(*args)


def _whole(function: Function, args: Sequence[Any]) -> Tensor:
    return function(*args)


def in_pieces(function: Function, args: Sequence[Any]) -> Tensor:
    """function(*args) for large tensors on a CPU: each operation would be a pass through memory, which takes longer
    than the arithmetic, and would leave a tensor of their size behind."""
    tensors = [arg for arg in args if isinstance(arg, Tensor)]
    shape, size = tensors[0].shape, tensors[0].numel()
    # Fewer pieces than this save nothing.
    if (
        torch.compiler.is_compiling()
        or size < 4 * PIECE
        or is_watched(tensors)
        or not all(_is_part(x, shape) for x in tensors)
    ):
        return function(*args)
    if all(x.is_contiguous() for x in tensors):
        args = [arg.flatten() if isinstance(arg, Tensor) else arg for arg in args]
        return _joined(function, args, size, PIECE).view(shape)
    return _joined(function, args, shape[0], max(1, PIECE * shape[0] // size))


def _is_part(x: Tensor, shape: torch.Size) -> bool:
    return x.is_cpu and x.shape == shape and not is_wrapped(x) and not is_distributed(x)


def _joined(function: Function, args: Sequence[Any], length: int, rows: int) -> Tensor:
    result: Any = None
    for start in range(0, length, rows):
        end = start + rows
        part = function(*(arg[start:end] if isinstance(arg, Tensor) else arg for arg in args))
        result = result if start else part.new_empty((length, *part.shape[1:]))
        result[start:end] = part
    return result


def _saved(ctx: Any) -> list[Any]:
    return [c if t is None else t for t, c in zip(ctx.saved_tensors, ctx.constants, strict=True)]


def _seen(args: Sequence[Any], infinities: bool) -> list[Any]:
    return [widen(arg) if infinities else near(widen(arg)) for arg in args]


def _slope(partial: Function | None, infinities: bool, dtype: torch.dtype, cotangent: Tensor, *args: Any) -> Tensor:
    return _pull_back(partial, _seen(args, infinities), cotangent).to(dtype)


def _pull_back(partial: Function | None, args: list[Any], cotangent: Tensor) -> Tensor:
    assert partial is not None, "an argument without a derivative is never floating"
    slope = partial(*args)
    return slope * like(cotangent, slope)


def _push_forward(partial: Function | None, args: list[Any], tangent: Tensor, ndim: int) -> Tensor:
    assert partial is not None, "an argument without a derivative is never floating"
    term = partial(*args) * tangent
    return term.sum(-1) if term.ndim > ndim else term


def weighted(*partials: Function | None, pieces: bool = False) -> Callable[[Function], Function]:
    """`closed_form` for a function that also takes `weight`, a factor on its result, and `where`, a mask.

    Where the mask is False the result and all derivatives are exactly 0, whatever the arguments hold. Both belong
    to the rule so that a backward pass keeps no weighted or masked copy of the logits.
    """

    def decorate(value: Function) -> Function:
        def masked(function: Function) -> Function:
            def call(*args: Any) -> Tensor:
                *inputs, weight, where = args
                result = function(*(keep(where, x) for x in inputs))
                weight = like(keep(where, weight), result)
                return keep(where, result if weight is None else share(weight, result))

            return call

        def per_weight(*args: Any) -> Tensor:
            *inputs, _, where = args
            return rule(*inputs, None, where)

        slopes = (partial and masked(partial) for partial in partials)
        rule = closed_form(*slopes, per_weight, None, pieces=pieces)(masked(value))

        @wraps(value)
        def call(*args: Any, weight: Tensor | None = None, where: Tensor | None = None) -> Tensor:
            return rule(*args, weight, where)

        return call

    return decorate
