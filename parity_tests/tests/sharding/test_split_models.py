"""Whole models that the frameworks split: the loss and every gradient are those of one device, in
float64."""

import numpy as np
import pytest

from parity_tests.pages import page_code

from . import ranks

PAGE_CODE = [code for code, _ in page_code.blocks(ranks.ROOT / "docs" / "sharding.md")]
EIGHT = 'import os\nos.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"\n'

# Gradients are sums of so many terms at most, of rows and classes, each rounded a few times.
TERMS = 32 * 24

MODEL = """
import copy, json, os
from datetime import timedelta
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel
import focal_torch
from parity_tests.contract.exact import Draws

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
dist.init_process_group("gloo", timeout=timedelta(seconds=180))
rank, world = dist.get_rank(), dist.group.WORLD
# The first rank has no row that counts, and the last has most.
part = [slice(0, 4), slice(4, 32)][rank]
draws = Draws(0)
x, targets = torch.tensor(draws.bell((32, 6))), torch.tensor(draws.integers(0, 24, 32))
torch.manual_seed(0)
targets[:4] = -100

class Fused(nn.Module):
    def __init__(self, group=None):
        super().__init__()
        self.body, self.head = nn.Linear(6, 6), nn.Linear(6, 24)
        self.focal = focal_torch.LinearSoftmaxFocalLoss(gamma=1.5, ignore_index=-100, chunk_size=5, group=group)

    def forward(self, x, targets):
        return self.focal(torch.tanh(self.body(x)), self.head.weight, targets, bias=self.head.bias)

class Plain(nn.Module):
    def __init__(self, group=None):
        super().__init__()
        self.body, self.head = nn.Linear(6, 6), nn.Linear(6, 24)
        self.focal = focal_torch.SoftmaxFocalLoss(gamma=1.5, ignore_index=-100, reduction="mean", group=group)

    def forward(self, x, targets):
        return self.focal(self.head(torch.tanh(self.body(x))), targets)

def judge(name, model, reference, x, targets):
    for one, given in ((reference, everything), (model, (x, targets))):
        value = one(*given)
        value = value.full_tensor() if isinstance(value, DTensor) else value
        value.backward()
        one.value = value.detach()
    wanted = dict(reference.named_parameters())
    pairs = {"loss": (model.value, reference.value)}
    for key, parameter in model.named_parameters():
        slope = parameter.grad.full_tensor() if isinstance(parameter.grad, DTensor) else parameter.grad
        pairs[key] = slope, wanted[key.removeprefix("module.")].grad
    for what, (got, want) in pairs.items():
        error = float((got - want).abs().max() / want.abs().max())
        if not rank:
            print(json.dumps(["model", name, what, error]), flush=True)

everything = x, targets
for kind in (Fused, Plain):
    model, reference = kind(OURS), kind()
    reference.load_state_dict(model.state_dict())
    whole = copy.deepcopy(reference)
    judge(f"ddp {kind.__name__}", DistributedDataParallel(model), whole, x[part], targets[part])
    model.zero_grad(), reference.zero_grad()
    sharded = fully_shard(copy.deepcopy(reference))
    sharded.focal.group = OURS
    judge(f"fsdp2 {kind.__name__}", sharded, reference, x[part], targets[part])
if OURS:
    reference = Plain()
    split = copy.deepcopy(reference)
    mesh = init_device_mesh("cpu", (2,))
    parallelize_module(split.head, mesh, ColwiseParallel(use_local_output=False))
    judge("tensor parallel Plain", split, reference, x, targets)
os._exit(0)
"""


def of_models(group: str) -> dict[tuple[str, str], float]:
    ended = ranks.torch_ranks(["-c", MODEL.replace("OURS", group)], 2)
    return {(error.way, error.what): error.eps for error in ranks.errors(ended)}


def test_models_that_torch_splits() -> None:
    found = of_models("world")
    parameters = {f"{layer}.{name}" for layer in ("body", "head") for name in ("weight", "bias")}
    assert {what.removeprefix("module.") for _, what in found} == {"loss", *parameters}
    ways = {f"{way} {kind}" for way in ("ddp", "fsdp2") for kind in ("Fused", "Plain")} | {
        "tensor parallel Plain"
    }
    assert {way for way, _ in found} == ways
    worst = max(found, key=lambda key: found[key])
    assert found[worst] <= TERMS * np.finfo(float).eps, (worst, found[worst])


def test_models_without_a_group_would_be_noticed() -> None:
    found = of_models("None")
    assert all(error > 0.1 for (_, what), error in found.items() if what == "loss"), found


CURVATURE = """
import json, os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec as P
import focal_jax
from parity_tests.contract.exact import Draws

jax.config.update("jax_enable_x64", True)
draws = Draws(0)
features, kernel, direction = (draws.bell(shape) for shape in ((32, 6), (6, 24), (32, 6)))
ids = draws.integers(0, 24, 32)
ids[:9] = -100
mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
AXES = {"axis_name": "data", "class_axis_name": "model"}

def unfused(x, kernel, ids, **devices):
    return focal_jax.softmax_focal_loss(x @ kernel, ids, gamma=1.5, ignore_index=-100, reduction="mean", **devices)

def fused(x, kernel, ids, **devices):
    return focal_jax.linear_softmax_focal_loss(x, kernel, ids, gamma=1.5, ignore_index=-100, chunk_size=5, **devices)

def product(loss, **devices):
    def call(x, kernel, ids, direction):
        slope = jax.grad(lambda x: loss(x, kernel, ids, **devices))
        return jax.jvp(slope, (x,), (direction,))[1]
    return call

for loss in (unfused, fused):
    given = features, kernel, ids, direction
    want = jax.jit(product(unfused))(*given)
    specs = P("data"), P(None, "model"), P("data"), P("data")
    got = jax.jit(jax.shard_map(product(loss, **AXES), mesh=mesh, in_specs=specs, out_specs=P("data")))(*given)
    print(json.dumps(["curvature", loss.__name__, "features", float(abs(got - want).max() / abs(want).max())]))
"""


def test_curvature_on_a_mesh() -> None:
    """Forward over reverse mode, inside of jax.shard_map."""
    found = ranks.errors(ranks.jax_processes(["-c", CURVATURE]))
    assert [error.way for error in found] == ["unfused", "fused"]
    assert max(error.eps for error in found) <= TERMS * np.finfo(float).eps, found


@pytest.mark.parametrize("block", PAGE_CODE, ids=["jit", "shard_map", "ddp"])
def test_code_on_the_page(block: str) -> None:
    ranks.errors(ranks.together([["-W", "error", "-c", EIGHT + block]], [{}], 300))
