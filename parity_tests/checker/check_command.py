"""`focal-parity check`: judge a port in each dtype asked for, show the rows, write the reports."""

import argparse
import contextlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from tqdm import tqdm

from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build, pairs, plan_of, value
from parity_tests.checker.layers.check import LAYERS, Report
from parity_tests.checker.layers.check import check as judge
from parity_tests.checker.layers.judge import FAIL
from parity_tests.checker.report.xfails import apply, read
from parity_tests.ports.program import ProcessPort
from parity_tests.ports.subject import BadPortError

from .report import report as reports


def check(arguments: argparse.Namespace) -> int:
    _consistent(arguments)
    expected = read(arguments.xfails) if arguments.xfails else []
    found, console = [], Console()
    for dtype in arguments.dtype or ["float32"]:
        with subject_of(arguments, dtype) as subject:
            if arguments.at is not None:
                from parity_tests.checker.report.at import show_point

                found.append(show_point(subject, arguments.at, console))
                continue
            report = _judge(subject, arguments.layer, expected)
            reports.show(report, command_line(arguments), console)
            maps = _maps(subject, arguments)
        found.append(report.passed)
        _keep(arguments, report, maps)
    if arguments.at is None:
        _write(arguments)
    return 0 if all(found) else 1


def _consistent(arguments: argparse.Namespace) -> None:
    if bool(arguments.port) == bool(arguments.command):
        raise BadPortError("give a port to check: MODULE:ATTRIBUTE, or --command PROGRAM")
    if arguments.command:
        given = {
            "--map": arguments.map,
            "--pass": arguments.extra,
            "--gradient": arguments.gradient,
        }
        given |= {"--values-only": arguments.values_only, "--framework": arguments.framework}
        if useless := [option for option, value in given.items() if value]:
            raise BadPortError(
                f"{useless[0]} is for Python; a program says what it takes and gives (docs/protocol.md)"
            )
    for path in filter(None, (arguments.json, arguments.junit, arguments.html, arguments.badge)):
        _writable(Path(path))
    for layer in arguments.layer or ():
        if layer not in LAYERS:
            raise BadPortError(f"there is no layer {layer!r}; they are {', '.join(LAYERS)}")
    arguments.kept = []


def _writable(path: Path) -> None:
    """Find out before the check whether its report has a place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
    except OSError as error:
        raise BadPortError(
            f"cannot write {path}: {error.strerror}; name a file in a folder of yours"
        ) from None


def options_of(arguments: argparse.Namespace) -> Options:
    return Options(
        port=arguments.port or arguments.command,
        function=arguments.function,
        framework=arguments.framework,
        renamed=pairs(arguments.map, "--map"),
        fixed={name: value(text) for name, text in pairs(arguments.set, "--set").items()},
        extra={name: value(text) for name, text in pairs(arguments.extra, "--pass").items()},
        conventions=pairs(arguments.convention, "--convention"),
        probabilities=arguments.input == "probabilities",
        gradient=arguments.gradient,
        values_only=arguments.values_only,
    )


@contextlib.contextmanager
def subject_of(arguments: argparse.Namespace, dtype: str) -> Iterator[Any]:
    """The port, started where it is a process, and ended again."""
    options = options_of(arguments)
    if arguments.command is None:
        yield build(options, dtype)
        return
    if not arguments.function:
        raise BadPortError("say what the program is by --as, e.g. --as sigmoid_focal_loss")
    with ProcessPort(arguments.command, plan_of(options, dtype), arguments.time_limit) as port:
        yield port.first_contact()


def _judge(subject: Any, layers: list[str] | None, expected: list[tuple[str, str]]) -> Report:
    chosen = [name for name in LAYERS if not layers or name in layers]
    report = judge(subject, subject.plan, tqdm(chosen, desc="layers", disable=None, leave=False))
    report = replace(
        report, rows=tuple(apply(row, report.plan.dtype, expected) for row in report.rows)
    )
    if any(row.status == FAIL for row in report.rows):
        report = replace(
            report, diagnosis=tuple(found.says for found in diagnose(subject, subject.plan))
        )
    return report


def _maps(subject: Any, arguments: argparse.Namespace) -> Any:
    """Heat maps are for the page alone."""
    if not arguments.html:
        return None
    from parity_tests.checker.report.heat import maps

    return maps(subject, subject.plan)


def _keep(arguments: argparse.Namespace, report: Report, maps: Any) -> None:
    framework = arguments.framework or (
        "process" if arguments.command else _framework_name(arguments)
    )
    found = reports.as_dict(report, command_line(arguments), framework)
    arguments.kept.append((report, found | {"maps": maps}))


def _framework_name(arguments: argparse.Namespace) -> str:
    from parity_tests.checker.layers.build import guess
    from parity_tests.ports.python import locate

    return guess(locate(arguments.port)) or "numpy"


def _write(arguments: argparse.Namespace) -> None:
    kept = arguments.kept
    plain = [{key: x for key, x in found.items() if key != "maps"} for _, found in kept]
    if arguments.json:
        reports.write(
            arguments.json,
            json.dumps(plain[0] if len(plain) == 1 else plain, indent=2, ensure_ascii=False),
        )
    if arguments.junit:
        reports.write(
            arguments.junit, reports.junit([report for report, _ in kept], command_line(arguments))
        )
    if arguments.badge:
        reports.write(arguments.badge, json.dumps(reports.badge([report for report, _ in kept])))
    if arguments.html:
        from parity_tests.checker.report.page import render

        for number, (_, found) in enumerate(kept):
            path = Path(arguments.html)
            path = path.with_name(f"{path.stem}-{found['dtype']}{path.suffix}") if number else path
            reports.write(str(path), render(found))


def command_line(arguments: argparse.Namespace) -> str:
    """The command without what it writes, to be continued by --dtype and --at or --layer."""
    words = [
        "focal-parity",
        "check",
        *([arguments.port] if arguments.port else ["--command", arguments.command]),
    ]
    for flag, name in (
        ("--as", "function"),
        ("--framework", "framework"),
        ("--gradient", "gradient"),
    ):
        if getattr(arguments, name):
            words += [flag, getattr(arguments, name)]
    for flag, name in (
        ("--map", "map"),
        ("--set", "set"),
        ("--pass", "extra"),
        ("--convention", "convention"),
    ):
        words += [word for item in getattr(arguments, name) for word in (flag, item)]
    words += ["--input", "probabilities"] if arguments.input == "probabilities" else []
    words += ["--values-only"] if arguments.values_only else []
    return shlex.join(words)
