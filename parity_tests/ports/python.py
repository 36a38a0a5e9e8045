"""A port that is a Python function, or a class whose instances are called, in one of the
frameworks."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES

from .frameworks import Framework
from .signature import call_names
from .subject import (
    GRADIENT,
    SECOND,
    VALUE,
    BadPortError,
    Plan,
    PortError,
    RefusedError,
    along,
    columns,
)


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
        found = importlib.import_module(module_name)
    except BaseException as error:
        stop(error)
        advice = f"start where `import {module_name}` works, or install it"
        raise BadPortError(f"cannot import {module_name}: {first_line(error)}; {advice}") from None
    for name in attribute.split("."):
        if not hasattr(found, name):
            have = ", ".join(
                sorted(x for x in dir(found) if callable(getattr(found, x)) and x[0] != "_")[:8]
            )
            raise BadPortError(
                f"{module_name} has no {attribute!r}; it has {have or 'nothing to call'}"
            )
        found = getattr(found, name)
    if not callable(found):
        raise BadPortError(
            f"{path} is a {type(found).__name__} and cannot be called: name a function or a class"
        )
    return found


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


@dataclass(frozen=True)
class PythonPort:
    title: str
    target: Callable[..., Any]
    framework: Framework
    plan: Plan
    names: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    slope: Callable[..., Any] | None = None
    # A port that has no unreduced loss is asked one sample at a time.
    one_by_one: bool = False
    values_only: bool = False

    @property
    def orders(self) -> tuple[int, ...]:
        if self.framework.differentiates and not self.slope and not self.values_only:
            return (VALUE, GRADIENT, SECOND)
        return (VALUE, GRADIENT) if self.slope else (VALUE,)

    def takes(self, argument: str) -> bool:
        return argument in self.names

    def call(
        self, logits: np.ndarray, arguments: Mapping[str, Any], order: int = VALUE
    ) -> np.ndarray:
        """The raw result for numpy arguments: the loss, or a derivative of its sum."""
        try:
            if order == SECOND:
                direction = np.broadcast_to(arguments["along"], logits.shape).astype(logits.dtype)
                result = self.framework.second(
                    lambda z: self._loss(z, arguments), logits, direction
                )
            elif order == GRADIENT and self.slope:
                result = self.framework.value(
                    lambda z: self._loss(z, arguments, self.slope), logits
                )
            elif order == GRADIENT:
                result = self.framework.gradient(lambda z: self._loss(z, arguments), logits)
            else:
                result = self.framework.value(lambda z: self._loss(z, arguments), logits)
        except PortError:
            raise
        except BaseException as error:
            stop(error)
            raise RefusedError(first_line(error)) from error
        return result

    def _loss(
        self, logits: Any, arguments: Mapping[str, Any], target: Callable[..., Any] | None = None
    ) -> Any:
        """Give the port what it takes under its own names, and leave out what it lacks."""
        given = {name: self._convert(x) for name, x in arguments.items() if name in self.names}
        fixed = {
            name: self._convert(x) for name, x in self.plan.fixed.items() if name in self.names
        }
        ours = given | fixed | {"logits": logits}
        before = {
            name: np.array(self.framework.numpy(x)) for name, x in ours.items() if self._mutable(x)
        }
        result = self._result(
            target or self.target, {self.names[name]: x for name, x in ours.items()}
        )
        for name, x in before.items():
            if not np.array_equal(
                self.framework.numpy(ours[name]), x, equal_nan=x.dtype.kind != "b"
            ):
                raise PortError(f"the loss changes its {name} in place")
        return result

    def _mutable(self, x: Any) -> bool:
        return self.framework.name in ("numpy", "torch") and hasattr(x, "shape") and not _is_half(x)

    def _result(self, target: Callable[..., Any], theirs: dict[str, Any]) -> Any:
        if not inspect.isclass(target):
            return target(**theirs, **self.extra)
        settings = {name: x for name, x in theirs.items() if name not in call_names(target)}
        instance: Any = target(**settings, **self.extra)
        return instance(**{name: x for name, x in theirs.items() if name not in settings})

    def _convert(self, x: Any) -> Any:
        if isinstance(x, list):
            x = np.array(x, DTYPES[self.plan.dtype])
        return self.framework.array(x) if isinstance(x, np.ndarray) else x

    def answer(self, problem: Problem, order: int) -> np.ndarray:
        logits = columns(problem, "logits").astype(DTYPES[problem.dtype])
        arguments = self.arguments(problem, logits)
        if self.one_by_one:
            return self._one_by_one(logits, arguments, order).astype(float)
        result = self.call(logits, arguments, order)
        expected = logits.shape if order or not self.plan.record.classes else logits.shape[:1]
        if result.shape != expected:
            raise PortError(
                f"a result of shape {result.shape} for logits of shape {logits.shape}, not {expected}"
            )
        if result.dtype != logits.dtype:
            raise PortError(f"a result of {result.dtype} for logits of {logits.dtype}")
        return result.astype(float)

    def _one_by_one(self, logits: np.ndarray, arguments: dict[str, Any], order: int) -> np.ndarray:
        target = self.slope if order and self.slope else self.target

        def loss(z: Any, y: Any) -> Any:
            return self._loss(z, arguments | {"targets": y}, target)

        direction = np.broadcast_to(arguments["along"], logits[:1].shape).astype(logits.dtype)
        try:
            return self.framework.rows(
                loss, logits, arguments["targets"], 0 if self.slope else order, direction
            )
        except BaseException as error:
            stop(error)
            raise RefusedError(first_line(error)) from error

    def arguments(self, problem: Problem, logits: np.ndarray) -> dict[str, Any]:
        """The arguments that go with a batch of logits, in numpy."""
        arrays = {}
        for name, x in problem.constants.items():
            arrays[name] = np.asarray(x, logits.dtype) if isinstance(x, list) else x
        if problem.ids is None:
            arrays["targets"] = columns(problem, "targets").astype(logits.dtype)
        else:
            arrays["targets"] = problem.ids.astype(
                np.int64 if self.plan.record.classes else logits.dtype
            )
        axis = {"axis": -1} if self.plan.record.classes else {}
        return arrays | axis | {"reduction": "none", "along": along(problem)}


def _is_half(x: Any) -> bool:
    return "16" in str(x.dtype)
