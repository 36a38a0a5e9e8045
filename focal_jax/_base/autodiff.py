"""Formulas with partial derivatives that are written down: JAX here, PyTorch in the file of the
same name.

A closed form is declared in three steps: the formula, then each partial derivative below it, by
argument.

    @closed_form
    def square(x: Array) -> Array:
        return x * x

    @square.partial("x")
    def square_x(x: Array) -> Array:
        return 2 * x

Partial derivatives are made of closed forms again, so one declaration holds to every order, forward
and reverse. Automatic differentiation would not do: it makes q^(γ − 1), which is infinite at q = 0,
and 1 − p, which cancels.
"""

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from inspect import signature
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero

from .arrays import align, clamp_infinities, multiply_no_nan, upcast, zero_outside
from .collectives import group_of, sum_over

Formula: TypeAlias = Callable[..., Array]


class ClosedForm:
    """A formula that is differentiated by the partial derivatives that it was given.

    The formula takes arrays (…) or (…, C), numbers, which are constants, and a `Group` that shards
    the last axis. It works element by element, or sums over a last axis that its arrays have and
    its result has not. Reverse mode keeps the arrays among its arguments, and nothing else of their
    size.
    """

    def __init__(
        self, formula: Formula, *, infinities: bool = False, weighted: bool = False
    ) -> None:
        self.formula = formula
        self.infinities = infinities
        self.weighted = weighted
        self.arguments = list(signature(formula).parameters)
        self.partials: dict[int, Formula] = {}
        update_wrapper(self, formula)

    def partial(self, argument: str) -> Callable[[Formula], Formula]:
        """Declare the partial derivative in an argument: a formula of all arguments."""
        index = self.arguments.index(argument)

        def declare(formula: Formula) -> Formula:
            self.partials[index] = formula
            return formula

        return declare

    def __call__(
        self, *args: object, weight: Array | None = None, where: Array | None = None
    ) -> Array:
        """weight·formula(*args) where the mask is True. Elsewhere the result and all its
        derivatives are exactly 0, whatever the arguments hold. A backward pass keeps no weighted or
        masked copy of them."""
        inputs = (*args, weight, where)
        # custom_jvp differentiates in each of its arguments, so it gets the arrays alone.
        traced = [i for i, x in enumerate(inputs) if isinstance(x, Array)]
        # The rule lives longer than the trace, so no array is in its closure.
        constants = [None if isinstance(x, Array) else x for x in inputs]

        def all_inputs(primals: Sequence[Array]) -> list[Any]:
            filled: list[Any] = list(constants)
            for i, x in zip(traced, primals, strict=True):
                filled[i] = upcast(x)
            return filled

        @jax.custom_jvp
        def evaluate(*primals: Array) -> Array:
            *args, weight, where = all_inputs(primals)
            result = self.formula(*_zero_all_outside(where, args))
            result = _weigh(result, weight, where)
            return _not_fused_into_sums(result) if self.weighted else result

        @partial(evaluate.defjvp, symbolic_zeros=True)
        def evaluate_jvp(
            primals: tuple[Array, ...], tangents: tuple[Array | SymbolicZero, ...]
        ) -> tuple[Array, Array]:
            result = evaluate(*primals)
            inputs = all_inputs(primals)
            if not self.infinities:
                inputs = [clamp_infinities(x) for x in inputs]
            terms: list[Array] = []
            # A partial derivative in what does not move would cost a pass.
            for i, tangent in zip(traced, tangents, strict=True):
                if not isinstance(tangent, SymbolicZero):
                    terms.append(self._term(i, inputs, tangent.astype(result.dtype), result.ndim))
            return result, sum(terms[1:], start=terms[0])

        return evaluate(*(inputs[i] for i in traced))

    def _term(self, i: int, inputs: list[Any], tangent: Array, ndim: int) -> Array:
        """What the tangent of input i adds to that of the result, which has `ndim` axes."""
        term = self._partial_in(i, inputs) * tangent
        if term.ndim == ndim:
            return term
        # A sum over the last axis, which ranks may share.
        return sum_over(term.sum(-1), group_of(inputs))

    def _partial_in(self, i: int, inputs: list[Any]) -> Array:
        *args, weight, where = inputs
        if i == len(args):
            # The result is linear in its weight.
            return self(*args, where=where)
        partial = self.partials[i](*_zero_all_outside(where, args))
        return _weigh(partial, weight, where)


def closed_form(formula: Formula) -> ClosedForm:
    """Make a formula a closed form. Its partial derivatives see ±inf as ±1e30."""
    return ClosedForm(formula)


def closed_form_at_infinities(formula: Formula) -> ClosedForm:
    """Make a formula a closed form whose partial derivatives see ±inf."""
    return ClosedForm(formula, infinities=True)


def weighted(formula: Formula) -> ClosedForm:
    """Make a loss a closed form. It is what calls with `weight` and `where` are for."""
    return ClosedForm(formula, weighted=True)


def _zero_all_outside(where: Array | None, args: Sequence[object]) -> list[Any]:
    return [zero_outside(where, x) for x in args]


def _weigh(result: Array, weight: Array | None, where: Array | None) -> Array:
    """weight·result inside the mask, else 0; weight and where are (…), result is (…) or (…, C)."""
    if weight is not None:
        weight = align(zero_outside(where, weight), result)
        result = multiply_no_nan(weight, result)
    return zero_outside(where, result)


def _not_fused_into_sums(x: Array) -> Array:
    # XLA for the CPU fuses the products that x ends with into a sum over x, and then stores each of
    # their constants as an array. It does not fuse a selection.
    return jnp.where(jnp.isnan(x), jnp.nan, x)
