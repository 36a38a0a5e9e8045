"""Which arguments a Python port takes, and what it calls them: from its signature, and from what
the user says."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from parity_tests.contract.records import REQUIRED
from parity_tests.contract.tolerances import DTYPES

from .contain import contained
from .subject import BadPortError, PortError

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
# A number that the loss is divided by, such as the boxes of a detector.
DIVISOR = "divisor"

Target = Callable[..., Any]
Parameters = Mapping[str, inspect.Parameter]
ANY_NAMES = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def bind(port: "PythonPort", renamed: Mapping[str, str], factory: bool = False) -> "PythonPort":
    """Find out which arguments the port takes, from its signature and from what the user says."""
    port = _made(port, renamed, factory)
    parameters = parameters_of(port)
    for theirs in renamed.values():
        if theirs not in parameters and not _takes_any_name(port.target):
            have = ", ".join(parameters) or "none with a name"
            raise BadPortError(f"{port.title} has no argument {theirs!r}; it has {have}")
    taken = {*renamed.values(), *port.extra}
    free = [name for name in parameters if name not in taken]
    names: dict[str, str] = {}
    if DIVISOR in renamed:
        names[DIVISOR] = renamed[DIVISOR]
    for argument in port.plan.record.arguments:
        if argument.name in renamed:
            names[argument.name] = renamed[argument.name]
        elif theirs := _usual_name(port, argument.name, free):
            names[argument.name] = theirs
    if port.form.given.get("targets") == "one-hot":
        # No row of one class says that it is to be ignored.
        names.pop("ignore_index", None)
    _demand_arrays(port, names, parameters)
    _demand_settings(port, names)
    notes = (*port.notes, *_other_defaults(port, names, parameters))
    port = replace(port, names=names, notes=notes)
    return replace(port, defaults=_defaults(port, parameters))


def _made(port: "PythonPort", renamed: Mapping[str, str], factory: bool) -> "PythonPort":
    """The port with what it returns for ordinary settings, if it is a function that makes losses.

    Without `factory` that is found out: it takes no logits and no targets, and what it returns can
    be called.
    """
    if inspect.isclass(port.target) or (not factory and _takes_arrays(port, renamed)):
        return port
    settings: dict[str, Any] = {"gamma": 2.0, "alpha": 0.25, "reduction": "none", **port.plan.fixed}
    if port.plan.record.classes and "alpha" not in port.plan.fixed:
        settings["alpha"] = None
    parameters = named_parameters(port.target)
    given: dict[str, Any] = {}
    for name, x in settings.items():
        theirs = renamed.get(name, name)
        if theirs in parameters:
            given[theirs] = port.converted(name, x, np.zeros(3, DTYPES[port.plan.dtype]))
    given |= {name: x for name, x in port.extra.items() if name in parameters}
    asked = [name for name, p in parameters.items() if p.default is inspect.Parameter.empty]
    if not factory and not set(asked) <= given.keys():
        return port
    try:
        with contained():
            made = called(port.target, given)
    except PortError as error:
        raise BadPortError(f"{port.title}, as a factory, raised {error}") from None
    if callable(made):
        return replace(port, made=made)
    if factory:
        raise BadPortError(
            f"{port.title} made a {type(made).__name__}, which cannot be called: "
            "leave --factory out"
        )
    return port


def _takes_arrays(port: "PythonPort", renamed: Mapping[str, str]) -> bool:
    parameters = named_parameters(port.target)
    arrays = {*LOGITS, *TARGETS, *(renamed[name] for name in USUAL if name in renamed)}
    return bool(arrays & parameters.keys()) or not parameters


def _usual_name(port: "PythonPort", name: str, free: list[str]) -> str:
    """What the port calls an argument that the user says nothing of, or "" if it has none."""
    usual = USUAL.get(name, (name,))
    candidates = [theirs for theirs in usual if theirs in free]
    if not candidates:
        return ""
    if name == "weight" and name not in port.call_names:
        raise BadPortError(
            f"{port.title} takes weight as a setting, not with each call; say what it is: "
            "one weight per class is --map alpha=weight, and --pass weight=none leaves it alone"
        )
    return candidates[0]


def _demand_arrays(port: "PythonPort", names: Mapping[str, str], parameters: Parameters) -> None:
    for name in port.plan.record.arrays:
        if name in names:
            continue
        have = ", ".join(parameters) or "none"
        if _takes_any_name(port.target):
            have += " and any name"
        advice = f"say it by --map {name}=THEIRS"
        if not inspect.isclass(port.target) and port.made is None:
            advice += ", or --factory if it returns the loss"
        raise BadPortError(
            f"cannot tell which argument of {port.title} is {name} among {have}; {advice}"
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


def _defaults(port: "PythonPort", parameters: Parameters) -> dict[str, Any]:
    """What an argument that the port always asks for is where a question leaves it out."""
    ours = {theirs: name for name, theirs in port.names.items()}
    defaults: dict[str, Any] = {DIVISOR: 1.0}
    for name, parameter in parameters.items():
        if parameter.default is not inspect.Parameter.empty or name in port.extra:
            continue
        if name not in ours:
            raise BadPortError(
                f"{port.title} asks for {name}, and nothing gives it: say --pass {name}=VALUE, or "
                f"--map {DIVISOR}={name} if the loss is divided by it"
            )
        argument = port.plan.record.argument(ours[name])
        if argument and argument.default is not REQUIRED and not argument.essential:
            defaults[argument.name] = argument.default
    return defaults


def _other_defaults(
    port: "PythonPort", names: Mapping[str, str], parameters: Parameters
) -> Iterator[str]:
    """What γ and α are in a call that says nothing of them, which no question is about."""
    for argument in port.plan.record.arguments:
        theirs = names.get(argument.name, "")
        if not argument.essential or theirs not in parameters:
            continue
        default = parameters[theirs].default
        if default is not inspect.Parameter.empty and default != argument.default:
            yield f"{theirs} is {default!r} by default, not {argument.default!r}"


def called(target: Target, given: Mapping[str, Any]) -> Any:
    """Call by name, but for what is taken by its place alone."""
    by_name = dict(given)
    by_place = []
    for name, parameter in signature(target).items():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and name in by_name:
            by_place.append(by_name.pop(name))
    return target(*by_place, **by_name)


def call_of(target: Target) -> Target:
    # The call of a torch.nn.Module has no names of its own; they are those of its forward.
    return getattr(target, "forward", target.__call__)


def parameters_of(port: "PythonPort") -> Parameters:
    """The names that a function takes, or a class or a factory in its settings and its call."""
    if port.made is not None:
        return named_parameters(port.target) | named_parameters(port.made)
    if inspect.isclass(port.target):
        return named_parameters(port.target.__init__) | named_parameters(call_of(port.target))
    return named_parameters(port.target)


def named_parameters(target: Target) -> dict[str, inspect.Parameter]:
    found = signature(target).items()
    return {name: p for name, p in found if p.kind not in ANY_NAMES and name != "self"}


def signature(target: Target) -> Parameters:
    try:
        return inspect.signature(getattr(target, "forward", target)).parameters
    except (TypeError, ValueError):
        raise BadPortError(
            "the port has no signature that Python can read; wrap it in a function"
        ) from None


def _takes_any_name(target: Target) -> bool:
    parameters = inspect.signature(target).parameters.values()
    return any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in parameters)
