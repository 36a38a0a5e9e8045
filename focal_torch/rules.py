"""How closed forms become derivative rules: PyTorch here, JAX in the file of the same name."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import TransformType, is_functorch_wrapped_tensor, is_legacy_batchedtensor
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd import forward_ad

Function = Callable[..., Any]


def closed_form(*partials: Function | None, infinities: bool = False) -> Callable[[Function], Function]:
    """Give a function its partial derivatives, one for each argument (None: not differentiable).

    The function works element by element, or sums over a last axis that its tensor arguments have and its result has
    not. Numbers among the arguments are constants. The partial derivatives are made of closed forms themselves, so
    the rule holds to every order, forward and reverse. Reverse mode keeps the arguments and nothing else.
    With `infinities` they see ±inf as it is.
    """

    def decorate(value: Function) -> Function:
        class Rule(torch.autograd.Function):
            generate_vmap_rule = True

            @staticmethod
            def forward(*args: Any) -> Tensor:
                return value(*(widen(arg) for arg in args))

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
                args, seen = _arguments(ctx, infinities)
                return tuple(
                    _pull_back(partials[i], seen, cotangent).to(arg.dtype) if ctx.needs_input_grad[i] else None
                    for i, arg in enumerate(args)
                )

        class ForwardRule(Rule):
            @staticmethod
            def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
                _, seen = _arguments(ctx, infinities)
                terms = [
                    _push_forward(partials[i], seen, tangent, ctx.ndim)
                    for i, tangent in enumerate(tangents)
                    if tangent is not None
                ]
                return sum(terms[1:], start=terms[0])

        @wraps(value)
        def call(*args: Any) -> Tensor:
            return apply(Rule, ForwardRule, lambda *args: value(*map(widen, args)), *args)

        return call

    return decorate


def apply(reverse: Any, both: Any, value: Function, *args: Any) -> Any:
    """Call a function by its rule, which is there without and with forward mode, if anything is differentiated."""
    if not _is_watched(args):
        return value(*args)
    # torch.compile traces no Function with a jvp, and none that nothing is differentiated through.
    if torch.compiler.is_compiling():
        return reverse.apply(*args)
    _refuse_nested_forward_mode()
    return both.apply(*args)


def _is_watched(args: tuple[Any, ...]) -> bool:
    if torch.is_grad_enabled() and any(isinstance(arg, Tensor) and arg.requires_grad for arg in args):
        return True
    return not torch.compiler.is_compiling() and (is_transformed() or forward_ad._current_level >= 0)


def is_eager(x: Tensor) -> bool:
    """Whether each operation is a pass through memory. In float64 nothing is taken for a loop that is compiled."""
    return x.dtype == torch.float64 or not torch.compiler.is_compiling()


def is_transformed() -> bool:
    """Whether a function of torch.func is at work."""
    return torch._C._are_functorch_transforms_active()


def is_wrapped(x: Tensor) -> bool:
    """Whether a function of torch.func, or a batched backward pass, sees more in x than one tensor."""
    return is_functorch_wrapped_tensor(x) or is_legacy_batchedtensor(x)


def is_differentiated(x: Tensor) -> bool:
    return x.requires_grad or is_transformed() or forward_ad.unpack_dual(x).tangent is not None


def _refuse_nested_forward_mode() -> None:
    # PyTorch's forward mode over forward mode would return zeros without a word (pytorch/pytorch#197867).
    levels = [level.key() for level in retrieve_all_functorch_interpreters()]
    if levels.count(TransformType.Jvp) > 1:
        raise NotImplementedError(
            "focal_torch: PyTorch cannot nest forward mode (jvp, jacfwd) over a torch.autograd.Function. "
            "Use torch.func.hessian, or reverse mode inside or outside."
        )


def _arguments(ctx: Any, infinities: bool) -> tuple[list[Any], list[Any]]:
    args = [c if t is None else t for t, c in zip(ctx.saved_tensors, ctx.constants, strict=True)]
    return args, [widen(arg) if infinities else near(widen(arg)) for arg in args]


def _pull_back(partial: Function | None, args: list[Any], cotangent: Tensor) -> Tensor:
    assert partial is not None, "an argument without a derivative is never floating"
    slope = partial(*args)
    return slope * _like(cotangent, slope)


def _push_forward(partial: Function | None, args: list[Any], tangent: Tensor, ndim: int) -> Tensor:
    assert partial is not None, "an argument without a derivative is never floating"
    term = partial(*args) * tangent
    return term.sum(-1) if term.ndim > ndim else term


def weighted(*partials: Function | None) -> Callable[[Function], Function]:
    """`closed_form` for a function that also takes `weight`, a factor on its result, and `where`, a mask.

    Where the mask is False the result and all derivatives are exactly 0, whatever the arguments hold. Both belong
    to the rule so that a backward pass keeps no weighted or masked copy of the logits.
    """

    def decorate(value: Function) -> Function:
        def masked(function: Function) -> Function:
            def call(*args: Any) -> Tensor:
                *inputs, weight, where = args
                result = function(*(keep(where, x) for x in inputs))
                weight = _like(keep(where, weight), result)
                return keep(where, result if weight is None else share(weight, result))

            return call

        def per_weight(*args: Any) -> Tensor:
            *inputs, _, where = args
            return rule(*inputs, None, where)

        rule = closed_form(*(rule and masked(rule) for rule in partials), per_weight, None)(masked(value))

        @wraps(value)
        def call(*args: Any, weight: Tensor | None = None, where: Tensor | None = None) -> Tensor:
            return rule(*args, weight, where)

        return call

    return decorate


def keep(where: Tensor | None, x: Any) -> Any:
    """The tensor `x` with 0 outside the mask, which may lack its last axis; constants stay as they are."""
    if where is None or not isinstance(x, Tensor):
        return x
    return torch.where(_like(where, x), x, torch.zeros_like(x))


def share(factor: Any, x: Tensor) -> Tensor:
    """factor·x, where 0·inf is 0."""
    if not isinstance(factor, Tensor) and factor:
        return factor * x
    undefined = torch.isinf(x) & (factor == 0)
    return torch.where(undefined, 0, factor * torch.where(undefined, 1, x))


def widen(x: Any) -> Any:
    """Half precision as float32, everything else as it is."""
    return x.to(compute_dtype(x)) if _is_floating(x) else x


def compute_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype.itemsize < 4 else x.dtype


def _like(row: Any, x: Tensor) -> Any:
    return row.unsqueeze(-1) if row is not None and row.ndim < x.ndim else row


def near(x: Any) -> Any:
    """±inf as ±1e30."""
    return x.clamp(-far(), far()) if _is_floating(x) else x


def far() -> float:
    """Closed forms see ±inf as ±1e30, so that a product like σ(u)·softplus(−u) reaches its limit 0 instead of 0·inf."""
    # A global number would be an input to torch.compile's graphs, and stop it in a second autograd.Function.
    return 1e30


def _is_floating(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()
