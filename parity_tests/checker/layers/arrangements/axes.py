"""The classes on another axis, and logits in more axes than one: the loss of an element is the one
that it has in rows, or in a vector.

    six elements    softmax (6, C), as (C, 6) and (3, C, 2)      sigmoid (6,), as (3, 2)
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, RefusedError, Subject

from ..batch import Call, call_of, logits_of, own_rounding
from ..judge import Finding
from .alike import of_elements

PLACES = (3, 2)


class Axes(NamedTuple):
    """The shape of the elements, and where their classes are, if they have any."""

    places: tuple[int, ...]
    axis: int | None = None

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


def in_axes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, PythonPort) or subject.one_by_one or subject.form.given:
        return
    if plan.probabilities or "axis" in plan.fixed:
        return
    call = call_of(plan)
    for order in (VALUE, GRADIENT):
        if order not in subject.orders:
            continue
        try:
            usual = subject.answer(call.problem, order)
        except PortError as error:
            failed.append(error)
            continue
        rounding = own_rounding(subject, call, order)
        for axes in _others(subject, plan):
            try:
                yield from _findings(subject, call, order, axes, usual, rounding)
            except RefusedError:
                # It takes these classes on one axis alone, or vectors.
                continue
            except PortError as error:
                failed.append(error)


def _others(port: PythonPort, plan: Plan) -> list[Axes]:
    if not plan.record.classes:
        return [Axes(PLACES)]
    if not port.takes("axis"):
        return []
    return [Axes((6,), 0), Axes(PLACES, 1), Axes(PLACES, -2)]


def _findings(
    port: PythonPort, call: Call, order: int, axes: Axes, usual: np.ndarray, rounding: np.ndarray
) -> Iterator[Finding]:
    rows = logits_of(call.problem)
    arguments = port.arguments(call.problem, rows)
    logits = np.ascontiguousarray(axes.of_rows(rows))
    arguments["targets"] = arguments["targets"].reshape(axes.places)
    if axes.axis is not None:
        arguments["axis"] = axes.axis
    result = port.call(logits, arguments, order)
    expected_shape = axes.places if order == VALUE else logits.shape
    if result.shape != expected_shape:
        # One number for several elements is that of none.
        raise RefusedError(f"a result of shape {result.shape}")
    classes = rows.shape[1:] if order == GRADIENT else ()
    kind = "gradient" if order == GRADIENT else "loss"
    name = axes.named(logits.shape)
    message = f"the {kind} of an element is another one {name}"
    where = {"logits of shape": logits.shape, "axis": axes.axis}
    found = axes.to_rows(result, classes)
    yield from of_elements(call, order, usual, found, where, message, rounding)
