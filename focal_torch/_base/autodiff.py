"""Formulas with partial derivatives that are written down: PyTorch here, JAX in the file of the
same name.

A closed form is declared in three steps: the formula, then each partial derivative below it, by
argument.

    @closed_form
    def square(x: Tensor) -> Tensor:
        return x * x

    @square.partial("x")
    def square_x(x: Tensor) -> Tensor:
        return 2 * x

Partial derivatives are made of closed forms again, so one declaration holds to every order, forward
and reverse. Automatic differentiation would not do: it makes q^(γ − 1), which is infinite at q = 0,
and 1 − p, which cancels.
"""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from inspect import signature
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from .arrays import align, clamp_infinities, multiply_no_nan, upcast, zero_outside
from .collectives import group_of
from .pieces import in_pieces, is_large
from .tracing import (
    needs_grad,
    refuse_compiled_transforms,
    refuse_nested_forward_mode,
    refuse_other_rules,
    refuse_second_derivative,
    visible_to_compile,
)
from .versions import has_forward_levels, is_eager, is_transformed

Formula: TypeAlias = Callable[..., Tensor]


class Rules(NamedTuple):
    """How a closed form is differentiated: in reverse mode, in reverse and forward mode, and in
    reverse mode in eager calls."""

    reverse: type[torch.autograd.Function]
    both: type[torch.autograd.Function]
    eager: type[torch.autograd.Function]


