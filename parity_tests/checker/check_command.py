"""`focal-parity check`: judge a port in each dtype asked for, show the rows, write the reports."""

import argparse
import contextlib
import json
import os
import shlex
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from tqdm import tqdm

from parity_tests.checker import processes
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build, pairs, plan_of, values
from parity_tests.checker.layers.check import LAYERS, Report, layer, layers_of
from parity_tests.checker.layers.check import report as report_of
from parity_tests.checker.layers.grades import SAFE
from parity_tests.checker.layers.judge import NOT_OFFERED, PASS, Row
from parity_tests.checker.report.xfails import apply, read
from parity_tests.ports.contain import limited
from parity_tests.ports.onnx_model import SUFFIX
from parity_tests.ports.program import ProcessPort
from parity_tests.ports.subject import BadPortError

from .report import report as reports

# Seconds that a process has for an answer.
LIMIT = 10.0


class Entry(NamedTuple):
    """The report of one dtype, and the heat maps of its page."""

    report: Report
    maps: Any


def check(arguments: argparse.Namespace) -> int:
    _require_consistent(arguments)
    expected = read(arguments.xfails) if arguments.xfails else []
    console = Console()
    passed: list[bool] = []
    entries: list[Entry] = []
    for dtype in arguments.dtype or ["float32"]:
        with subject_of(arguments, dtype) as subject:
            if arguments.at is not None:
                from parity_tests.checker.report.at import show_point

                passed.append(show_point(subject, arguments.at, console))
                continue
            report = _judge(subject, arguments, expected)
            reports.show(report, command_line(arguments), console, bar_of(arguments))
            maps = _maps(subject, arguments)
        passed.append(reports.is_passed(report, bar_of(arguments)))
        entries.append(Entry(report, maps))
    if arguments.at is None:
        _write(arguments, entries)
    return 0 if all(passed) else 1


def _require_consistent(arguments: argparse.Namespace) -> None:
    if bool(arguments.port) == bool(arguments.command):
        raise BadPortError("give a port to check: MODULE:ATTRIBUTE, or --command PROGRAM")
    if arguments.jobs is not None and arguments.jobs < 1:
        raise BadPortError(f"--jobs has to be at least 1, not {arguments.jobs}")
    if arguments.command:
        _require_no_python_options(arguments)
    for path in (arguments.json, arguments.junit, arguments.html, arguments.badge):
        if path:
            _require_writable(Path(path))
    if arguments.grade and (arguments.layer or arguments.xfails):
        raise BadPortError("a grade is that of all layers: leave --layer and --xfails out")
    for name in arguments.layer or ():
        if name not in LAYERS:
            raise BadPortError(f"there is no layer {name!r}; they are {', '.join(LAYERS)}")


def bar_of(arguments: argparse.Namespace) -> str | None:
    """The grade that a port has to reach; None: every layer that is judged has to pass."""
    if arguments.layer or arguments.xfails:
        return None
    return arguments.grade or SAFE


def _require_no_python_options(arguments: argparse.Namespace) -> None:
    python_options = {
        "--map": arguments.map,
        "--pass": arguments.extra,
        "--gradient": arguments.gradient,
        "--give": arguments.given,
        "--result": arguments.result,
        "--factory": arguments.factory,
        "--values-only": arguments.values_only,
        "--framework": arguments.framework,
        "--jobs": arguments.jobs,
    }
    for option, value in python_options.items():
        if value:
            raise BadPortError(
                f"{option} is for Python; a program says what it takes and gives (docs/protocol.md)"
            )


def _require_writable(path: Path) -> None:
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
        fixed=values(pairs(arguments.set, "--set")),
        extra=values(pairs(arguments.extra, "--pass")),
        conventions=pairs(arguments.convention, "--convention"),
        probabilities=arguments.input == "probabilities",
        gradient=arguments.gradient,
        values_only=arguments.values_only,
        given=pairs(arguments.given, "--give"),
        result=arguments.result,
        factory=arguments.factory,
    )


@contextlib.contextmanager
def subject_of(arguments: argparse.Namespace, dtype: str) -> Iterator[Any]:
    """The port, started where it is a process, and ended again."""
    options = options_of(arguments)
    if arguments.command is None:
        with limited(arguments.time_limit):
            yield build(options, dtype)
        return
    if not arguments.function:
        raise BadPortError("say what the program is by --as, e.g. --as sigmoid_focal_loss")
    plan = plan_of(options, dtype)
    if plan.record.of_logits or plan.record.family:
        raise BadPortError(
            f"a program is not asked about {plan.record.name}: let it answer the golden vectors, "
            "focal-parity vectors, and score its answers, focal-parity score"
        )
    with ProcessPort(arguments.command, plan, arguments.time_limit or LIMIT) as port:
        yield port.first_contact()


