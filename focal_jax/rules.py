"""How closed forms become derivative rules: JAX here, PyTorch in the file of the same name."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.sharding import PartitionSpec, auto_axes

from .arrays import keep, like, near, share, widen
from .collectives import sum_over

Function = Callable[..., Any]


def closed_form(*partials: Function | None, infinities: bool = False) -> Callable[[Function], Function]:
    """Give a function its partial derivatives, one for each argument (None: not differentiable).

    The function works element by element, or sums over a last axis that its array arguments have and its result has
    not. Numbers among the arguments are constants. The partial derivatives are made of closed forms themselves, so
    the rule holds to every order, forward and reverse. Reverse mode keeps one array per differentiated argument.
    With `infinities` they see ±inf as it is, and share with the function what both compute of the same arguments.
    All take the same keyword arguments, of which `devices` are those that have the last axis together.
    """

    def decorate(value: Function) -> Function:
        @wraps(value)
        def call(*args: Any, **same: Any) -> Array:
            arrays = [i for i, arg in enumerate(args) if isinstance(arg, Array)]

            def fill(primals: tuple[Array, ...]) -> list[Any]:
                found = dict(zip(arrays, primals, strict=True))
                return [widen(found.get(i, arg)) for i, arg in enumerate(args)]

            @jax.custom_jvp
            def rule(*primals: Array) -> Array:
                return value(*fill(primals), **same)

            @partial(rule.defjvp, symbolic_zeros=True)
            def _(primals: tuple[Array, ...], tangents: tuple[Array | SymbolicZero, ...]) -> tuple[Array, Array]:
                result, seen = rule(*primals), [arg if infinities else near(arg) for arg in fill(primals)]
                terms = [
                    _apply(partials[i], seen, same, tangent.astype(result.dtype), result.ndim)
                    for i, tangent in zip(arrays, tangents, strict=True)
                    if not isinstance(tangent, SymbolicZero)
                ]
                return result, sum(terms[1:], start=terms[0])

            return rule(*(args[i] for i in arrays))

        return call

    return decorate


def _apply(partial: Function | None, args: list[Any], same: dict[str, Any], tangent: Array, ndim: int) -> Array:
    assert partial is not None, "an argument without a derivative is never floating"
    term = partial(*args, **same) * tangent
    return sum_over(term.sum(-1), same.get("devices", ())) if term.ndim > ndim else term


def weighted(*partials: Function | None) -> Callable[[Function], Function]:
    """`closed_form` for a function that also takes `weight`, a factor on its result, and `where`, a mask.

    Where the mask is False the result and all derivatives are exactly 0, whatever the arguments hold. Both belong
    to the rule so that a backward pass keeps no weighted or masked copy of the logits.
    """

    def decorate(value: Function) -> Function:
        def masked(function: Function) -> Function:
            def call(*args: Any, **same: Any) -> Array:
                *inputs, weight, where = args
                result = function(*(keep(where, x) for x in inputs), **same)
                weight = like(keep(where, weight), result)
                return keep(where, result if weight is None else share(weight, result))

            return call

        def per_weight(*args: Any, **same: Any) -> Array:
            *inputs, _, where = args
            return rule(*inputs, None, where, **same)

        slopes = (partial and masked(partial) for partial in partials)
        rule = closed_form(*slopes, per_weight, None)(lambda *args, **same: _selected(masked(value)(*args, **same)))

        @wraps(value)
        def call(*args: Any, weight: Array | None = None, where: Array | None = None, **same: Any) -> Array:
            return rule(*args, weight, where, **same)

        return call

    return decorate


def _selected(x: Array) -> Array:
    # A sum over x draws the products that x ends with into itself on the CPU, and XLA then stores each of their
    # constants as an array. A selection it leaves outside.
    return jnp.where(jnp.isnan(x), jnp.nan, x)


@jax.custom_jvp
def in_order(logits: Array, divisor: Array | None) -> Array:
    """The logits, read after the divisor where a gradient is made of them: it then shares one pass with the value."""
    return logits


@in_order.defjvp
def _(primals: tuple[Array, Array | None], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    logits, divisor = primals
    return logits if divisor is None else lax.optimization_barrier((logits, divisor))[0], tangents[0]


def for_each(gamma: Any, x: Array) -> Array:
    """x, with the axes that vmap gives to γ: an accelerator would store what all γ share, which takes longer than
    making it."""
    return x + 0 * gamma if isinstance(gamma, Array) else x


def compiler_sharded(each: bool) -> Callable[[Function], Function]:
    """On a mesh with explicit axes let the compiler find the shardings inside of a function. Its first array has rows
    on all axes but the last; the result is a number, or one for each row, which is sharded as the rows are."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*args: Any, **rest: Any) -> Array:
            leaves, tree = jax.tree.flatten((args, rest))
            arrays = {i: x for i, x in enumerate(leaves) if isinstance(x, Array)}
            sharding = jax.typeof(next(iter(arrays.values()))).sharding

            def fill(arrays: dict[int, Array]) -> Array:
                args, rest = jax.tree.unflatten(tree, [arrays.get(i, x) for i, x in enumerate(leaves)])
                return function(*args, **rest)

            if not (axes := sharding.mesh.explicit_axes):
                return function(*args, **rest)
            result = sharding.update(spec=PartitionSpec(*sharding.spec[:-1] if each else ()))
            return auto_axes(fill, axes=axes, out_sharding=result)(arrays)

        return call

    return decorate
