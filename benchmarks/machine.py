"""What the figures depend on: processor, cores, threads and versions."""

import os
import platform
import re
import resource
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import jax
import torch

PACKAGES = ("jax", "jaxlib", "torch", "optax", "kornia", "numpy")


def use_all_cores() -> None:
    """Of the CPU alone: JAX would take an accelerator if it found one. XLA takes all cores by
    itself."""
    jax.config.update("jax_platforms", "cpu")
    torch.set_num_threads(cores())


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def description() -> list[str]:
    """Three lines for the head of every report."""
    return [
        f"{processor()}, {cores()} cores, {memory() / 2**30:.0f} GiB, {platform.system()}",
        f"threads: {torch.get_num_threads()} in PyTorch, {os.environ.get('NPROC', cores())} in XLA",
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        + f"; {datetime.now(UTC):%Y-%m-%d}",
    ]


def processor() -> str:
    """Linux knows it by its name, platform.processor() there only by its architecture."""
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(), re.M) if path.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def memory() -> int:
    """Bytes of the whole machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peak_memory() -> int:
    """The most bytes that this process has held. Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
