"""A device that is gone, or has another shape, is an error with its reason within a limit, and
never a hang."""

import functools
import re
import signal
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
import torch.distributed as dist
from jax.sharding import Mesh, PartitionSpec

import focal_jax
import focal_torch

from . import ranks

# Seconds that ranks wait for one that is gone or does not come, and for those that are only slow on
# a busy machine; a process is given more.
WAIT, PATIENT = 10, 120
LIMIT = 3 * PATIENT

TORCH = """
import os, sys
from datetime import timedelta
import torch
import torch.distributed as dist
import focal_torch

rank = int(os.environ["RANK"])
dist.init_process_group("gloo", timeout=timedelta(seconds=PATIENT))
# Ranks may start far apart on a busy machine; once all are there, they may wait less.
world = dist.new_group(timeout=timedelta(seconds=WAIT))
logits = torch.zeros(4, 3, requires_grad=True)
targets = torch.zeros(4, dtype=torch.int64)
try:
    FAULT
except Exception as error:
    print(type(error).__name__, error, flush=True)
# Not the end of a program: that of the group would wait for those who are gone.
os._exit(0)
"""

JAX = """
import argparse, functools, os

parser = argparse.ArgumentParser()
for name in ("--process", "--of", "--port"):
    parser.add_argument(name, type=int)
options = parser.parse_args()
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
import jax
import numpy as np
from jax.experimental.multihost_utils import assert_equal
from jax.sharding import NamedSharding, PartitionSpec as P
import focal_jax

address = f"127.0.0.1:{options.port}"
limits = dict(heartbeat_timeout_seconds=WAIT, initialization_timeout=PATIENT)
jax.distributed.initialize(address, options.of, options.process, **limits)
mesh = jax.make_mesh((8,), ("devices",))

def step(rows, split):
    logits = NamedSharding(mesh, P("devices") if split == "rows" else P(None, "devices"))
    targets = NamedSharding(mesh, P("devices") if split == "rows" else P())
    zeros = np.zeros((rows, 24), np.float32)
    ids = np.zeros(rows, np.int32)
    z = jax.make_array_from_callback((rows, 24), logits, lambda part: zeros[part])
    t = jax.make_array_from_callback((rows,), targets, lambda part: ids[part])
    loss = functools.partial(focal_jax.softmax_focal_loss, reduction="mean")
    with jax.set_mesh(mesh):
        print(jax.jit(loss)(z, t), flush=True)

FAULT
"""


def program(text: str, fault: str, wait: int) -> list[str]:
    for name, value in (("FAULT", fault), ("WAIT", str(wait)), ("PATIENT", str(PATIENT))):
        text = text.replace(name, value)
    return ["-c", text]


def of_ranks(fault: str, wait: int = PATIENT) -> list[ranks.Ended]:
    return ranks.torch_ranks(program(TORCH, fault.replace("\n", "\n    "), wait), 2, LIMIT)


def of_processes(fault: str, wait: int = PATIENT) -> list[ranks.Ended]:
    return ranks.jax_processes(program(JAX, fault, wait), 2, LIMIT)


GONE = (
    r"RuntimeError focal_torch: the {} over the 2 ranks of group '.*' failed\. "
    r"Have all of them called the loss, and is none gone\?"
)


@pytest.mark.parametrize(
    ("devices", "operation"),
    [("group=world", "sum"), ("class_group=world", "max")],
    ids=["rows", "classes"],
)
def test_a_rank_that_dies(devices: str, operation: str) -> None:
    call = f'focal_torch.softmax_focal_loss(logits, targets, reduction="mean", {devices})'
    # Gloo sees a closed connection at once.
    there, gone = of_ranks(f"{call}\nif rank: os._exit(3)\n{call}")
    assert gone.code == 3
    assert there.code == 0, there.err
    # With classes, the shapes are compared first.
    assert re.match(GONE.format(f"(sum|{operation})"), there.out), there.out


def test_a_rank_that_does_not_come() -> None:
    """It lives until the other has given up, so that nothing but the limit ends the wait."""
    there, other = of_ranks(
        "try:\n"
        "    if rank == 0:\n"
        '        focal_torch.softmax_focal_loss(logits, targets, reduction="mean", group=world)\n'
        "finally:\n"
        "    dist.barrier()",
        WAIT,
    )
    assert re.match(GONE.format("sum"), there.out), there
    assert (other.code, other.out) == (0, ""), other