def _judge(subject: Any, arguments: argparse.Namespace, expected: list[tuple[str, str]]) -> Report:
    chosen = layers_of(subject.plan.record)
    if arguments.layer:
        chosen = [name for name in LAYERS if name in arguments.layer]
    progress = tqdm(chosen, disable=None, leave=False)
    judged = []
    with contextlib.closing(_rows(subject, arguments, chosen)) as rows:
        for name in progress:
            progress.set_description(name)
            judged.append(next(rows))
    report = report_of(subject, subject.plan, judged)
    rows = tuple(apply(row, report.plan.dtype, expected) for row in report.rows)
    report = replace(report, rows=rows)
    if report.passed:
        return report
    right = [row.layer for row in report.rows if row.status in (PASS, NOT_OFFERED)]
    suspects = [name for name in LAYERS if name not in right]
    diagnoses = diagnose(subject, subject.plan, suspects)
    return replace(report, diagnosis=tuple(diagnosis.message for diagnosis in diagnoses))


def _rows(
    subject: Any, arguments: argparse.Namespace, layers: list[str]
) -> Generator[Row, None, None]:
    """One row after the other, by as many processes as there may be."""
    jobs = arguments.jobs or _usual_jobs(subject)
    if jobs == 1 or len(layers) == 1:
        yield from (layer(subject, subject.plan, name) for name in layers)
        return
    options, dtype = options_of(arguments), subject.plan.dtype
    yield from processes.rows(options, dtype, arguments.time_limit, layers, jobs)


def _usual_jobs(subject: Any) -> int:
    """Two for JAX, which compiles most of the time."""
    framework = getattr(subject, "framework", None)
    is_jax = getattr(framework, "name", "") == "jax"
    return 2 if is_jax and (os.cpu_count() or 1) > 1 else 1


def _maps(subject: Any, arguments: argparse.Namespace) -> Any:
    """Heat maps are for the page alone, and of the focal losses."""
    if not arguments.html or subject.plan.record.family:
        return None
    from parity_tests.checker.report.heat import maps

    return maps(subject, subject.plan)


def _framework_name(arguments: argparse.Namespace) -> str:
    if arguments.framework:
        return arguments.framework
    if arguments.command:
        return "process"
    if arguments.port.endswith(SUFFIX):
        return "onnxruntime"
    from parity_tests.checker.layers.build import guess
    from parity_tests.ports.locate import locate

    return guess(locate(arguments.port)) or "numpy"


def _write(arguments: argparse.Namespace, entries: list[Entry]) -> None:
    command = command_line(arguments)
    framework = _framework_name(arguments)
    judged = [entry.report for entry in entries]
    bar = bar_of(arguments)
    plain = [reports.as_dict(report, command, framework, bar) for report in judged]
    if arguments.json:
        content = plain[0] if len(plain) == 1 else plain
        reports.write(arguments.json, json.dumps(content, indent=2, ensure_ascii=False))
    if arguments.junit:
        reports.write(arguments.junit, reports.junit(judged, command, bar))
    if arguments.badge:
        reports.write(arguments.badge, json.dumps(reports.badge(judged, bar)))
    if arguments.html:
        from parity_tests.checker.report.page import render

        path = Path(arguments.html)
        stem = path.stem
        for number, (entry, report) in enumerate(zip(entries, plain, strict=True)):
            if number:
                # The first dtype has the name that was asked for.
                path = path.with_name(f"{stem}-{report['dtype']}{path.suffix}")
            reports.write(str(path), render(report | {"maps": entry.maps}))


def command_line(arguments: argparse.Namespace) -> str:
    """The command without what it writes, to be continued by --dtype and --at or --layer."""
    words = ["focal-parity", "check"]
    words += [arguments.port] if arguments.port else ["--command", arguments.command]
    single = {
        "--as": arguments.function,
        "--framework": arguments.framework,
        "--gradient": arguments.gradient,
        "--result": arguments.result,
    }
    for flag, value in single.items():
        if value:
            words += [flag, value]
    repeated = {
        "--map": arguments.map,
        "--set": arguments.set,
        "--pass": arguments.extra,
        "--give": arguments.given,
        "--convention": arguments.convention,
    }
    for flag, texts in repeated.items():
        for text in texts:
            words += [flag, text]
    if arguments.input == "probabilities":
        words += ["--input", "probabilities"]
    if arguments.factory:
        words.append("--factory")
    if arguments.values_only:
        words.append("--values-only")
    return shlex.join(words)
