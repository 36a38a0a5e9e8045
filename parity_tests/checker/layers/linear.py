"""The loss of a linear layer in all that it is made of: gradients in features, kernel and bias,
through everything that the layer "backward" asks about.

    rows    six, of four features each        kernel    (4, 3)        jets    one per row
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import LINEAR, Problem
from parity_tests.contract.tolerances import DTYPES, FLOOR, allowed
from parity_tests.ports.compiled import Asked as Question
from parity_tests.ports.compiled import in_all_together
from parity_tests.ports.linear import Inputs, LinearPort
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import GRADIENT, SECOND, VALUE, Plan, PortError, Subject
from parity_tests.truth import linear_oracle
from parity_tests.truth.jets import Jet, Term, argument_of, column

from . import truth
from .backward import differentiable, dtypes, orders_of, refuses
from .batch import KEPT, REDUCED, call_of
from .judge import Finding, digits
from .linear_reasons import Own, Reasons, derivatives, sums
from .ways import EVERY_OTHER, OF_ALL, Way, ways

DEPTH, CLASSES = 4, 3
SOFTCAP = 4.0
# One divides the six rows, and two do not.
CHUNK_SIZES = (1, 4, 7)
POISONS = (None, math.nan, math.inf)
MASKS = {"where", "ignore_index", "weight", "alpha"}
SIX = range(6)
ONE_ROW, MANY_ROWS = (2,), (*SIX, *SIX, *SIX, 0, 3)
# Of second derivatives.
DIRECTION = (1.0, -2.0, 0.5, 3.0)


@dataclass(frozen=True)
class Batch:
    """A call of a linear layer, and the variables that it is differentiated in."""

    problem: Problem
    inputs: Inputs
    names: list[str]
    has_bias: bool

    @property
    def gamma(self) -> float:
        return float(self.problem.constants["gamma"])

    def jets(self, options: Mapping[str, Any]) -> list[Jet]:
        """The loss of each row, before masks and weights."""
        smoothing = options.get("label_smoothing", 0.0)
        softcap = options.get("softcap")
        problem = self.problem
        assert problem.ids is not None
        kernel, bias = self.inputs.kernel.ravel().tolist(), self.inputs.bias.tolist()
        layer = linear_oracle.Layer(kernel, bias, softcap)
        alpha = problem.constants.get("alpha")
        if smoothing and "alpha" in options:
            # Each class has its own.
            alpha = options["alpha"].tolist()
        rows = zip(self.inputs.features.tolist(), problem.ids.tolist(), strict=True)
        jets: list[Jet] = []
        for row, (own, target) in enumerate(rows):
            with mpmath.workdps(truth.DIGITS):
                shares = linear_oracle.smoothed(target, CLASSES, smoothing)
                args = (row, own, layer, shares, alpha, self.gamma)
                jets.append(linear_oracle.row_jet(*args))
        return jets

    def poisoned(self, poison: float | None) -> Inputs:
        """With this number, if it is one, for the features of rows that a mask leaves out."""
        if poison is None:
            return self.inputs
        features = self.inputs.features.copy()
        features[~np.array(KEPT)] = poison
        return self.inputs._replace(features=features)

    @property
    def along(self) -> Inputs:
        along = self.inputs.like(np.resize(DIRECTION, len(self.names)))
        return along if self.has_bias else along._replace(bias=np.zeros(CLASSES))


def _batch(
    port: LinearPort, plan: Plan, gamma: float | None = None, rows: Sequence[int] = SIX
) -> Batch:
    draws = Draws(11)
    features = rounded(draws.bell((len(SIX), DEPTH)), plan.dtype)[list(rows)]
    kernel = rounded(draws.bell((DEPTH, CLASSES)), plan.dtype)
    bias = rounded(draws.bell(CLASSES), plan.dtype)
    has_bias = port.takes("bias")
    if not has_bias:
        bias = np.zeros(CLASSES)
    inputs = Inputs(features, kernel, bias)
    sizes = zip(Inputs._fields, inputs, strict=True)
    names = [column(name, i) for name, part in sizes for i in range(part.size)]
    problem = call_of(plan, gamma).problem
    assert problem.ids is not None
    points, ids = problem.points[list(rows)], problem.ids[list(rows)]
    return Batch(replace(problem, points=points, ids=ids), inputs, names, has_bias)


def kernel_and_bias(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, LinearPort):
        return
    has_gradient = differentiable(subject, plan) is not None
    for dtype in dtypes(plan):
        other = replace(plan, dtype=dtype)
        batch, call = _batch(subject, other), call_of(other)
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
            asked += _of_a_layer(subject)
        yield from _of_ways(Asked(subject, other, batch, failed), asked, orders)
    if not subject.one_by_one:
        for batch, name in _other_batches(subject, plan):
            rows = len(batch.inputs.features)
            way = Way(name, np.resize(EVERY_OTHER, rows), np.ones(rows))
            order = GRADIENT if has_gradient else VALUE
            yield from _of_ways(Asked(subject, plan, batch, failed), [way], [order])


def _other_batches(port: LinearPort, plan: Plan) -> Iterator[tuple[Batch, str]]:
    for gamma in gammas(plan):
        yield _batch(port, plan, gamma), f"a cotangent at γ = {gamma:g}"
    for rows in ONE_ROW, MANY_ROWS:
        yield _batch(port, plan, rows=rows), f"a batch of {len(rows)}"


def _of_a_layer(port: LinearPort) -> Iterator[Way]:
    """What only the loss of a linear layer has."""
    ones = np.ones(len(EVERY_OTHER))
    has_none = not port.one_by_one
    if has_none and port.takes("softcap"):
        yield Way("softcap", np.array(EVERY_OTHER), ones, {"softcap": SOFTCAP})
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


@dataclass(frozen=True)
class Asked:
    port: LinearPort
    plan: Plan
    batch: Batch
    failed: list[PortError]

    def typed(self, inputs: Inputs) -> Inputs:
        dtype = DTYPES[self.plan.dtype]
        return Inputs(*(part.astype(dtype) for part in inputs))

    def question(self, way: Way, order: int) -> Question:
        """What the port is called with beside features, kernel and bias."""
        features = self.typed(self.batch.inputs).features
        arguments = self.port.arguments(self.batch.problem, features) | dict(way.options)
        return Question(arguments, order, way.cotangent.astype(features.dtype))

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
        key = (order, *sorted({"label_smoothing", "softcap", "alpha"} & way.options.keys()))
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
    point |= {option: str(x) for option, x in way.options.items()}
    point |= {"derivative": order, "in": name, "dtype": asked.plan.dtype}
    if poison is not None:
        point["features left out"] = poison
    return point | {"cotangent": way.cotangent.tolist()}
