"""Derivatives of a port with many settings at once: in one program, where its framework compiles.

A program for each would take most of the time of a check in JAX. Arguments are known while the
program is traced, numbers as numbers; only the logits are not.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES

from .contain import contained
from .frameworks.framework import Array, Loss
from .frameworks.of_jax import Jax
from .linear import Inputs, LinearPort
from .python import Arguments, PythonPort, direction
from .subject import GRADIENT, VALUE, PortError, Subject

LOGITS = "logits"
# None: it has to be asked by itself.
Answers = list[np.ndarray | None]


class Asked(NamedTuple):
    """A derivative: what the port is called with beside the logits, and what its loss is multiplied
    by."""

    arguments: Arguments
    order: int
    cotangent: np.ndarray | None = None


def answers_to(
    subject: Subject,
    problems: Sequence[Problem],
    order: int,
    cotangent: Sequence[float] | None = None,
) -> dict[Problem, np.ndarray]:
    """As `Subject.answer`, for those problems that can be asked together: with the same logits. A
    cotangent is repeated for all samples."""
    answers: dict[Problem, np.ndarray] = {}
    # One number for a batch, and a gradient that is another function, are asked otherwise.
    if not isinstance(subject, PythonPort) or subject.one_by_one or subject.slope:
        return answers
    for group, logits in _with_the_same_logits(problems):
        of_samples = None
        if cotangent is not None:
            of_samples = np.resize(cotangent, len(logits)).astype(logits.dtype)
        asked = [Asked(subject.arguments(problem, logits), order, of_samples) for problem in group]
        (results,) = answers_together(subject, asked, [logits])
        for problem, result in zip(group, results, strict=True):
            if result is not None and result.shape == logits.shape:
                answers[problem] = result.astype(float)
    return answers


def beside_gradients(port: PythonPort, problems: Sequence[Problem]) -> dict[Problem, np.ndarray]:
    """As `PythonPort.beside_gradient`, for those problems that can be asked together."""
    answers: dict[Problem, np.ndarray] = {}
    framework = port.framework
    if not isinstance(framework, Jax) or port.form.given or port.one_by_one:
        return answers
    for group, logits in _with_the_same_logits(problems):
        with framework.bits(logits):
            functions: list[Loss] = []
            for problem in group:
                loss = port.loss(_known(framework, port.arguments(problem, logits)))
                functions.append(partial(_at, framework.beside(loss), LOGITS))
            (results,) = _results(framework, functions, [{LOGITS: logits}])
        known = zip(group, results, strict=True)
        answers |= {problem: result for problem, result in known if result is not None}
    return answers


def _with_the_same_logits(
    problems: Sequence[Problem],
) -> Iterator[tuple[list[Problem], np.ndarray]]:
    alike: dict[tuple[Any, ...], list[Problem]] = {}
    for problem in problems:
        alike.setdefault((problem.points.shape, problem.points.tobytes()), []).append(problem)
    for group in alike.values():
        yield group, group[0].argument("logits").astype(DTYPES[group[0].dtype])


def answers_together(
    port: PythonPort, asked: Sequence[Asked], points: Sequence[np.ndarray]
) -> list[Answers]:
    """The answers at each of these logits, which are alike in shape."""
    framework = port.framework
    # Labels in another form are made in numpy, of numbers that are known.
    if not isinstance(framework, Jax) or port.form.given:
        return [[None] * len(asked) for _ in points]
    with framework.bits(points[0]):
        functions = [_derivative(port, framework, each, points[0]) for each in asked]
        return _results(framework, functions, [{LOGITS: x} for x in points])


def in_all_together(
    port: LinearPort, asked: Sequence[Asked], points: Sequence[Inputs], along: Inputs
) -> list[Answers]:
    """As `LinearPort.in_all`, at each of these inputs, which are alike in shape."""
    framework = port.framework
    if not isinstance(framework, Jax) or port.form.given:
        return [[None] * len(asked) for _ in points]
    places = port.places(along)
    flat = [{LOGITS: inputs.flat[places]} for inputs in points]
    with framework.bits(points[0].features):
        functions: list[Loss] = []
        for each in asked:
            assert each.cotangent is not None
            loss = port.loss_in_all(along, _known(framework, each.arguments), each.cotangent)
            derivative = framework.function(loss, each.order, along.flat[places])
            functions.append(partial(_at, derivative, LOGITS))
        results = _results(framework, functions, flat)
    return [_in_order(port, asked, answers, along) for answers in results]


def _in_order(
    port: LinearPort, asked: Sequence[Asked], answers: Answers, inputs: Inputs
) -> Answers:
    ordered: Answers = []
    for each, answer in zip(asked, answers, strict=True):
        if answer is not None and each.order != VALUE:
            answer = port.in_order(answer, inputs)
        ordered.append(answer)
    return ordered


def gradients_together(
    port: PythonPort,
    values: Sequence[tuple[str, np.ndarray]],
    logits: np.ndarray,
    arguments: Arguments,
    cotangent: np.ndarray,
) -> Answers:
    """As `PythonPort.gradient_in`, in each of these arguments at its value."""
    framework = port.framework
    if not isinstance(framework, Jax) or port.form.given:
        return [None] * len(values)
    with framework.bits(logits):
        known = _known(framework, arguments)
        functions: list[Loss] = []
        for place, (name, value) in enumerate(values):
            loss = port.loss_in(name, logits, known, cotangent)
            gradient = framework.function(loss, GRADIENT, value)
            functions.append(partial(_at, gradient, str(place)))
        points = {str(place): value for place, (_, value) in enumerate(values)}
        (results,) = _results(framework, functions, [points])
    return results


def _at(function: Loss, name: str, point: Mapping[str, Array]) -> Array:
    return function(point[name])


def _results(
    framework: Jax, functions: Sequence[Loss], points: Sequence[dict[str, np.ndarray]]
) -> list[Answers]:
    try:
        with contained():
            return framework.together(functions, points)
    except PortError:
        return [[None] * len(functions) for _ in points]


def _derivative(port: PythonPort, framework: Jax, asked: Asked, logits: np.ndarray) -> Loss:
    arguments = _known(framework, asked.arguments)
    loss = port.loss(arguments, asked.cotangent)
    derivative = framework.function(loss, asked.order, direction(asked.arguments, logits))
    return partial(_at, derivative, LOGITS)


def _known(framework: Jax, arguments: Arguments) -> dict[str, Any]:
    """The arguments as arrays of the framework, which stay known while a program is traced."""
    known: dict[str, Any] = {}
    for name, x in arguments.items():
        is_array = isinstance(x, np.ndarray) and name != "along"
        known[name] = framework.array(x) if is_array else x
    return known