def eager_rule(reverse: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """The same rule for eager calls. Where a forward has a setup_context, PyTorch holds every call
    against its signature, which takes longer than a small loss."""

    class Eager(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            output = reverse.forward(*inputs)
            reverse.setup_context(ctx, inputs, output)
            return output

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            return reverse.backward(ctx, *cotangents)

    return Eager


class ClosedForm:
    """A formula that is differentiated by the partial derivatives that it was given.

    The formula takes tensors (…) or (…, C), numbers, which are constants, and a `Group` that shards
    the last axis. It works element by element, or sums over a last axis that its tensors have and
    its result has not. Reverse mode keeps the tensors among its arguments, and nothing else of
    their size.
    """

    def __init__(self, formula: Formula, *, infinities: bool = False, pieces: bool = False) -> None:
        self.formula = formula
        self.arguments = list(signature(formula).parameters)
        self.partials: dict[int, Formula] = {}
        self.rules = _rules_of(formula, self.partials, infinities, pieces)
        update_wrapper(self, formula)

    def partial(self, argument: str) -> Callable[[Formula], Formula]:
        """Declare the partial derivative in an argument: a formula of all arguments."""
        index = self.arguments.index(argument)

        def declare(formula: Formula) -> Formula:
            self.partials[index] = formula
            return formula

        return declare

    def __call__(
        self, *args: object, weight: Tensor | None = None, where: Tensor | None = None
    ) -> Tensor:
        """weight·formula(*args) where the mask is True. Elsewhere the result and all its
        derivatives are exactly 0, whatever the arguments hold. A backward pass keeps no weighted or
        masked copy of them."""
        inputs = visible_to_compile((*args, weight, where))
        return rule_for(inputs, self.rules)(*inputs)


def rule_for(inputs: Sequence[Any], rules: Rules) -> Formula:
    """The function to call with the inputs: the rule with the modes of differentiation that may be
    needed here, or the bare formula where nothing is differentiated."""
    if torch.compiler.is_compiling():
        refuse_compiled_transforms(vmap=True)
    if not needs_grad(inputs):
        return rules.reverse.forward
    refuse_other_rules(group_of(inputs))
    # torch.compile traces no Function with a jvp, and none that nothing is differentiated through.
    if torch.compiler.is_compiling():
        return rules.reverse.apply
    if is_eager():
        return rules.eager.apply
    if is_transformed():
        if not has_forward_levels():
            # PyTorch then refuses forward mode by itself.
            return rules.reverse.apply
        refuse_nested_forward_mode()
    return rules.both.apply


# torch.compile does not look into a ClosedForm that a rule has in its closure, so there are none:
# nothing but functions, and the partial derivatives that are declared later.
def _rules_of(
    formula: Formula, partials: dict[int, Formula], infinities: bool, pieces: bool
) -> Rules:
    """The rules of a closed form. Their inputs are its arguments, then weight and where."""

    def evaluate(*inputs: Any) -> Tensor:
        if pieces and is_large(inputs):
            return in_pieces(evaluate, inputs)
        *args, weight, where = [upcast(x) for x in inputs]
        result = formula(*_zero_all_outside(where, args))
        return _weigh(result, weight, where)

    def partial_in(i: int, inputs: Sequence[Any]) -> Tensor:
        seen = [upcast(x) for x in inputs]
        if not infinities:
            seen = [clamp_infinities(x) for x in seen]
        *args, weight, where = seen
        if i == len(args):
            # The result is linear in its weight.
            unweighted = (*args, None, where)
            return rule_for(unweighted, Rules(Reverse, Both, Eager))(*unweighted)
        partial = partials[i](*_zero_all_outside(where, args))
        return _weigh(partial, weight, where)

    def gradient(*args: Any) -> Tensor:
        # Only where nothing is differentiated again, which `is_large` sees to.
        if pieces and is_large(args):
            return in_pieces(gradient_of_piece, args)
        return gradient_of_piece(*args)

    def gradient_of_piece(i: int, dtype: torch.dtype, cotangent: Tensor, *inputs: Any) -> Tensor:
        partial = partial_in(i, inputs)
        return (partial * align(cotangent, partial)).to(dtype)

    class Reverse(torch.autograd.Function):
        generate_vmap_rule = True

        forward = staticmethod(evaluate)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            # PyTorch keeps track of tensors, and of nothing else.
            tensors = [x if isinstance(x, Tensor) else None for x in inputs]
            ctx.save_for_backward(*tensors)
            ctx.save_for_forward(*tensors)
            ctx.ndim = output.ndim
            ctx.constants = [None if isinstance(x, Tensor) else x for x in inputs]

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
            (cotangent,) = cotangents
            inputs = _saved(ctx)
            refuse_second_derivative(group_of(inputs))
            gradients: list[Tensor | None] = [None] * len(inputs)
            for i, x in enumerate(inputs):
                if ctx.needs_input_grad[i]:
                    gradients[i] = gradient(i, x.dtype, cotangent, *inputs)
            return tuple(gradients)

    # A class of its own, since torch.compile traces no Function that has a jvp.
    class Both(Reverse):
        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
            inputs = _saved(ctx)
            terms: list[Tensor] = []
            for i, tangent in enumerate(tangents):
                if tangent is not None:
                    term = partial_in(i, inputs) * tangent
                    # A sum over the last axis has lost it.
                    terms.append(term.sum(-1) if term.ndim > ctx.ndim else term)
            return sum(terms[1:], start=terms[0])

    Eager = eager_rule(Reverse)  # noqa: N806 (a class like the two above)
    return Rules(Reverse, Both, Eager)


def _saved(ctx: Any) -> list[Any]:
    """The inputs of a rule in their order."""
    pairs = zip(ctx.saved_tensors, ctx.constants, strict=True)
    return [constant if tensor is None else tensor for tensor, constant in pairs]


def closed_form(formula: Formula) -> ClosedForm:
    """Make a formula a closed form. Its partial derivatives see ±inf as ±1e30."""
    return ClosedForm(formula)


def closed_form_at_infinities(formula: Formula) -> ClosedForm:
    """Make a formula a closed form whose partial derivatives see ±inf."""
    return ClosedForm(formula, infinities=True)


def weighted(formula: Formula) -> ClosedForm:
    """Make a loss a closed form. It is what calls with `weight` and `where` are for."""
    return ClosedForm(formula)


def weighted_in_pieces(formula: Formula) -> ClosedForm:
    """The same for a loss that works element by element: large tensors go through it piece by
    piece."""
    return ClosedForm(formula, pieces=True)


def _zero_all_outside(where: Tensor | None, args: Sequence[Any]) -> list[Any]:
    return [zero_outside(where, x) for x in args]


def _weigh(result: Tensor, weight: Tensor | None, where: Tensor | None) -> Tensor:
    """weight·result inside the mask, else 0; weight and where are (…), result is (…) or (…, C)."""
    if weight is not None:
        weight = align(zero_outside(where, weight), result)
        result = multiply_no_nan(weight, result)
    return zero_outside(where, result)