@pytest.mark.parametrize(
    ("rows", "classes", "shape"),
    [(5, 3, r"\(5, 3\)"), (4, 2, r"\(4, 2\)"), (0, 3, r"\(0, 3\)")],
    ids=str,
)
def test_ranks_that_disagree_on_shapes(rows: int, classes: int, shape: str) -> None:
    ended = of_ranks(
        f"logits = torch.zeros(({rows}, {classes}) if rank else (4, 3))\n"
        "focal_torch.softmax_focal_loss(logits, targets[:1].expand(len(logits)), class_group=world)"
    )
    start = r"ValueError softmax_focal_loss\(class_group=\.\.\.\): expected"
    for one, here in zip(ended, (r"\(4, 3\)", shape), strict=True):
        assert re.match(f"{start} {here} on all 2 ranks, as here, got ", one.out), one


def test_a_process_of_jax_that_dies() -> None:
    step = 'step(32, "rows")'
    there, gone = of_processes(f"{step}\nif options.process: os._exit(3)\n{step}", WAIT)
    assert gone.code == 3
    assert there.code == -signal.SIGABRT, there
    reason = "task.* (died|unhealthy|heartbeat)|[Cc]onnection (closed|reset)"
    assert re.search(reason, there.err), there.err


def test_processes_of_jax_that_disagree_on_shapes() -> None:
    """Where sums have different sizes; what has the same size is no disagreement that JAX could
    see."""
    ended = of_processes('step(64 if options.process else 32, "classes")')
    assert all(one.code == -signal.SIGABRT for one in ended), ended
    question = "Is there a distributed collective mismatch in your code?"
    assert any(question in one.err for one in ended), ended


def test_what_jax_does_not_see_can_be_compared() -> None:
    ended = of_processes('assert_equal(np.array(64 if options.process else 32), "rows of logits")')
    for one in ended:
        assert one.code == 1
        assert "AssertionError: rows of logits. Expected: " in one.err


def in_shard_map(**settings: Any) -> None:
    mesh = Mesh(jax.devices()[:1], ("data",))
    loss = functools.partial(focal_jax.softmax_focal_loss, **settings)
    everywhere = PartitionSpec()
    specs = {"in_specs": (everywhere, everywhere), "out_specs": everywhere}
    mapped = jax.shard_map(loss, mesh=mesh, **specs)
    mapped(jnp.zeros((4, 3)), jnp.zeros(4, jnp.int32))


NO_AXIS = (
    "expected an axis of the jax.shard_map around the call, got 'rows'. "
    "Outside of jax.shard_map leave it out: jax.jit reduces over a mesh by itself."
)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"axis_name": "rows", "reduction": "mean"},
            f"axis_name=...): {NO_AXIS}",
        ),
        (
            {"class_axis_name": ("data", "rows")},
            f"class_axis_name=...): {NO_AXIS}",
        ),
        (
            {"axis_name": "data", "reduction": "none"},
            "axis_name=...): expected None for reduction \"none\", got 'data'. "
            '"none" sums nothing: leave it out.',
        ),
        (
            {"axis_name": "data", "reduction": "mean"},
            "axis_name=...): expected axes along which the inputs differ, got 'data'. "
            "Its devices repeat each other: leave it out, or split the inputs.",
        ),
        (
            {"class_axis_name": "data"},
            "class_axis_name=...): expected axes that split the classes, got 'data'. "
            "Split the class axis by the in_specs of jax.shard_map, and leave its check_vma on.",
        ),
    ],
)
def test_axes_that_are_none(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"softmax_focal_loss({message}")):
        in_shard_map(**settings)


@pytest.mark.parametrize(
    "loss", ["sigmoid_focal_loss", "softmax_focal_loss", "linear_softmax_focal_loss"]
)
def test_axes_without_a_shard_map(loss: str) -> None:
    inputs = [jnp.zeros((4, 3))]
    if loss.startswith("linear"):
        inputs.append(jnp.zeros((3, 3)))
    shape = (4, 3) if loss.startswith("sigmoid") else (4,)
    targets = jnp.zeros(shape, jnp.int32)
    message = f"{loss}(axis_name=...): expected an axis of the jax.shard_map"
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(focal_jax, loss)(*inputs, targets, reduction="mean", axis_name="data")


LOGITS = torch.zeros(4, 3)
IDS = torch.zeros(4).long()


def test_a_name_is_no_group() -> None:
    name: Any = "data"
    with pytest.raises(TypeError, match=r"expected a torch\.distributed\.ProcessGroup, got str"):
        focal_torch.softmax_focal_loss(LOGITS, IDS, reduction="mean", group=name)


def test_a_group_and_losses_of_elements(tmp_path: Any) -> None:
    dist.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        with pytest.raises(ValueError, match='expected None for reduction "none", got <'):
            focal_torch.softmax_focal_loss(LOGITS, IDS, group=dist.group.WORLD)
    finally:
        dist.destroy_process_group()
