"""A port that is a Python function, or a class whose instances are called, in one of the
frameworks."""

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES

from .frameworks import Array, Framework, Loss
from .signature import call_names
from .subject import (
    GRADIENT,
    SECOND,
    VALUE,
    BadPortError,
    Plan,
    PortError,
    RefusedError,
    UnsupportedError,
    along,
)

Target = Callable[..., Any]
Arguments = Mapping[str, Any]


def locate(path: str) -> Any:
    """The object that `module:attribute` names, with the current folder on the path."""
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise BadPortError(
            f"{path!r} does not name a port: write MODULE:ATTRIBUTE, e.g. mypkg.losses:focal"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        target = importlib.import_module(module_name)
    except BaseException as error:
        stop(error)
        advice = f"start where `import {module_name}` works, or install it"
        raise BadPortError(f"cannot import {module_name}: {first_line(error)}; {advice}") from None
    for name in attribute.split("."):
        if not hasattr(target, name):
            have = ", ".join(_public_callables(target)[:8]) or "nothing to call"
            raise BadPortError(f"{module_name} has no {attribute!r}; it has {have}")
        target = getattr(target, name)
    if not callable(target):
        raise BadPortError(
            f"{path} is a {type(target).__name__} and cannot be called: name a function or a class"
        )
    return target


def _public_callables(owner: object) -> list[str]:
    public = [name for name in dir(owner) if not name.startswith("_")]
    return sorted(name for name in public if callable(getattr(owner, name)))


def stop(error: BaseException) -> None:
    """A port may raise what it likes, but Ctrl-C is the user's."""
    if isinstance(error, KeyboardInterrupt):
        raise error


def first_line(error: BaseException) -> str:
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


# What TensorFlow and PyTorch say of an operation that they do not have for half precision.
NO_OPERATION = re.compile(
    r"Could not find device for node: .*=DT_(HALF|BFLOAT16)"
    r"|of (half|bfloat16) is not in the list of allowed values"
    r"|not implemented for '(Half|BFloat16)'"
)


def refusal(error: BaseException) -> RefusedError:
    """The error of a port, or of its framework, as one of an answer."""
    line = first_line(error)
    if NO_OPERATION.search(line):
        return UnsupportedError(f"the framework has no such operation: {line}")
    return RefusedError(line)


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

    @property
    def orders(self) -> tuple[int, ...]:
        if self.slope:
            return (VALUE, GRADIENT)
        if self.framework.differentiates and not self.values_only:
            return (VALUE, GRADIENT, SECOND)
        return (VALUE,)

    def takes(self, argument: str) -> bool:
        return argument in self.names

    def call(
        self,
        logits: np.ndarray,
        arguments: Arguments,
        order: int = VALUE,
        cotangent: np.ndarray | None = None,
    ) -> np.ndarray:
        """The raw result for numpy arguments: the loss, or a derivative of its sum, or of the sum
        of its product with a cotangent."""
        return self.trying(lambda: self._derivative(logits, arguments, order, cotangent))

    def trying(self, ask: Callable[[], np.ndarray]) -> np.ndarray:
        """What the port answers; an error of its own is a refusal."""
        try:
            return ask()
        except PortError:
            raise
        except BaseException as error:
            stop(error)
            raise refusal(error) from error

    def weighted(self, result: Array, cotangent: np.ndarray) -> Array:
        """The product, in float32 for a float32 loss of half precision."""
        if cotangent.dtype.itemsize == 2 and not _is_half(result):
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
        return self.trying(lambda: self.framework.gradient(loss, x))

    def _result(self, target: Target, logits: Array, arguments: Arguments) -> Array:
        """The port's result, unless it changes what it is given."""
        ours = self._taken(logits, arguments)
        mutable = {name: x for name, x in ours.items() if self._is_mutable(x)}
        before = {name: np.array(self.framework.numpy(x)) for name, x in mutable.items()}
        result = self._call_target(target, self._renamed(ours))
        for name, x in before.items():
            after = self.framework.numpy(ours[name])
            if not np.array_equal(after, x, equal_nan=x.dtype.kind != "b"):
                raise PortError(f"the loss changes its {name} in place")
        return result

    def traced(self, logits: Array, targets: Array, arguments: Arguments) -> Array:
        """The port's result for arrays whose values a framework has not yet, or maps over."""
        ours = self._taken(logits, {**arguments, "targets": targets})
        return self._call_target(self.target, self._renamed(ours))

    def _taken(self, logits: Array, arguments: Arguments) -> dict[str, Any]:
        """What the port takes of the arguments."""
        numpy = {**arguments, **self.plan.fixed}
        if isinstance(numpy.get("alpha"), list):
            # A question about fewer classes has the weights of those.
            numpy["alpha"] = arguments.get("alpha", numpy["alpha"])
        ours = {name: self._convert(x) for name, x in numpy.items() if name in self.names}
        ours[self.plan.record.arrays[0]] = logits
        return ours

    def _renamed(self, ours: Arguments) -> dict[str, Any]:
        return {self.names[name]: x for name, x in ours.items()}

    def _is_mutable(self, x: Any) -> bool:
        if self.framework.name not in ("numpy", "torch"):
            return False
        return hasattr(x, "shape") and not _is_half(x)

    def _call_target(self, target: Target, theirs: Arguments) -> Array:
        if not inspect.isclass(target):
            return target(**theirs, **self.extra)
        called_with = call_names(target)
        settings = {name: x for name, x in theirs.items() if name not in called_with}
        call = {name: x for name, x in theirs.items() if name in called_with}
        instance: Any = target(**settings, **self.extra)
        return instance(**call)

    def _convert(self, x: Any) -> Any:
        if isinstance(x, list):
            x = np.array(x, DTYPES[self.plan.dtype])
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

        def loss(z: Array, y: Array) -> Array:
            return self._result(target, z, {**arguments, "targets": y})

        along_each = direction(arguments, logits[:1])
        try:
            return self.framework.rows(loss, logits, arguments["targets"], order, along_each)
        except BaseException as error:
            stop(error)
            raise refusal(error) from error

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


def _is_half(x: Array) -> bool:
    return "16" in str(getattr(x, "dtype", ""))
