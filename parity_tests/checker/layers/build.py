"""From what the user says of a port to a port that can be judged."""

import inspect
import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parity_tests.contract.family_records import EVERY, FAMILY, JUDGED
from parity_tests.contract.records import ALIASES, DTYPES, Record
from parity_tests.ports import family_questions
from parity_tests.ports.contact import first_contact
from parity_tests.ports.form import parsed
from parity_tests.ports.frameworks.framework import Framework
from parity_tests.ports.frameworks.load import FRAMEWORKS, load
from parity_tests.ports.linear import LinearPort, kind_of
from parity_tests.ports.locate import locate
from parity_tests.ports.onnx_model import OnnxModel
from parity_tests.ports.python import PythonPort
from parity_tests.ports.signature import DIVISOR, bind
from parity_tests.ports.subject import BadPortError, Plan

POWERS = {"gamma", "beta", "gamma_positive", "gamma_negative"}


@dataclass(frozen=True)
class Options:
    """What `focal-parity check` and the pytest plugin take."""

    port: str | Callable[..., Any]
    function: str | None = None
    framework: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    conventions: Mapping[str, str] = field(default_factory=dict)
    probabilities: bool = False
    gradient: str | None = None
    values_only: bool = False
    # In which form the port takes an argument, by its name.
    given: Mapping[str, str] = field(default_factory=dict)
    result: str = ""
    factory: bool = False

    @property
    def title(self) -> str:
        if isinstance(self.port, str):
            return self.port
        return getattr(self.port, "__qualname__", repr(self.port))


def plan_of(options: Options, dtype: str) -> Plan:
    """The record to judge by, the conventions of its alias, and what the user fixes; each of them a
    known one."""
    name = options.function or options.title.rpartition(":")[2].rpartition(".")[2]
    function, presets = ALIASES.get(name, (name, {}))
    if function not in EVERY:
        known = ", ".join((*EVERY, *ALIASES))
        raise BadPortError(
            f"{name!r} is no function of the contract; say what the port is by --as, one of {known}"
        )
    record = EVERY[function]
    conventions = presets | dict(options.conventions)
    _require_conventions(record, conventions)
    _require_known("setting", options.fixed, (*record.settings, "beta"))
    weights = options.fixed.get("alpha")
    if record.classes and isinstance(weights, list) and len(weights) < 3:
        raise BadPortError("alpha of a softmax is judged with 3 classes: --set alpha=[0.2,0.3,0.5]")
    arguments = [argument.name for argument in record.arguments]
    _require_known("argument", options.renamed, [*arguments, DIVISOR])
    _require_known("dtype", [dtype], DTYPES)
    if options.framework:
        _require_known("framework", [options.framework], FRAMEWORKS)
    if options.probabilities and record.name in FAMILY:
        raise BadPortError(f"no layer judges a {record.name} of probabilities")
    if options.probabilities and record.classes:
        raise BadPortError(
            "probabilities are for the sigmoid loss; those of a softmax do not determine its logits"
        )
    return Plan(record, dtype, numbers(record, options.fixed), conventions, options.probabilities)


def _require_conventions(record: Record, conventions: Mapping[str, str]) -> None:
    _require_known("convention", conventions, record.conventions)
    for name, choice in conventions.items():
        choices = record.conventions[name].choices
        _require_known(f"choice of {name}", [choice], choices)
        is_default = choice == next(iter(choices))
        if record.name in FAMILY and not is_default and (name, choice) not in JUDGED:
            raise BadPortError(f"no layer judges a {record.name} by {name}={choice}")


