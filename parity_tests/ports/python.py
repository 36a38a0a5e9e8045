"""A port that is a Python function, or a class whose instances are called, in one of the
frameworks."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES

from .contain import contained
from .form import Form
from .frameworks.dtypes import dtype_of, is_half
from .frameworks.framework import Array, Framework, Loss
from .side_effects import settings_unchanged
from .signature import call_of, called, named_parameters
from .subject import (
    GRADIENT,
    SECOND,
    VALUE,
    Plan,
    PortError,
    RefusedError,
    along,
)

Target = Callable[..., Any]
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class PythonPort:
    title: str
    target: Target
    framework: Framework
    plan: Plan
    names: Mapping[str, str] = field(default_factory=dict)
    extra: Arguments = field(default_factory=dict)
    # The gradient of a port whose framework does not differentiate.
    slope: Target | None = None
    # A port that has no unreduced loss is asked one sample at a time.
    one_by_one: bool = False
    values_only: bool = False
    form: Form = field(default_factory=Form)
    # What a factory returns for ordinary settings.
    made: Target | None = None
    # Of arguments that the port always asks for.
    defaults: Arguments = field(default_factory=dict)
    # What was found out about it at first contact.
    notes: tuple[str, ...] = ()

    @property
    def orders(self) -> tuple[int, ...]:
        if self.slope:
            return (VALUE, GRADIENT)
        if self.framework.differentiates and not self.values_only:
            return (VALUE, GRADIENT, SECOND)
        return (VALUE,)

    def takes(self, argument: str) -> bool:
        return argument in self.names

    def leaves_open(self, argument: str) -> bool:
        """Whether it takes an argument that the user has not fixed."""
        return self.takes(argument) and argument not in self.plan.fixed

    def call(
        self,
        logits: np.ndarray,
        arguments: Arguments,
        order: int = VALUE,
        cotangent: np.ndarray | None = None,
    ) -> np.ndarray:
        """The raw result for numpy arguments: the loss, or a derivative of its sum, or of the sum
        of its product with a cotangent."""
        with contained(), settings_unchanged():
            return self._derivative(logits, arguments, order, cotangent)

    def weighted(self, result: Array, cotangent: np.ndarray) -> Array:
        """The product, in float32 for a float32 loss of half precision."""
        if cotangent.dtype.itemsize == 2 and not is_half(result):
            cotangent = cotangent.astype(np.float32)
        return result * self.framework.array(cotangent)

    def may_return(self, result: np.ndarray, logits: np.ndarray) -> bool:
        """Whether losses may have this dtype."""
        return result.dtype == logits.dtype

    def _derivative(
        self,
        logits: np.ndarray,
        arguments: Arguments,
        order: int,
        cotangent: np.ndarray | None,
    ) -> np.ndarray:
        loss = self.loss(arguments, cotangent)

        def slope(z: Array) -> Array:
            return self._result(self.slope or self.target, z, arguments)

        if order == SECOND:
            return self.framework.second(loss, logits, direction(arguments, logits))
        if order == GRADIENT and self.slope:
            return self.framework.value(slope, logits)
        if order == GRADIENT:
            return self.framework.gradient(loss, logits)
        return self.framework.value(loss, logits)

    def loss(self, arguments: Arguments, cotangent: np.ndarray | None = None) -> Loss:
        """The loss as a function of the logits alone, times a cotangent."""

        def loss(z: Array) -> Array:
            result = self._result(self.target, z, arguments)
            return result if cotangent is None else self.weighted(result, cotangent)

        return loss

    def beside_gradient(self, logits: np.ndarray, arguments: Arguments) -> np.ndarray:
        """The loss where its gradient in the logits is taken."""
        with contained():
            return self.framework.beside_gradient(self.loss(arguments), logits)

    def loss_in(
        self, argument: str, logits: np.ndarray, arguments: Arguments, cotangent: np.ndarray
    ) -> Loss:
        """The loss times a cotangent, as a function of another argument than the logits."""

        def loss(value: Array) -> Array:
            z = self.framework.array(logits)
            result = self._result(self.target, z, {**arguments, argument: value})
            return self.weighted(result, cotangent)

        return loss

    def gradient_in(
        self,
        argument: str,
        x: np.ndarray,
        logits: np.ndarray,
        arguments: Arguments,
        cotangent: np.ndarray,
    ) -> np.ndarray:
        """The gradient in an argument at x, of the sum of the loss times a cotangent."""
        loss = self.loss_in(argument, logits, arguments, cotangent)
        with contained():
            return self.framework.gradient(loss, x)

    def returns_numbers(self, logits: np.ndarray, arguments: Arguments) -> bool:
        """Whether the loss is a number or an array of numpy, whatever the framework is."""
        with contained():
            result = self._result(self.target, self.framework.array(logits), arguments)
        return isinstance(result, np.ndarray | np.generic)

    def _result(self, target: Target, logits: Array, arguments: Arguments) -> Array:
        """The port's result, unless it changes what it is given."""
        ours = self._taken(logits, arguments)
        mutable = {name: x for name, x in ours.items() if self._is_mutable(x)}
        before = {name: np.array(self.framework.numpy(x)) for name, x in mutable.items()}
        result = self._call_target(target, self._renamed(ours))
        for name, x in before.items():
            after = self.framework.numpy(ours[name])
            if not np.array_equal(after, x, equal_nan=x.dtype.kind != "b"):
                raise PortError(f"the loss changes its {name} in place: it has to work on a copy")
        if target is self.slope:
            return self.form.slopes(result, logits.shape)
        return self.form.losses(result, logits.shape, dtype_of(logits))

    def traced(self, logits: Array, targets: Array, arguments: Arguments) -> Array:
        """The port's result for arrays whose values a framework has not yet, or maps over."""
        if self.form.given:
            raise RefusedError(f"not with {self.form.named()}")
        ours = self._taken(logits, {**arguments, "targets": targets})
        result = self._call_target(self.target, self._renamed(ours))
        return self.form.losses(result, logits.shape, dtype_of(logits))

    def _taken(self, logits: Array, arguments: Arguments) -> dict[str, Any]:
        """What the port takes of the arguments, in its form."""
        numpy = {**self.defaults, **arguments, **self.plan.fixed}
        if isinstance(numpy.get("alpha"), list):
            # A question about fewer classes has the weights of those.
            numpy["alpha"] = arguments.get("alpha", numpy["alpha"])
        if "C" in self.form.axes:
            numpy["axis"] = self.form.axes.index("C")
        ours = {self.plan.record.arrays[0]: self.form.layout("logits", logits)}
        for name in numpy.keys() & self.names.keys():
            ours[name] = self.form.layout(name, self.converted(name, numpy[name], logits))
        return ours

    def _renamed(self, ours: Arguments) -> dict[str, Any]:
        return {self.names[name]: x for name, x in ours.items()}

    def _is_mutable(self, x: Any) -> bool:
        if self.framework.name not in ("numpy", "torch"):
            return False
        return hasattr(x, "shape") and not is_half(x)

    @property
    def call_names(self) -> set[str]:
        """What the loss is called with; the rest are settings of the class or factory."""
        loss = self.made
        if loss is None:
            loss = call_of(self.target) if inspect.isclass(self.target) else self.target
        return set(named_parameters(loss))

    def _call_target(self, target: Target, theirs: Arguments) -> Any:
        everything = {**theirs, **self.extra}
        if target is self.slope or not (inspect.isclass(target) or self.made):
            return called(target, everything)
        call_names = self.call_names
        settings = {name: x for name, x in everything.items() if name not in call_names}
        call = {name: x for name, x in everything.items() if name in call_names}
        loss: Any = target(**settings)
        return called(loss, call)

    def converted(self, name: str, x: Any, logits: Array) -> Any:
        """An argument in the form and as an array that the port takes."""
        if isinstance(x, list):
            x = np.array(x, DTYPES[self.plan.dtype])
        if self.form.given:
            x = self.form.argument(name, x, logits.shape, dtype_of(logits))
        return self.framework.array(x) if isinstance(x, np.ndarray) else x

    def answer(self, problem: Problem, order: int) -> np.ndarray:
        logits = problem.argument("logits").astype(DTYPES[problem.dtype])
        arguments = self.arguments(problem, logits)
        if self.one_by_one:
            return self._one_by_one(logits, arguments, order).astype(float)
        result = self.call(logits, arguments, order)
        is_per_sample = self.plan.record.classes and order == VALUE
        expected = logits.shape[:1] if is_per_sample else logits.shape
        if result.shape != expected:
            raise PortError(
                f"a result of shape {result.shape} for logits of shape {logits.shape}, "
                f"not {expected}"
            )
        is_typed = result.dtype == logits.dtype
        if order == VALUE:
            is_typed = self.may_return(result, logits)
        if not is_typed:
            raise PortError(f"a result of {result.dtype} for logits of {logits.dtype}")
        return result.astype(float)

    def _one_by_one(self, logits: np.ndarray, arguments: Arguments, order: int) -> np.ndarray:
        target = self.target
        if self.slope:
            # A gradient is the value of the port's second function.
            target = self.slope if order else self.target
            order = VALUE

        labelled = self.labelled()

        def loss(z: Array, y: Array) -> Array:
            return labelled._result(target, z, {**arguments, "targets": y})

        targets = arguments["targets"]
        if self.form.given:
            dtype = logits.dtype.name
            targets = self.form.argument("targets", targets, logits.shape, dtype)
        along_each = direction(arguments, logits[:1])
        with contained():
            rows = self.framework.rows(loss, logits, targets, order, along_each)
        if self.plan.convention("mean") == "weights":
            return self._weighted(rows, arguments)
        return rows

    def _weighted(self, rows: np.ndarray, arguments: Arguments) -> np.ndarray:
        """Of one sample alone, the mean by the sum of weights has lost the weight of its class."""
        alpha = arguments.get("alpha", self.plan.fixed.get("alpha"))
        ids = arguments["targets"]
        if alpha is None or not self.plan.record.classes or ids.dtype.kind != "i":
            return rows
        weights = np.asarray(alpha, float)[ids]
        return (rows.astype(float).T * weights).T

    def labelled(self) -> "PythonPort":
        """The port for labels that are in its form already."""
        given = {name: form for name, form in self.form.given.items() if name != "targets"}
        return replace(self, form=replace(self.form, given=given))

    def arguments(self, problem: Problem, logits: np.ndarray) -> dict[str, Any]:
        """The arguments that go with a batch of logits, in numpy."""
        classes = self.plan.record.classes
        arguments: dict[str, Any] = {}
        for name, x in problem.constants.items():
            arguments[name] = np.asarray(x, logits.dtype) if isinstance(x, list) else x
        if problem.ids is None:
            arguments["targets"] = problem.argument("targets").astype(logits.dtype)
        else:
            arguments["targets"] = problem.ids.astype(np.int64 if classes else logits.dtype)
        if classes:
            arguments["axis"] = -1
        return arguments | {"reduction": "none", "along": along(problem)}


def direction(arguments: Arguments, logits: np.ndarray) -> np.ndarray:
    return np.broadcast_to(arguments["along"], logits.shape).astype(logits.dtype)
