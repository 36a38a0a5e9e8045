"""The loss of a linear layer in all that it is made of: gradients in features, kernel and bias,
through everything that the layer "backward" asks about.

    rows    six, of four features each        kernel    (4, 3)        jets    one per row
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import LINEAR
from parity_tests.contract.tolerances import DTYPES, FLOOR, allowed
from parity_tests.ports.compiled import Asked as Question
from parity_tests.ports.compiled import in_all_together
from parity_tests.ports.linear import Inputs, LinearPort
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import (
    GRADIENT,
    SECOND,
    VALUE,
    Plan,
    PortError,
    RefusedError,
    Subject,
)
from parity_tests.truth.jets import Term, argument_of

from ..backward import differentiable, dtypes, orders_of, refuses
from ..batch import KEPT, REDUCED, Call, call_of, with_lists
from ..judge import Finding, digits
from ..ways import EVERY_OTHER, OF_ALL, Way, ways, ways_with_gammas
from .batch import SIX, Batch, batch_of
from .reasons import Own, Reasons, derivatives, sums

SOFTCAP, Z_LOSS = 4.0, 0.25
ALPHAS = (0.5, 2.0, 1.25)
# One divides the six rows, and two do not.
CHUNK_SIZES = (1, 4, 7)
POISONS = (None, math.nan, math.inf)
# Options on which the loss of a row by itself depends.
OF_TRUTHS = {"label_smoothing", "softcap", "z_loss", "alpha"}
MASKS = {"where", "ignore_index", "weight", "alpha"}
ONE_ROW, MANY_ROWS = (2,), (*SIX, *SIX, *SIX, 0, 3)
PLACES = (3, 2)


def kernel_and_bias(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, LinearPort):
        return
    has_gradient = differentiable(subject, plan) is not None
    for dtype in dtypes(plan):
        other = replace(plan, dtype=dtype)
        batch, call = batch_of(subject, other), call_of(other)
        if dtype != plan.dtype and refuses(subject, call):
            continue
        orders = [VALUE, *orders_of(subject, other)] if has_gradient else [VALUE]
        if dtype != plan.dtype:
            # The loss is asked for by the layer "dtypes".
            orders.remove(VALUE)
        try:
            asked = list(ways(subject, other, call))
        except PortError as error:
            failed.append(error)
            continue
        if dtype == plan.dtype:
            asked += [*_of_a_layer(subject), *_of_gammas(subject, other, call)]
        yield from _of_ways(Asked(subject, other, batch, failed), asked, orders)
    if not subject.one_by_one:
        for batch, name in _other_batches(subject, plan):
            rows = len(batch.inputs.features)
            way = Way(name, np.resize(EVERY_OTHER, rows), np.ones(rows))
            order = GRADIENT if has_gradient else VALUE
            yield from _of_ways(Asked(subject, plan, batch, failed), [way], [order])
        yield from _in_axes(subject, plan, GRADIENT if has_gradient else VALUE, failed)


def _in_axes(
    port: LinearPort, plan: Plan, order: int, failed: list[PortError]
) -> Iterator[Finding]:
    """Features (3, 2, D), as those of sentences are, of a port that takes them."""
    batch = replace(batch_of(port, plan), places=PLACES)
    refused: list[PortError] = []
    asked = Asked(port, plan, batch, refused)
    ones = np.ones(len(EVERY_OTHER))
    name = "features of shape (3, 2, 4)"
    alone = Way(name, np.array(EVERY_OTHER), ones)
    try:
        asked.answer(alone, order, None)
        of_mean = [way for way in ways(port, plan, call_of(plan)) if _is_a_mean(way)]
    except RefusedError:
        return
    except PortError as error:
        failed.append(error)
        return
    in_axes = [replace(way, name=f"{way.name}, {name}") for way in of_mean]
    yield from _of_ways(asked, [alone, *in_axes], [order])
    # It may take these options for rows alone.
    failed += [error for error in refused if not isinstance(error, RefusedError)]


def _is_a_mean(way: Way) -> bool:
    """Of all rows, or of those that a mask keeps."""
    options = dict(way.options)
    return options.pop("reduction", "") == "mean" and options.keys() <= {"where"}


def _of_gammas(port: LinearPort, plan: Plan, call: Call) -> Iterator[Way]:
    """One per class, or per row."""
    for way in ways_with_gammas(port, plan, call):
        if "label_smoothing" not in way.options:
            yield way


def _other_batches(port: LinearPort, plan: Plan) -> Iterator[tuple[Batch, str]]:
    for gamma in gammas(plan):
        yield batch_of(port, plan, gamma), f"a cotangent at γ = {gamma:g}"
    for rows in ONE_ROW, MANY_ROWS:
        yield batch_of(port, plan, rows=rows), f"a batch of {len(rows)}"


def _of_a_layer(port: LinearPort) -> Iterator[Way]:
    """What only the loss of a linear layer has."""
    ones = np.ones(len(EVERY_OTHER))
    has_none = not port.one_by_one
    if has_none and port.takes("softcap"):
        yield Way("softcap", np.array(EVERY_OTHER), ones, {"softcap": SOFTCAP})
    if port.takes("z_loss"):
        yield from _of_z_losses(port, ones)
    if not port.takes("chunk_size"):
        return
    for size in CHUNK_SIZES:
        chunks: dict[str, Any] = {"chunk_size": size}
        if has_none:
            yield Way(f"chunk_size {size}", np.array(EVERY_OTHER), ones, chunks)
        if port.takes("reduction") and port.takes("where"):
            kept = np.array(KEPT)
            options = chunks | {"reduction": "sum", "where": kept}
            yield Way(f"sum with where, chunk_size {size}", np.array(OF_ALL), ones * kept, options)


def _of_z_losses(port: LinearPort, ones: np.ndarray) -> Iterator[Way]:
    """By itself, beside a cap and beside α, which does not multiply it; and of a sum with weights
    and of a mean, which do."""
    z_loss = {"z_loss": Z_LOSS}
    beside: dict[str, Any] = {"softcap": SOFTCAP, "alpha": np.array(ALPHAS)}
    if not port.one_by_one:
        yield Way("z_loss", np.array(EVERY_OTHER), ones, z_loss)
        for name in filter(port.takes, beside):
            options = z_loss | {name: beside[name]}
            yield Way(f"{name} beside z_loss", np.array(EVERY_OTHER), ones, options)
    if not (port.takes("reduction") and port.takes("where")):
        return
    kept = np.array(KEPT)
    options = z_loss | {"reduction": "mean", "where": kept}
    yield Way("mean with where, z_loss", np.array(OF_ALL), ones * kept, options, float(kept.sum()))
    if port.takes("weight"):
        weight = np.arange(1.0, len(ones) + 1)
        options = z_loss | {"reduction": "sum", "where": kept, "weight": weight}
        yield Way("sum with where and weight, z_loss", np.array(OF_ALL), weight * kept, options)


@dataclass(frozen=True)
class Asked:
    port: LinearPort
    plan: Plan
    batch: Batch
    failed: list[PortError]

    def typed(self, inputs: Inputs) -> Inputs:
        dtype = DTYPES[self.plan.dtype]
        features = inputs.features.reshape(*self.batch.places, -1)
        return Inputs(*(part.astype(dtype) for part in inputs._replace(features=features)))

    def question(self, way: Way, order: int) -> Question:
        """What the port is called with beside features, kernel and bias."""
        features = self.typed(self.batch.inputs).features
        arguments = self.port.arguments(self.batch.problem, features) | dict(way.options)
        places = self.batch.places
        for name in {"targets", "where", "weight"} & arguments.keys():
            arguments[name] = arguments[name].reshape(places)
        cotangent = way.cotangent.astype(features.dtype)
        return Question(
            arguments, order, cotangent.reshape(places) if cotangent.ndim else cotangent
        )

    def answer(self, way: Way, order: int, poison: float | None) -> np.ndarray:
        inputs = self.typed(self.batch.poisoned(poison))
        arguments, _, cotangent = self.question(way, order)
        assert cotangent is not None
        return self.port.in_all(inputs, arguments, order, cotangent, self.typed(self.batch.along))

    def together(self, questions: list[tuple[Way, int]]) -> "Known":
        """The answers that can be compiled in one program."""
        poisons = POISONS if any("where" in way.options for way, _ in questions) else POISONS[:1]
        points = [self.typed(self.batch.poisoned(poison)) for poison in poisons]
        asked = [self.question(way, order) for way, order in questions]
        every = in_all_together(self.port, asked, points, self.typed(self.batch.along))
        known: Known = {}
        for poison, answers in zip(poisons, every, strict=True):
            for (way, order), answer in zip(questions, answers, strict=True):
                if answer is not None:
                    known[way.name, order, str(poison)] = answer
        return known


# By the name of a way, the order of the derivative, and what the features left out are.
Known = dict[tuple[str, int, str], np.ndarray]


def _of_ways(asked: Asked, every: list[Way], orders: list[int]) -> Iterator[Finding]:
    batch = asked.batch
    along = dict(zip(batch.names, batch.along.flat.tolist(), strict=True))
    questions = [(way, order) for way in every for order in _orders(way, orders)]
    answers = asked.together(questions)
    truths: dict[tuple[Any, ...], Own] = {}
    for way, order in questions:
        key = (order, *sorted(OF_TRUTHS & way.options.keys()), str(way.options.get("gamma")))
        if key not in truths:
            truths[key] = [derivatives(jet, order, along) for jet in batch.jets(way.options)]
        # What a mask leaves out may hold anything.
        for poison in POISONS if "where" in way.options else POISONS[:1]:
            result = answers.get((way.name, order, str(poison)))
            try:
                if result is None:
                    result = asked.answer(way, order, poison)
            except PortError as error:
                asked.failed.append(type(error)(f"{way.name}, for a kernel of 4×3: {error}"))
                continue
            yield from _findings(asked, way, order, truths[key], result.astype(float), poison)


def _orders(way: Way, orders: list[int]) -> list[int]:
    """What masks and weights do to losses, and reductions to second derivatives, is the question of
    other layers."""
    if MASKS & way.options.keys():
        return [order for order in orders if order == GRADIENT]
    if "reduction" in way.options:
        return [order for order in orders if order != SECOND]
    return orders


def _findings(
    asked: Asked, way: Way, order: int, own: Own, result: np.ndarray, poison: float | None
) -> Iterator[Finding]:
    batch, plan = asked.batch, asked.plan
    if order == VALUE:
        result = np.atleast_1d(result.sum())
    terms = sums(own, way, way.factors)
    units = allowed(LINEAR, ("features",) * order, batch.gamma, plan.dtype) + REDUCED
    floor = FLOOR[plan.dtype][order]
    reasons = Reasons(way, order, batch.inputs.features, result, terms)
    places = batch.names if order else ["loss"]
    for name, x, term in zip(places, result.tolist(), terms, strict=True):
        if name.startswith("bias") and not batch.has_bias:
            continue
        error = _error(x, term, plan.dtype, floor)
        # A row that is left out has exactly 0.
        limit = units if term.scale else 0.0
        message = ""
        if error > limit:
            message = reasons.of(argument_of(name), batch.names)
        where = _point(asked, way, order, name, poison)
        yield Finding(error, limit, x, digits(term), where, message)


def _error(x: float, term: Term, dtype: str, floor: float) -> float:
    if not term.scale:
        return 0.0 if x == 0 else math.inf
    return math.inf if math.isnan(x) else error_in_eps(x, term, dtype, floor)


def _point(asked: Asked, way: Way, order: int, name: str, poison: float | None) -> dict[str, Any]:
    point: dict[str, Any] = dict(asked.batch.problem.constants)
    point |= with_lists(way.options)
    point |= {"derivative": order, "in": name, "dtype": asked.plan.dtype}
    if poison is not None:
        point["features left out"] = poison
    return point | {"cotangent": way.cotangent.tolist()}
