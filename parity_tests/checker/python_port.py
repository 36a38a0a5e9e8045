"""A port that is a Python function, or a class whose instances are called, in one of the frameworks."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..problems import Problem
from ..tolerances import DTYPES
from .contract import REQUIRED
from .frameworks import Framework
from .subject import GRADIENT, SECOND, VALUE, BadPortError, Plan, PortError, RefusedError, along, columns

# What the two arrays are called elsewhere; the order of the two is not the same everywhere.
LOGITS = ("logits", "inputs", "input", "y_pred", "pred", "preds", "predictions", "output", "x")
TARGETS = ("targets", "target", "labels", "label", "y_true", "gt", "y")
WITH_THE_CALL = ("logits", "targets", "where", "weight")


def locate(path: str) -> Any:
    """The object that `module:attribute` names, with the current folder on the path."""
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise BadPortError(f"{path!r} does not name a port: write MODULE:ATTRIBUTE, e.g. mypkg.losses:focal")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module_name)
    except Exception as error:
        advice = f"start where `import {module_name}` works, or install it"
        raise BadPortError(f"cannot import {module_name}: {first_line(error)}; {advice}") from None
    for name in attribute.split("."):
        if not hasattr(found, name):
            have = ", ".join(sorted(x for x in dir(found) if callable(getattr(found, x)) and x[0] != "_")[:8])
            raise BadPortError(f"{module_name} has no {attribute!r}; it has {have or 'nothing to call'}")
        found = getattr(found, name)
    if not callable(found):
        raise BadPortError(f"{path} is a {type(found).__name__} and cannot be called: name a function or a class")
    return found


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
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

    def call(self, logits: np.ndarray, arguments: Mapping[str, Any], order: int = VALUE) -> np.ndarray:
        """The raw result for numpy arguments: the loss, or a derivative of its sum."""
        try:
            if order == SECOND:
                direction = np.broadcast_to(arguments["along"], logits.shape).astype(logits.dtype)
                result = self.framework.second(lambda z: self._loss(z, arguments), logits, direction)
            elif order == GRADIENT and self.slope:
                result = self.framework.value(lambda z: self._loss(z, arguments, self.slope), logits)
            elif order == GRADIENT:
                result = self.framework.gradient(lambda z: self._loss(z, arguments), logits)
            else:
                result = self.framework.value(lambda z: self._loss(z, arguments), logits)
        except Exception as error:
            raise RefusedError(first_line(error)) from error
        return result

    def _loss(self, logits: Any, arguments: Mapping[str, Any], target: Callable[..., Any] | None = None) -> Any:
        """Give the port what it takes under its own names, and leave out what it lacks."""
        given = {name: self._convert(x) for name, x in arguments.items() if name in self.names}
        fixed = {name: self._convert(x) for name, x in self.plan.fixed.items() if name in self.names}
        theirs = {self.names[name]: x for name, x in (given | fixed | {"logits": logits}).items()}
        target = target or self.target
        if not inspect.isclass(target):
            return target(**theirs, **self.extra)
        inner = [self.names[name] for name in WITH_THE_CALL if self.names.get(name) in theirs]
        settings = {name: x for name, x in theirs.items() if name not in inner}
        instance: Any = target(**settings, **self.extra)
        return instance(**{name: theirs[name] for name in inner})

    def _convert(self, x: Any) -> Any:
        return self.framework.array(x) if isinstance(x, np.ndarray) else x

    def answer(self, problem: Problem, order: int) -> np.ndarray:
        logits = columns(problem, "logits").astype(DTYPES[problem.dtype])
        arguments = self.arguments(problem, logits)
        if self.one_by_one:
            return self._one_by_one(logits, arguments, order).astype(float)
        result = self.call(logits, arguments, order)
        expected = logits.shape if order or not self.plan.record.classes else logits.shape[:1]
        if result.shape != expected:
            raise PortError(f"a result of shape {result.shape} for logits of shape {logits.shape}, not {expected}")
        if result.dtype != logits.dtype:
            raise PortError(f"a result of {result.dtype} for logits of {logits.dtype}")
        return result.astype(float)

    def _one_by_one(self, logits: np.ndarray, arguments: dict[str, Any], order: int) -> np.ndarray:
        target = self.slope if order and self.slope else self.target

        def loss(z: Any, y: Any) -> Any:
            return self._loss(z, arguments | {"targets": y}, target)

        direction = np.broadcast_to(arguments["along"], logits[:1].shape).astype(logits.dtype)
        try:
            return self.framework.rows(loss, logits, arguments["targets"], 0 if self.slope else order, direction)
        except Exception as error:
            raise RefusedError(first_line(error)) from error

    def arguments(self, problem: Problem, logits: np.ndarray) -> dict[str, Any]:
        """The arguments that go with a batch of logits, in numpy."""
        arrays = {}
        for name, x in problem.constants.items():
            arrays[name] = np.asarray(x, logits.dtype) if isinstance(x, list) else x
        if problem.ids is None:
            arrays["targets"] = columns(problem, "targets").astype(logits.dtype)
        else:
            arrays["targets"] = problem.ids.astype(np.int64 if self.plan.record.classes else logits.dtype)
        axis = {"axis": -1} if self.plan.record.classes else {}
        return arrays | axis | {"reduction": "none", "along": along(problem)}


def bind(port: PythonPort, renamed: Mapping[str, str]) -> PythonPort:
    """Find out which arguments the port takes, from its signature and from what the user says."""
    parameters = _parameters(port.target)
    record, names = port.plan.record, {}
    for theirs in renamed.values():
        if theirs not in parameters and not _swallows(port.target):
            raise BadPortError(f"{port.title} has no argument {theirs!r}; it has {', '.join(parameters)}")
    free = [name for name in parameters if name not in renamed.values()]
    for argument in record.arguments:
        known = {"logits": LOGITS, "targets": TARGETS}.get(argument.name, (argument.name,))
        candidates = [x for x in known if x in free]
        if argument.name in renamed:
            names[argument.name] = renamed[argument.name]
        elif candidates:
            names[argument.name] = candidates[0]
    if missing := [name for name in ("logits", "targets") if name not in names]:
        raise BadPortError(
            f"cannot tell which argument of {port.title} is {missing[0]} among {', '.join(parameters) or 'none'}; "
            f"say it by --map {missing[0]}=THEIRS"
        )
    for argument in record.arguments:
        if argument.essential and argument.name not in names and argument.name not in port.plan.fixed:
            value = "none" if argument.default is REQUIRED else argument.default
            raise BadPortError(
                f"{port.title} takes no {argument.name}; say which value it has, e.g. --set {argument.name}={value}, "
                f"or what it is called, --map {argument.name}=THEIRS"
            )
    return replace(port, names=names)


def _parameters(target: Callable[..., Any]) -> list[str]:
    """The names that a function takes, or a class in its settings and its call."""
    functions = [target]
    if inspect.isclass(target):
        method = getattr(target, "forward", target.__call__)
        functions = [target.__init__, method]
    try:
        found = [name for function in functions for name in inspect.signature(function).parameters]
    except (TypeError, ValueError):
        raise BadPortError("the port has no signature that Python can read; wrap it in a function") from None
    return [name for name in found if name not in ("self", "args", "kwargs")]


def _swallows(target: Callable[..., Any]) -> bool:
    kinds = {parameter.kind for parameter in inspect.signature(target).parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds
