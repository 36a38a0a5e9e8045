"""First contact: a port is called as its users call it, before anything is judged."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES

from . import questions
from .form import Form, choices
from .python import PythonPort
from .subject import BadPortError, PortError, RefusedError, UnsupportedError


def first_contact(port: PythonPort) -> PythonPort:
    """Call the port once. Raise BadPortError, with what to do, if nothing can be learned from
    it."""
    problem = questions.first(port.plan)
    logits = problem.argument("logits").astype(DTYPES[port.plan.dtype])
    try:
        port, losses = _in_its_form(port, problem, logits)
    except UnsupportedError as error:
        message = f"{port.title} cannot be checked in {port.plan.dtype}: {error}"
        raise BadPortError(f"{message}; choose another --dtype") from None
    except RefusedError as error:
        asked = port.form.named()
        raise BadPortError(
            f"{port.title} raised {error}; it was called with logits of shape {logits.shape}"
            f"{asked and f', {asked}'}, {port.plan.dtype}: "
            "see --give, --map, --set, --pass and --dtype"
        ) from None
    except PortError as error:
        raise BadPortError(f"{port.title} {error}") from None
    _require_losses(port, logits, losses)
    port = replace(port, one_by_one=losses.shape == ())
    port = _without_gradient(port, problem, logits)
    return _without_alpha(port, problem, logits)


def _in_its_form(
    port: PythonPort, problem: Problem, logits: np.ndarray
) -> tuple[PythonPort, np.ndarray]:
    """The port and its losses, in the first form of its arguments that it does not refuse by an
    error."""
    try:
        return _by_image(port, problem, logits)
    except RefusedError as error:
        refused = error
    for form in _forms(port):
        other = replace(port, form=form, notes=(*port.notes, f"asked with {form.named()}"))
        try:
            other, losses = _by_image(other, problem, logits)
        except PortError:
            continue
        if losses.shape in ((), logits.shape[:1]):
            return other, losses
    raise refused


def _by_image(
    port: PythonPort, problem: Problem, logits: np.ndarray
) -> tuple[PythonPort, np.ndarray]:
    """The port and its losses; what gives one number for each image is asked one image at a
    time."""
    arguments = port.arguments(problem, logits)
    losses = port.call(logits, arguments)
    if port.form.is_by_image(losses.shape, len(logits)):
        form = replace(port.form, one_image=True)
        port = replace(port, form=form, notes=(*port.notes, "one number per image"))
        losses = port.call(logits, arguments)
    return port, losses


def _forms(port: PythonPort) -> Iterator[Form]:
    """Other forms of the arguments of which the user says nothing, those with few changes first."""
    free = {}
    for name, forms in choices(port.plan.record).items():
        if name in port.names and name not in port.form.given:
            free[name] = ("", *forms)
    changes = [
        {name: form for name, form in zip(free, chosen, strict=True) if form}
        for chosen in itertools.product(*free.values())
    ]
    for change in sorted(changes, key=len):
        if change:
            yield replace(port.form, given={**port.form.given, **change})


def _without_gradient(port: PythonPort, problem: Problem, logits: np.ndarray) -> PythonPort:
    """What is no array of the framework has no gradient."""
    if not port.framework.differentiates or port.values_only:
        return port
    if not port.returns_numbers(logits, port.arguments(problem, logits)):
        return port
    note = "values only: it returns numbers that the framework cannot differentiate"
    return replace(port, values_only=True, notes=(*port.notes, note))


def _without_alpha(port: PythonPort, problem: Problem, logits: np.ndarray) -> PythonPort:
    """Leave alpha=None out if the port raises an error for it."""
    if port.takes("alpha") and "alpha" not in port.plan.fixed and not port.plan.record.classes:
        arguments = port.arguments(problem, logits) | {"alpha": None}
        try:
            port.call(logits, arguments)
        except PortError:
            return replace(port, plan=replace(port.plan, without_alpha=False))
    return port


def _require_losses(port: PythonPort, logits: np.ndarray, losses: np.ndarray) -> None:
    """Raise BadPortError unless these are losses of the logits, one each or one for all."""
    # To numpy, bfloat16 is of the kind V.
    if losses.dtype.kind not in "fV" and losses.dtype != logits.dtype:
        raise BadPortError(
            f"{port.title} returned {losses.dtype}, not numbers: return the loss as an array"
        )
    expected = logits.shape[:1]
    if losses.shape not in ((), expected):
        advice = ""
        if losses.shape == logits.shape:
            advice = "; add up the losses of the classes, or judge it --as sigmoid_focal_loss"
        raise BadPortError(
            f"{port.title} returned shape {losses.shape} for logits of shape {logits.shape}: "
            f"one loss per element, shape {expected}, is expected{advice}"
        )
    if not port.may_return(losses, logits):
        raise BadPortError(
            f"{port.title} returned {losses.dtype} for logits of {logits.dtype}: "
            f"return the dtype of the logits, or check with --dtype {losses.dtype}"
        )
    if np.isnan(losses.astype(float)).all():
        raise BadPortError(
            f"{port.title} returns NaN for every one of {len(logits)} ordinary logits: "
            "nothing to judge"
        )
