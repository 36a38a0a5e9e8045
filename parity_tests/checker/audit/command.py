"""focal-parity audit: the check, run on the public implementations that are installed.

focal-parity audit                         tables for people
focal-parity audit --only optax kornia     those whose names contain one of these
focal-parity audit --markdown [--short]    the tables of docs/audit.md, or the one of the README
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from tqdm import tqdm

from .record import Adapter
from .registry import ADAPTERS
from .tables import FULL, SHORT, Row, markdown, terminal

FORMULA, ABSENT = "formula", "not installed"


def installed(adapter: Adapter) -> str | None:
    """Its version, as the installation has it."""
    try:
        return version(adapter.distribution) if adapter.distribution else FORMULA
    except PackageNotFoundError:
        return None


def audit(adapter: Adapter, layers: Sequence[str] | None = None, limit: float = 600.0) -> Row:
    """The facts of one implementation, or the reason why there are none."""
    shown = ("label", "calls", "framework", "function", "note")
    row: Row = {name: getattr(adapter, name) for name in shown}
    row["version"] = installed(adapter)
    if row["version"] is None:
        return row | {"reason": ABSENT}
    job = json.dumps({"adapter": asdict(adapter), "layers": layers and list(layers)})
    return row | _facts(job, adapter.framework, limit)


def _facts(job: str, framework: str, limit: float) -> Row:
    """What a process of its own finds, or why it finds nothing."""
    command = [sys.executable, "-m", "parity_tests.checker.audit.facts"]
    streams: dict[str, Any] = {"input": job, "capture_output": True, "text": True}
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | _environment(framework, folder)
        try:
            done = subprocess.run(command, **streams, timeout=limit, env=environment, check=False)
        except subprocess.TimeoutExpired:
            return {"reason": f"no answer in {limit:g} s"}
    try:
        last_line = done.stdout.splitlines()[-1]
        return json.loads(last_line)
    except (IndexError, json.JSONDecodeError):
        message = " ".join(done.stderr.strip().splitlines()[-1:])
        return {"reason": f"ended with {done.returncode}: {message}"}


def _environment(framework: str, folder: str) -> dict[str, str]:
    """On the CPU, on one thread, and without asking the network or writing to the user's home."""
    return {
        "KERAS_BACKEND": framework,
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "YOLO_OFFLINE": "true",
        "YOLO_CONFIG_DIR": folder,
        "MPLCONFIGDIR": folder,
    }


def rows(
    adapters: Sequence[Adapter], layers: Sequence[str] | None, jobs: int, limit: float
) -> list[Row]:
    with ThreadPoolExecutor(jobs) as pool:
        work = pool.map(lambda adapter: audit(adapter, layers, limit), adapters)
        return list(tqdm(work, total=len(adapters), desc="audit", disable=None))


def chosen(only: Sequence[str] | None) -> list[Adapter]:
    if not only:
        return list(ADAPTERS)
    words = [word.lower() for word in only]
    return [adapter for adapter in ADAPTERS if _has_word(adapter.label.lower(), words)]


def _has_word(label: str, words: Sequence[str]) -> bool:
    return any(word in label for word in words)


def print_markdown(rows: list[Row], short: bool) -> None:
    """What there are no facts about is listed once."""
    if short:
        print(markdown(rows, SHORT))
        return
    known = [row for row in rows if "reason" not in row]
    listed = {"Accuracy": rows, "Conventions": known}
    for title, columns in FULL.items():
        print(f"### {title}\n\n{markdown(listed[title], columns)}\n")
    print(environment())


def environment() -> str:
    names = [name for name in ("numpy", "mpmath", "jax", "torch") if _has(name)]
    parts = [f"{name} {version(name)}" for name in names]
    return f"Python {platform.python_version()}, {', '.join(parts)}, float32 on the CPU."


def _has(name: str) -> bool:
    return installed(Adapter(name, "", name)) is not None


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="focal-parity audit", description="The public implementations, checked."
    )
    option = parser.add_argument
    labels = "implementations whose names contain one of these"
    option("--only", nargs="+", metavar="LABEL", help=labels)
    option("--markdown", action="store_true", help="print Markdown tables")
    option("--short", action="store_true", help="with --markdown: the short table")
    option("--json", type=Path, metavar="FILE", help="write all facts to this file")
    jobs = "how many at the same time (default: 1)"
    option("--jobs", type=int, default=1, metavar="N", help=jobs)
    limit = "for one implementation"
    option("--time-limit", type=float, default=600.0, metavar="SECONDS", help=limit)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments: Any = parser().parse_args(argv)
    adapters = chosen(arguments.only)
    if not adapters:
        parser().error(f"no implementation has a name with {' or '.join(arguments.only)}")
    facts = rows(adapters, None, arguments.jobs, arguments.time_limit)
    if arguments.json:
        text = json.dumps(facts, indent=1, ensure_ascii=False)
        arguments.json.write_text(f"{text}\n")
    if arguments.markdown:
        print_markdown(facts, arguments.short)
        return 0
    table = terminal(facts, SHORT, "Public focal losses; all facts by --markdown or --json FILE")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
