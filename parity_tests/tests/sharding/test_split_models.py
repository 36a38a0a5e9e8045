"""Whole models that the frameworks split: the loss and every gradient are those of one device, in
float64."""

import numpy as np
import pytest

from parity_tests.pages import page_code
from parity_tests.tests import ROOT

from . import ranks

PAGE = ROOT / "docs" / "sharding.md"
PAGE_CODE = [code for code, _ in page_code.blocks(PAGE)]
EIGHT = 'import os\nos.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"\n'

# Gradients are sums of so many terms at most, of rows and classes, each rounded a few times.
TERMS = 32 * 24
ALLOWED = TERMS * np.finfo(float).eps

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
        settings = {"gamma": 1.5, "ignore_index": -100, "group": group}
        self.focal = focal_torch.LinearSoftmaxFocalLoss(chunk_size=5, **settings)

    def forward(self, x, targets):
        return self.focal(torch.tanh(self.body(x)), self.head.weight, targets, bias=self.head.bias)

class Plain(nn.Module):
    def __init__(self, group=None):
        super().__init__()
        self.body, self.head = nn.Linear(6, 6), nn.Linear(6, 24)
        settings = {"gamma": 1.5, "ignore_index": -100, "group": group}
        self.focal = focal_torch.SoftmaxFocalLoss(reduction="mean", **settings)

    def forward(self, x, targets):
        return self.focal(self.head(torch.tanh(self.body(x))), targets)

def whole_of(x):
    return x.full_tensor() if isinstance(x, DTensor) else x

def judge(name, model, reference, x, targets):
    expected_loss = whole_of(reference(*everything))
    expected_loss.backward()
    loss = whole_of(model(x, targets))
    loss.backward()
    parameters = dict(reference.named_parameters())
    pairs = {"loss": (loss.detach(), expected_loss.detach())}
    for key, parameter in model.named_parameters():
        pairs[key] = whole_of(parameter.grad), parameters[key.removeprefix("module.")].grad
    for what, (value, expected) in pairs.items():
        error = float((value - expected).abs().max() / expected.abs().max())
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
    errors = of_models("world")
    results = {what.removeprefix("module.") for _, what in errors}
    assert results == {"loss", "body.weight", "body.bias", "head.weight", "head.bias"}
    ways = {"ddp Fused", "ddp Plain", "fsdp2 Fused", "fsdp2 Plain", "tensor parallel Plain"}
    assert {way for way, _ in errors} == ways
    assert max(errors.values()) <= ALLOWED, errors


def test_models_without_a_group_would_be_noticed() -> None:
    errors = of_models("None")
    of_losses = [error for (_, what), error in errors.items() if what == "loss"]
    assert min(of_losses) > 0.1, errors


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

SETTINGS = {"gamma": 1.5, "ignore_index": -100, "reduction": "mean"}

def unfused(x, kernel, ids, **devices):
    return focal_jax.softmax_focal_loss(x @ kernel, ids, **SETTINGS, **devices)

def fused(x, kernel, ids, **devices):
    settings = SETTINGS | devices
    return focal_jax.linear_softmax_focal_loss(x, kernel, ids, chunk_size=5, **settings)

def product(loss, **devices):
    def call(x, kernel, ids, direction):
        slope = jax.grad(lambda x: loss(x, kernel, ids, **devices))
        return jax.jvp(slope, (x,), (direction,))[1]
    return call

inputs = features, kernel, ids, direction
specs = P("data"), P(None, "model"), P("data"), P("data")
expected = jax.jit(product(unfused))(*inputs)
for loss in (unfused, fused):
    of_mesh = product(loss, **AXES)
    split = jax.shard_map(of_mesh, mesh=mesh, in_specs=specs, out_specs=P("data"))
    error = abs(jax.jit(split)(*inputs) - expected).max() / abs(expected).max()
    print(json.dumps(["curvature", loss.__name__, "features", float(error)]))
"""


def test_curvature_on_a_mesh() -> None:
    """Forward over reverse mode, inside of jax.shard_map."""
    errors = ranks.errors(ranks.jax_processes(["-c", CURVATURE]))
    assert [error.way for error in errors] == ["unfused", "fused"]
    assert max(error.eps for error in errors) <= ALLOWED, errors


@pytest.mark.parametrize("block", PAGE_CODE, ids=["jit", "shard_map", "ddp"])
def test_code_on_the_page(block: str) -> None:
    program = ["-W", "error", "-c", EIGHT + block]
    ended = ranks.together([program], [{}], 300)
    # It prints no errors; this asserts that it has ended well.
    ranks.errors(ended)
