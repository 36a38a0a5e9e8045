"""The same contenders on a CUDA or TPU device: times by the device, and how much of its bandwidth
they reach.

    python -m benchmarks.accelerator                 on the devices that PyTorch and JAX find
    python -m benchmarks.accelerator --only focal_   a pattern for "case, mode, dtype: contender"
    python -m benchmarks.accelerator --device cpu --quick   the code on the CPU, with small shapes

A loss has to read logits and targets and, with its gradient, to write one array more. These bytes
per second, as a fraction of what a copy of the logits moves per second in the same round and
framework, is the bandwidth reached. Calls are enqueued back to back: those of PyTorch are timed by
CUDA events, those of JAX from the first launch until the last result is there. Where a launch takes
longer than the computation, the launch is what is measured.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import torch

from . import machine, options, report
from .bandwidth import is_copy, sheets
from .cases import FIRST_CALL, groups
from .peers import CONTENDERS
from .timing import Plan, run
from .work import Device, Work

NOTHING = "no CUDA or TPU device for PyTorch or JAX here: nothing was measured"
NO_CONTENDER = "benchmarks.accelerator: no case, mode, dtype and contender fits these options"
# What Linux has where there may be a device: NVIDIA's, the same under Windows, two kinds of TPU.
# Without any of them JAX is not asked, since its plugins complain for pages where they find
# nothing.
FILES = ("nvidia0", "dxg", "accel0", "vfio/0")
# A device that has less to do waits for the next launch.
SMALLEST = 10**6


def main(argv: list[str] | None = None) -> int:
    args = _options(argv)
    here = devices(args.device)
    if not here:
        print(NOTHING)
        return 0
    todo = _plan(list(here), args.quick, args.only)
    if not todo:
        print(NO_CONTENDER, file=sys.stderr)
        return 2
    seconds, least = options.repetitions(args)
    times = run(todo, lambda _: seconds, least, here)
    args.out.mkdir(parents=True, exist_ok=True)
    times.to_csv(args.out / "accelerator_rounds.csv", index=False)
    head = [f"{framework} on {device.name}" for framework, device in here.items()]
    tables = sheets(times, [group for group, _ in todo])
    report.show([*head, *machine.description()], tables, args.markdown)
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = options.parser("benchmarks.accelerator", __doc__, budget=3)
    options.add_choice(parser)
    parser.add_argument(
        "--device", choices=("auto", "cpu"), default="auto", help="default: %(default)s"
    )
    return parser.parse_args(argv)


def devices(choice: str) -> dict[str, Device]:
    """Framework -> its device. A framework that has none is left out."""
    if choice == "cpu":
        machine.use_all_cores()
        name = machine.processor()
        return {"torch": Device("cpu", name, enqueued), "jax": Device(None, name, enqueued)}
    here = {}
    if torch.cuda.is_available():
        here["torch"] = Device("cuda", torch.cuda.get_device_name(), cuda_events)
    # JAX would take three quarters of the memory at once, which PyTorch needs too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    may_have_one = any(Path("/dev", file).exists() for file in FILES)
    if may_have_one and jax.default_backend() in ("gpu", "tpu"):
        device = jax.devices()[0]
        here["jax"] = Device(device, device.device_kind, enqueued)
    return here


def enqueued(work: Work, count: int) -> float:
    """Seconds per call from the first launch to the last result."""
    start = time.perf_counter()
    for _ in range(count - 1):
        work.call()
    work.wait(work.call())
    return (time.perf_counter() - start) / count


def cuda_events(work: Work, count: int) -> float:
    """Seconds per call between two events in the stream of the device."""
    start = torch.cuda.Event(enable_timing=True)
    end = torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(count):
        work.call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3 / count


def _plan(frameworks: Sequence[str], quick: bool, only: re.Pattern[str]) -> Plan:
    """What a device can be kept busy with. The copies are always there, as the measure of the
    others."""
    todo = []
    for group in groups(quick):
        too_small = group.case.elements < SMALLEST and not quick
        if group.mode == FIRST_CALL or too_small:
            continue
        contenders = [c for c in CONTENDERS[group.case.loss] if c.framework in frameworks]
        chosen = [c for c in contenders if is_copy(c) or options.matches(only, group, c)]
        if not all(map(is_copy, chosen)):
            todo.append((group, chosen))
    return todo


if __name__ == "__main__":
    sys.exit(main())
