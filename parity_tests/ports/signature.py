"""Which arguments a Python port takes, and what it calls them: from its signature, and from what
the user says."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from parity_tests.contract.records import REQUIRED

from .subject import BadPortError

if TYPE_CHECKING:
    from .python import PythonPort

# What the two arrays are called elsewhere; the order of the two is not the same everywhere.
LOGITS = ("logits", "inputs", "input", "y_pred", "pred", "preds", "predictions", "output", "x")
TARGETS = ("targets", "target", "labels", "label", "y_true", "gt", "y")
FEATURES = ("features", "inputs", "input", "hidden_states", "hidden", "x", "e")
KERNEL = ("kernel", "linear_weight", "lin_weight", "classifier", "w", "c")
USUAL = {
    "logits": LOGITS,
    "targets": TARGETS,
    "features": FEATURES,
    "kernel": KERNEL,
    "bias": ("bias", "linear_bias"),
}

Target = Callable[..., Any]


def bind(port: "PythonPort", renamed: Mapping[str, str]) -> "PythonPort":
    """Find out which arguments the port takes, from its signature and from what the user says."""
    parameters = _parameters(port.target)
    for theirs in renamed.values():
        if theirs not in parameters and not _takes_any_name(port.target):
            raise BadPortError(
                f"{port.title} has no argument {theirs!r}; it has {', '.join(parameters)}"
            )
    taken = {*renamed.values(), *port.extra}
    free = [name for name in parameters if name not in taken]
    names: dict[str, str] = {}
    for argument in port.plan.record.arguments:
        if argument.name in renamed:
            names[argument.name] = renamed[argument.name]
        elif theirs := _usual_name(port, argument.name, free):
            names[argument.name] = theirs
    _demand_arrays(port, names, parameters)
    _demand_settings(port, names)
    return replace(port, names=names)


def _usual_name(port: "PythonPort", name: str, free: list[str]) -> str:
    """What the port calls an argument that the user says nothing of, or "" if it has none."""
    usual = USUAL.get(name, (name,))
    candidates = [theirs for theirs in usual if theirs in free]
    if not candidates:
        return ""
    if name == "weight" and _is_setting(port.target, name):
        raise BadPortError(
            f"{port.title} takes weight as a setting, not with each call; say what it is: "
            "one weight per class is --map alpha=weight, and --pass weight=none leaves it alone"
        )
    return candidates[0]


def _demand_arrays(port: "PythonPort", names: Mapping[str, str], parameters: list[str]) -> None:
    for name in port.plan.record.arrays:
        if name not in names:
            have = ", ".join(parameters) or "none"
            raise BadPortError(
                f"cannot tell which argument of {port.title} is {name} among {have}; "
                f"say it by --map {name}=THEIRS"
            )


def _demand_settings(port: "PythonPort", names: Mapping[str, str]) -> None:
    """Each setting that matters is taken by the port or fixed by the user."""
    for argument in port.plan.record.arguments:
        name = argument.name
        if not argument.essential or name in names or name in port.plan.fixed:
            continue
        value = "none" if argument.default is REQUIRED else argument.default
        raise BadPortError(
            f"{port.title} takes no {name}; say which value it has, e.g. "
            f"--set {name}={value}, or what it is called, --map {name}=THEIRS"
        )


def _is_setting(target: Target, name: str) -> bool:
    return inspect.isclass(target) and name not in call_names(target)


def call_names(target: type) -> set[str]:
    """What the objects of a class are called with; the rest are settings."""
    return set(inspect.signature(_call_of(target)).parameters)


def _call_of(target: Target) -> Target:
    # The call of a torch.nn.Module has no names of its own; they are those of its forward.
    return getattr(target, "forward", target.__call__)


def _parameters(target: Target) -> list[str]:
    """The names that a function takes, or a class in its settings and its call."""
    if inspect.isclass(target):
        functions = [target.__init__, _call_of(target)]
    else:
        functions = [getattr(target, "forward", target)]
    names: list[str] = []
    try:
        for function in functions:
            names += inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise BadPortError(
            "the port has no signature that Python can read; wrap it in a function"
        ) from None
    return [name for name in names if name not in ("self", "args", "kwargs")]


def _takes_any_name(target: Target) -> bool:
    parameters = inspect.signature(target).parameters.values()
    return any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in parameters)
