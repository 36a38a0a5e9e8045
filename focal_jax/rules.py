"""How closed forms become derivative rules: JAX here, PyTorch in the file of the same name."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from .arrays import keep, like, near, share, widen
from .collectives import devices_of, sum_over

Function = Callable[..., Any]


def closed_form(*partials: Function | None, infinities: bool = False) -> Callable[[Function], Function]:
    """Give a function its partial derivatives, one for each argument (None: not differentiable).

    The function works element by element, or sums over a last axis that its array arguments have and its result has
    not. Numbers among the arguments are constants. The partial derivatives are made of closed forms themselves, so
    the rule holds to every order, forward and reverse. Reverse mode keeps one array per differentiated argument.
    With `infinities` they see ±inf as it is, and share with the function what both compute of the same arguments.
    If there are `Devices` among the arguments, they have the last axis together.
    """

    def decorate(value: Function) -> Function:
        @wraps(value)
        def call(*args: Any) -> Array:
            arrays = [i for i, arg in enumerate(args) if isinstance(arg, Array)]

            def fill(primals: tuple[Array, ...]) -> list[Any]:
                found = dict(zip(arrays, primals, strict=True))
                return [widen(found.get(i, arg)) for i, arg in enumerate(args)]

            @jax.custom_jvp
            def rule(*primals: Array) -> Array:
                return value(*fill(primals))

            @partial(rule.defjvp, symbolic_zeros=True)
            def _(primals: tuple[Array, ...], tangents: tuple[Array | SymbolicZero, ...]) -> tuple[Array, Array]:
                result, seen = rule(*primals), [arg if infinities else near(arg) for arg in fill(primals)]
                terms = [
                    _apply(partials[i], seen, tangent.astype(result.dtype), result.ndim)
                    for i, tangent in zip(arrays, tangents, strict=True)
                    if not isinstance(tangent, SymbolicZero)
                ]
                return result, sum(terms[1:], start=terms[0])

            return rule(*(args[i] for i in arrays))

        return call

    return decorate


def _apply(partial: Function | None, args: list[Any], tangent: Array, ndim: int) -> Array:
    assert partial is not None, "an argument without a derivative is never floating"
    term = partial(*args) * tangent
    return sum_over(term.sum(-1), devices_of(args)) if term.ndim > ndim else term


def weighted(*partials: Function | None) -> Callable[[Function], Function]:
    """`closed_form` for a function that also takes `weight`, a factor on its result, and `where`, a mask.

    Where the mask is False the result and all derivatives are exactly 0, whatever the arguments hold. Both belong
    to the rule so that a backward pass keeps no weighted or masked copy of the logits.
    """

    def decorate(value: Function) -> Function:
        def masked(function: Function) -> Function:
            def call(*args: Any) -> Array:
                *inputs, weight, where = args
                result = function(*(keep(where, x) for x in inputs))
                weight = like(keep(where, weight), result)
                return keep(where, result if weight is None else share(weight, result))

            return call

        def per_weight(*args: Any) -> Array:
            *inputs, _, where = args
            return rule(*inputs, None, where)

        slopes = (partial and masked(partial) for partial in partials)
        rule = closed_form(*slopes, per_weight, None)(lambda *args: _selected(masked(value)(*args)))

        @wraps(value)
        def call(*args: Any, weight: Array | None = None, where: Array | None = None) -> Array:
            return rule(*args, weight, where)

        return call

    return decorate


def _selected(x: Array) -> Array:
    # A sum over x draws the products that x ends with into itself on the CPU, and XLA then stores each of their
    # constants as an array. A selection it leaves outside.
    return jnp.where(jnp.isnan(x), jnp.nan, x)