def _require_known(kind: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise BadPortError(f"there is no {kind} {name!r}; known are {', '.join(known)}")


def numbers(record: Record, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """γ and β are numbers of at least 0, α is None, a number in [0, 1], or one weight per class of
    a softmax."""
    settings = dict(fixed)
    for name in POWERS & settings.keys():
        number = settings[name]
        if not (_is_number(number) and 0 <= number < 1e3):
            raise BadPortError(
                f"{name} has to be a number of at least 0 and below 1000, not {number!r}"
            )
        settings[name] = float(number)
    if "reduction" in settings:
        settings["reduction"] = _reduction(settings["reduction"])
    alpha = settings.get("alpha")
    if alpha is not None:
        settings["alpha"] = _class_weights(alpha) if record.classes else _balance(alpha)
    if record.name in FAMILY:
        _require_family(settings)
    return settings


def _require_family(settings: Mapping[str, Any]) -> None:
    for name in {"iou_weighted", "constant_modulator"} & settings.keys():
        if not isinstance(settings[name], bool):
            raise BadPortError(f"{name} has to be true or false, not {settings[name]!r}")
    for name in {"shift", "peak"} & settings.keys():
        number = settings[name]
        if not (_is_number(number) and 0 <= number <= 1 and number != (name == "shift")):
            raise BadPortError(f"{name} has to be a number from 0 to 1, not {number!r}")


def _with_defaults(port: PythonPort) -> PythonPort:
    """A port of the family is asked for what it has no argument for as the contract has it by
    default, or as its conventions say."""
    fixed: dict[str, Any] = {}
    for name in family_questions.SETTINGS[port.plan.record.name]:
        argument = port.plan.record.argument(name)
        if argument is not None and not port.takes(name):
            fixed[name] = argument.default
    for (name, choice), setting in JUDGED.items():
        if port.plan.convention(name) == choice:
            fixed |= setting
    plan = replace(port.plan, fixed=fixed | dict(port.plan.fixed))
    return replace(port, plan=plan)


def _reduction(name: Any) -> str:
    """The command line has no other none than None."""
    known = ("none", "sum", "mean", "mean_positive")
    if name is None:
        return "none"
    if name not in known:
        raise BadPortError(f"reduction has to be one of {', '.join(known)}, not {name!r}")
    return name


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _class_weights(alpha: Any) -> list[float]:
    weights = alpha if isinstance(alpha, list) else []
    if not weights or not all(_is_number(weight) and weight >= 0 for weight in weights):
        raise BadPortError(
            "alpha of a softmax is none or a list of one weight per class, "
            f"e.g. [0.2,0.3,0.5], not {alpha!r}"
        )
    return [float(weight) for weight in weights]


def _balance(alpha: Any) -> float:
    """α of the sigmoid loss, which balances its two classes."""
    if not (_is_number(alpha) and 0 <= alpha <= 1):
        raise BadPortError(f"alpha has to be none or a number in [0, 1], not {alpha!r}")
    return float(alpha)


def build(options: Options, dtype: str = "float32") -> PythonPort:
    """The port after first contact. Raises BadPortError with one line that says what to do."""
    plan = plan_of(options, dtype)
    target = locate(options.port) if isinstance(options.port, str) else options.port
    framework = _framework(options, target)
    port = kind_of(plan.record)(options.title, target, framework, plan)
    form = parsed(plan.record, options.given, options.result)
    port = replace(port, extra=options.extra, values_only=options.values_only, form=form)
    if options.gradient and isinstance(target, OnnxModel):
        loss, slope = target.split(options.gradient)
        port = replace(port, target=loss, slope=slope)
    elif options.gradient:
        port = replace(port, slope=locate(options.gradient))
    port = bind(port, options.renamed, options.factory)
    of_formula = {*POWERS, "alpha"}
    if plan.record.name in FAMILY:
        of_formula |= family_questions.SETTINGS[plan.record.name].keys()
        port = _with_defaults(port)
    for name in options.fixed:
        if name not in of_formula and not port.takes(name):
            raise BadPortError(
                f"{options.title} takes no {name}, so that --set {name} has no effect; leave it out"
            )
    port = first_contact(port)
    if isinstance(port, LinearPort):
        port.require_layout()
    return port


def _framework(options: Options, target: Callable[..., Any]) -> Framework:
    name = options.framework or guess(target)
    if name not in FRAMEWORKS:
        raise BadPortError(
            f"cannot tell the framework of {options.title}; say it by --framework, "
            f"one of {', '.join(FRAMEWORKS)}"
        )
    try:
        return load(name)
    except ImportError as error:
        raise BadPortError(
            f"{name} is not installed here ({error}); install it, or give --command a process"
        ) from None


def guess(target: Any) -> str | None:
    """The one framework that the port's own module mentions."""
    module = sys.modules.get(getattr(inspect.unwrap(target), "__module__", ""))
    if module is None:
        return None
    roots = set()
    for value in vars(module).values():
        # A module has a name; a class, a function, and an object of a class name their module.
        for attribute in ("__name__", "__module__"):
            roots.add(str(getattr(value, attribute, None)).partition(".")[0])
    # All of the others import numpy beside them.
    for framework in ("keras", "jax", "torch", "tensorflow", "numpy"):
        if framework in roots:
            return framework
    return None


def value(text: str) -> Any:
    """A value from the command line: none, true, false, a number, a list in JSON, or text."""
    lower = text.lower()
    if lower in ("none", "null"):
        return None
    try:
        return json.loads(lower if lower in ("true", "false") else text)
    except json.JSONDecodeError:
        return text


def values(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: value(text) for name, text in texts.items()}


def pairs(items: list[str], option: str) -> dict[str, str]:
    """NAME=VALUE, each."""
    values = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not (name and equals):
            raise BadPortError(f"{option} {item!r}: write NAME=VALUE")
        values[name] = text
    return values
