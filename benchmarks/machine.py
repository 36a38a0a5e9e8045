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
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def description() -> list[str]:
    """Three lines for the head of every report."""
    machine = f"{processor()}, {cores()} cores, {memory() / 2**30:.0f} GiB, {platform.system()}"
    of_xla = os.environ.get("NPROC", cores())
    threads = f"threads: {torch.get_num_threads()} in PyTorch, {of_xla} in XLA"
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    software = ", ".join([f"Python {platform.python_version()}", *versions])
    return [machine, threads, f"{software}; {datetime.now(UTC):%Y-%m-%d}"]


def processor() -> str:
    """Linux knows it by its name, platform.processor() there only by its architecture."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    return name[1] if name else platform.processor() or platform.machine()


def memory() -> int:
    """Bytes of the whole machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peak_memory() -> int:
    """The most bytes that this process has held. Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
