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


def bind(port: "PythonPort", renamed: Mapping[str, str]) -> "PythonPort":
    """Find out which arguments the port takes, from its signature and from what the user says."""
    parameters = _parameters(port.target)
    record, names = port.plan.record, {}
    for theirs in renamed.values():
        if theirs not in parameters and not _swallows(port.target):
            raise BadPortError(
                f"{port.title} has no argument {theirs!r}; it has {', '.join(parameters)}"
            )
    free = [name for name in parameters if name not in renamed.values() and name not in port.extra]
    for argument in record.arguments:
        known = {"logits": LOGITS, "targets": TARGETS}.get(argument.name, (argument.name,))
        candidates = [x for x in known if x in free]
        if argument.name in renamed:
            names[argument.name] = renamed[argument.name]
        elif candidates and argument.name == "weight" and _is_setting(port.target, "weight"):
            raise BadPortError(
                f"{port.title} takes weight as a setting, not with each call; say what it is: one weight per class is "
                "--map alpha=weight, and --pass weight=none leaves it alone"
            )
        elif candidates:
            names[argument.name] = candidates[0]
    if missing := [name for name in ("logits", "targets") if name not in names]:
        raise BadPortError(
            f"cannot tell which argument of {port.title} is {missing[0]} among {', '.join(parameters) or 'none'}; "
            f"say it by --map {missing[0]}=THEIRS"
        )
    for argument in record.arguments:
        if (
            argument.essential
            and argument.name not in names
            and argument.name not in port.plan.fixed
        ):
            value = "none" if argument.default is REQUIRED else argument.default
            raise BadPortError(
                f"{port.title} takes no {argument.name}; say which value it has, e.g. --set {argument.name}={value}, "
                f"or what it is called, --map {argument.name}=THEIRS"
            )
    return replace(port, names=names)


def _is_setting(target: Callable[..., Any], name: str) -> bool:
    return inspect.isclass(target) and name not in call_names(target)


def call_names(target: type) -> set[str]:
    """What the objects of a class are called with; the rest are settings."""
    return set(inspect.signature(getattr(target, "forward", target.__call__)).parameters)


def _parameters(target: Callable[..., Any]) -> list[str]:
    """The names that a function takes, or a class in its settings and its call."""
    # The call of a torch.nn.Module has no names of its own; they are those of its forward.
    call = getattr(target, "forward", target.__call__) if inspect.isclass(target) else None
    functions = [target.__init__, call] if call else [getattr(target, "forward", target)]
    try:
        found = [name for function in functions for name in inspect.signature(function).parameters]
    except (TypeError, ValueError):
        raise BadPortError(
            "the port has no signature that Python can read; wrap it in a function"
        ) from None
    return [name for name in found if name not in ("self", "args", "kwargs")]


def _swallows(target: Callable[..., Any]) -> bool:
    kinds = {parameter.kind for parameter in inspect.signature(target).parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds
