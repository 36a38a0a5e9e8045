"""The classes on another axis, and logits in several axes. An element has the same loss and
derivatives as in rows or in a vector, and a mean has the same divisor.

    six elements    softmax (6, C), as (C, 6) and (3, C, 2)      sigmoid (6,), as (3, 2)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from parity_tests.ports.compiled import Asked, answers_together
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import (
    GRADIENT,
    SECOND,
    VALUE,
    Plan,
    PortError,
    RefusedError,
    Subject,
)

from ..batch import KEPT, REDUCED, Call, call_of, logits_of, own_rounding, rounding_of
from ..judge import HAVE_SECOND, Finding
from ..reductions import divisors, plain
from .alike import alike, of_elements, pairs

PLACES = (3, 2)
# Powers of 2, which round nothing.
COTANGENT = (1.0, -2.0, 4.0, -1.0, 2.0, -4.0)


class Axes(NamedTuple):
    """The shape of the elements, and where their classes are, if they have any."""

    places: tuple[int, ...]
    axis: int | None = None
    # Then losses and gradients alone are asked for: it is the layout before.
    counted_from_the_end: bool = False

    def of_rows(self, rows: np.ndarray) -> np.ndarray:
        """From (6, C), or (6,)."""
        if self.axis is None:
            return rows.reshape(self.places)
        return np.moveaxis(rows.reshape(*self.places, -1), -1, self.axis)

    def to_rows(self, x: np.ndarray, classes: tuple[int, ...]) -> np.ndarray:
        if self.axis is not None and classes:
            x = np.moveaxis(x, self.axis, -1)
        return x.reshape(-1, *classes)

    def named(self, shape: tuple[int, ...]) -> str:
        name = f"in logits of shape {shape}"
        return name if self.axis is None else f"{name} with axis={self.axis}"


class Layout(NamedTuple):
    """The elements of a call, arranged in axes: the logits, and the arguments beside them."""

    axes: Axes
    logits: np.ndarray
    arguments: dict[str, Any]


class Question(NamedTuple):
    """What is asked of every layout, with at most one option, which has a value per element."""

    order: int
    options: Mapping[str, np.ndarray]
    reduction: str = "none"

    @property
    def name(self) -> str:
        kind = ("loss", "gradient", "second derivative")[self.order]
        if self.reduction == "none":
            return f"the {kind} of an element"
        return f"the {kind} of {' with '.join([self.reduction, *self.options])}"


class Known(NamedTuple):
    """The answer for rows, and what it loses by rounding."""

    question: Question
    answer: np.ndarray | PortError
    rounding: np.ndarray
    has_cotangent: bool


def in_axes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, PythonPort) or subject.one_by_one or subject.form.given:
        return
    if plan.probabilities or "axis" in plan.fixed:
        return
    others = _others(subject, plan)
    if not others:
        return
    call = call_of(plan)
    try:
        usual = list(_in_rows(subject, plan, call))
    except PortError as error:
        failed.append(error)
        return
    for known in usual:
        # The layer of second derivatives says if there are none.
        if isinstance(known.answer, PortError) and known.question.order != SECOND:
            failed.append(known.answer)
    for axes in others:
        chosen = usual[: len(_orders(subject))] if axes.counted_from_the_end else usual
        yield from _in_layout(subject, call, _arranged(subject, call, axes), chosen, failed)


def _in_rows(port: PythonPort, plan: Plan, call: Call) -> Iterator[Known]:
    questions = list(_questions(port, plan, call))
    rows = Axes((len(call.jets),), -1 if plan.record.classes else None)
    answers = _answers(port, _arranged(port, call, rows), questions)
    for question, answer in zip(questions, answers, strict=True):
        rounding = own_rounding(port, call, question.order)
        yield Known(question, answer, rounding, _has_cotangent(port, question))


def _in_layout(
    port: PythonPort, call: Call, layout: Layout, usual: list[Known], failed: list[PortError]
) -> Iterator[Finding]:
    results = _answers(port, layout, [known.question for known in usual])
    for known, got in zip(usual, results, strict=True):
        if isinstance(known.answer, PortError):
            continue
        if isinstance(got, np.ndarray):
            yield from _findings(call, layout, known, known.answer, got)
        elif not isinstance(got, RefusedError):
            # It may take vectors alone, or these classes on one axis.
            failed.append(got)


def _others(port: PythonPort, plan: Plan) -> list[Axes]:
    if not plan.record.classes:
        return [Axes(PLACES)]
    if not port.takes("axis"):
        return []
    return [Axes((6,), 0), Axes(PLACES, 1), Axes(PLACES, -2, counted_from_the_end=True)]


def _orders(port: PythonPort) -> list[int]:
    return [order for order in (VALUE, GRADIENT) if order in port.orders]


def _questions(port: PythonPort, plan: Plan, call: Call) -> Iterator[Question]:
    """Losses and derivatives by themselves, and those of a mean: with a mask, which changes what it
    divides by, if the port takes one."""
    for order in _orders(port):
        yield Question(order, {})
    if SECOND in port.orders and plan.dtype in HAVE_SECOND:
        yield Question(SECOND, {})
    options: dict[str, np.ndarray] = {}
    if port.takes("where"):
        options["where"] = np.array(KEPT)
    if plan.convention("mean") == "nothing" or not _has_mean(port, plan, call):
        return
    for order in _orders(port):
        yield Question(order, options, "mean")


def _has_mean(port: PythonPort, plan: Plan, call: Call) -> bool:
    return "mean" in divisors(port, plan, plain(call), call)


def _arranged(port: PythonPort, call: Call, axes: Axes) -> Layout:
    rows = logits_of(call.problem)
    arguments = port.arguments(call.problem, rows)
    arguments["targets"] = arguments["targets"].reshape(axes.places)
    along = np.broadcast_to(arguments["along"], rows.shape)
    arguments["along"] = axes.of_rows(along)
    if axes.axis is not None:
        arguments["axis"] = axes.axis
    return Layout(axes, np.ascontiguousarray(axes.of_rows(rows)), arguments)


def _answers(
    port: PythonPort, layout: Layout, questions: Sequence[Question]
) -> Iterator[np.ndarray | PortError]:
    """One after the other, unless they are compiled together; an error in place of an answer."""
    asked = [_asked(port, layout, question) for question in questions]
    (answers,) = answers_together(port, asked, [layout.logits])
    for each, answer in zip(asked, answers, strict=True):
        if answer is not None:
            yield answer
            continue
        try:
            yield port.call(layout.logits, each.arguments, each.order, each.cotangent)
        except PortError as error:
            yield error


def _asked(port: PythonPort, layout: Layout, question: Question) -> Asked:
    places = layout.axes.places
    options = {name: x.reshape(places) for name, x in question.options.items()}
    arguments = layout.arguments | options | {"reduction": question.reduction}
    if not _has_cotangent(port, question):
        return Asked(arguments, question.order)
    cotangent = np.array(COTANGENT, layout.logits.dtype)
    return Asked(arguments, question.order, cotangent.reshape(places))


def _has_cotangent(port: PythonPort, question: Question) -> bool:
    return question.order != VALUE and question.reduction == "none" and not port.slope


def _findings(
    call: Call, layout: Layout, known: Known, expected: np.ndarray, got: np.ndarray
) -> Iterator[Finding]:
    question, rounding = known.question, known.rounding
    axes, shape = layout.axes, layout.logits.shape
    message = f"{question.name} is another one {axes.named(shape)}"
    where: dict[str, Any] = {"logits of shape": shape, "axis": axes.axis}
    if question.order == VALUE and question.reduction != "none":
        where |= call.problem.constants | {"reduction": question.reduction}
        if got.shape != expected.shape:
            yield Finding.exact(False, str(got.shape), str(expected.shape), where, message)
            return
        for _, (x, y) in pairs(expected, got):
            yield alike(call.problem, VALUE, x, y, where, message, REDUCED + float(rounding.max()))
        return
    if got.shape != (axes.places if question.order == VALUE else shape):
        # One number for several elements is that of none.
        return
    classes = ()
    if question.order != VALUE and axes.axis is not None:
        classes = logits_of(call.problem).shape[1:]
    rows = axes.to_rows(got, classes)
    if known.has_cotangent:
        # Exact, and what is left are the derivatives by themselves.
        rows = (rows.T / COTANGENT).T
        expected = (expected.T / COTANGENT).T
    if question.reduction == "none":
        # Compiled, it may be another one.
        rounding = np.maximum(rounding, rounding_of(expected, call, question.order))
    yield from of_elements(call, question.order, expected, rows, where, message, rounding)
