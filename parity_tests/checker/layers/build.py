"""From what the user says of a port to a port that can be judged."""

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parity_tests.contract.records import ALIASES, DTYPES, RECORDS, Record
from parity_tests.ports.frameworks import FRAMEWORKS, load
from parity_tests.ports.python import PythonPort, locate
from parity_tests.ports.signature import bind
from parity_tests.ports.subject import BadPortError, Plan

from .check import first_contact


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

    @property
    def title(self) -> str:
        return (
            self.port
            if isinstance(self.port, str)
            else getattr(self.port, "__qualname__", repr(self.port))
        )


def plan_of(options: Options, dtype: str) -> Plan:
    """The record to judge by, the conventions of its alias, and what the user fixes; each of them a
    known one."""
    name = options.function or options.title.rpartition(":")[2].rpartition(".")[2]
    function, presets = ALIASES.get(name, (name, {}))
    if function not in RECORDS:
        known = ", ".join((*RECORDS, *ALIASES))
        raise BadPortError(
            f"{name!r} is no function of the contract; say what the port is by --as, one of {known}"
        )
    record, conventions = RECORDS[function], presets | dict(options.conventions)
    _known("convention", conventions, tuple(record.conventions))
    for convention, choice in conventions.items():
        _known(f"choice of {convention}", [choice], tuple(record.conventions[convention].choices))
    _known("setting", options.fixed, (*record.settings, "beta"))
    weights = options.fixed.get("alpha")
    if record.classes and isinstance(weights, list) and len(weights) < 3:
        raise BadPortError("alpha of a softmax is judged with 3 classes: --set alpha=[0.2,0.3,0.5]")
    _known("argument", options.renamed, tuple(argument.name for argument in record.arguments))
    _known("dtype", [dtype], DTYPES)
    if options.framework:
        _known("framework", [options.framework], tuple(FRAMEWORKS))
    if options.probabilities and record.classes:
        raise BadPortError(
            "probabilities are for the sigmoid loss; those of a softmax do not determine its logits"
        )
    return Plan(record, dtype, numbers(record, options.fixed), conventions, options.probabilities)


def _known(kind: str, given: Any, known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise BadPortError(f"there is no {kind} {name!r}; known are {', '.join(known)}")


def numbers(record: Record, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """γ and β are numbers of at least 0, α is None, a number in [0, 1], or one weight per class of
    a softmax."""
    values = dict(fixed)
    for name in {"gamma", "beta"} & values.keys():
        if (
            isinstance(values[name], bool)
            or not isinstance(values[name], int | float)
            or not 0 <= values[name] < 1e3
        ):
            raise BadPortError(
                f"{name} has to be a number of at least 0 and below 1000, not {values[name]!r}"
            )
        values[name] = float(values[name])
    if values.get("alpha") is not None:
        values["alpha"] = _alpha(record, values["alpha"])
    return values


def _alpha(record: Record, alpha: Any) -> Any:
    numbers = alpha if isinstance(alpha, list) else [alpha]
    real = all(isinstance(x, int | float) and not isinstance(x, bool) and x >= 0 for x in numbers)
    if record.classes:
        if not isinstance(alpha, list) or not alpha or not real:
            raise BadPortError(
                f"alpha of a softmax is none or a list of one weight per class, e.g. [0.2,0.3,0.5], not {alpha!r}"
            )
        return [float(x) for x in alpha]
    if isinstance(alpha, list) or not real or alpha > 1:
        raise BadPortError(f"alpha has to be none or a number in [0, 1], not {alpha!r}")
    return float(alpha)


def build(options: Options, dtype: str = "float32") -> PythonPort:
    """The port after first contact. Raises BadPortError with one line that says what to do."""
    plan = plan_of(options, dtype)
    target = locate(options.port) if isinstance(options.port, str) else options.port
    framework = _framework(options, target)
    port = PythonPort(
        options.title, target, framework, plan, extra=options.extra, values_only=options.values_only
    )
    if options.gradient:
        port = replace(port, slope=locate(options.gradient))
    port = bind(port, options.renamed)
    for name in options.fixed:
        if name not in ("alpha", "gamma", "beta") and not port.takes(name):
            raise BadPortError(
                f"{options.title} takes no {name}, so that --set {name} has no effect; leave it out"
            )
    return first_contact(port)


def _framework(options: Options, target: Any) -> Any:
    name = options.framework or guess(target)
    if name not in FRAMEWORKS:
        raise BadPortError(
            f"cannot tell the framework of {options.title}; say it by --framework, one of {', '.join(FRAMEWORKS)}"
        )
    try:
        return load(name)
    except ImportError as error:
        raise BadPortError(
            f"{name} is not installed here ({error}); install it, or give --command a process"
        ) from None


def guess(target: Any) -> str | None:
    """The one framework that the port's own module mentions."""
    module = sys.modules.get(getattr(inspect.unwrap(target), "__module__", ""), None)
    names = [
        getattr(x, "__name__", getattr(x, "__module__", "") or "")
        for x in vars(module or object()).values()
    ]
    roots = {str(name).partition(".")[0] for name in names} if module else set()
    found = [name for name in ("keras", "jax", "torch", "tensorflow") if name in roots]
    return found[0] if found else ("numpy" if "numpy" in roots else None)


def value(text: str) -> Any:
    """A value from the command line: none, true, false, a number, a list in JSON, or text."""
    if text.lower() in ("none", "null"):
        return None
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except json.JSONDecodeError:
        return text


def pairs(items: list[str], option: str) -> dict[str, str]:
    """NAME=VALUE, each."""
    for item in items:
        if "=" not in item or not item.partition("=")[0]:
            raise BadPortError(f"{option} {item!r}: write NAME=VALUE")
    return {item.partition("=")[0]: item.partition("=")[2] for item in items}
