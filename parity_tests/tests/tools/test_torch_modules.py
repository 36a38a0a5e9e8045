"""Modules of PyTorch's package with every option: copies, half precision, averages, state dicts,
process groups, TorchScript, and a γ that a schedule changes."""

import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import distribute_tensor
from torch.optim.swa_utils import AveragedModel

import focal_torch
from focal_torch._base.meshes import full_tensor

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0]])
BITS, IDS, KERNEL = torch.tensor([[1, 0, 0], [0, 1, 1]]), torch.tensor([0, 2]), torch.ones(4, 3)
WEIGHTS, GAMMA = torch.tensor([0.1, 0.2, 0.7]), nn.Parameter(torch.tensor(1.5))
OF_CLASSES = {"gamma": GAMMA, "label_smoothing": 0.1, "ignore_index": 7, "reduction": "sum"}
# All options of each module but its groups, and the arguments of its call.
OPTIONS: dict[str, dict[str, Any]] = {
    "LinearSoftmaxFocalLoss": OF_CLASSES
    | {"alpha": torch.ones(4), "softcap": 5.0, "z_loss": 0.1, "chunk_size": 1},
    "SigmoidFocalLoss": {
        "alpha": WEIGHTS,
        "gamma": GAMMA,
        "soft_targets": "mixture",
        "ignore_index": 255,
        "reduction": "sum",
    },
    "SoftmaxFocalLoss": OF_CLASSES | {"alpha": WEIGHTS, "axis": -1},
    "WeightedFocalLoss": {"alpha": 0.5, "gamma": 1.0},
}
INPUTS: dict[str, tuple[Tensor, ...]] = {
    "LinearSoftmaxFocalLoss": (LOGITS, KERNEL, IDS),
    "SigmoidFocalLoss": (LOGITS, BITS),
    "SoftmaxFocalLoss": (LOGITS, IDS),
    "WeightedFocalLoss": (LOGITS, BITS),
}
GROUPS = ("group", "class_group")
each_module = pytest.mark.parametrize("name", OPTIONS)


def module(name: str, **groups: Any) -> Any:
    return getattr(focal_torch, name)(**OPTIONS[name], **groups)


def pickled(x: Any) -> Any:
    return pickle.loads(pickle.dumps(x))


@each_module
def test_every_option_is_here(name: str) -> None:
    names = set(getattr(focal_torch, name)().settings())
    assert names - set(GROUPS) == OPTIONS[name].keys()


@each_module
def test_copies(name: str) -> None:
    loss, inputs = module(name), INPUTS[name]
    for other in (copy.deepcopy(loss), pickled(loss), AveragedModel(loss)):
        assert torch.equal(other(*inputs), loss(*inputs))
    averaged = AveragedModel(loss)
    averaged.update_parameters(loss)
    assert torch.equal(averaged(*inputs), loss(*inputs))


@each_module
def test_half_precision(name: str) -> None:
    """The settings are rounded, and the arithmetic is in float32."""
    inputs = tuple(x.half() if x.is_floating_point() else x for x in INPUTS[name])
    result = module(name).half()(*inputs)
    assert result.dtype == torch.float32
    # Logits, γ and α are each off by up to 2⁻¹¹, and the logits are up to 3.
    torch.testing.assert_close(result, module(name)(*INPUTS[name]), rtol=5e-3, atol=0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Any]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/ranks", rank=0, world_size=1)
    yield dist.group.WORLD
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.parametrize("name", ["LinearSoftmaxFocalLoss", "SigmoidFocalLoss", "SoftmaxFocalLoss"])
def test_a_process_group_is_found_again(name: str, world: Any) -> None:
    options = [option for option in GROUPS if option in getattr(focal_torch, name)().settings()]
    for group in (world, dist.new_group([0])):
        loss = module(name, **dict.fromkeys(options, group))
        for other in (copy.deepcopy(loss), pickled(loss), pickled(nn.Sequential(loss))[0]):
            assert [getattr(other, option) for option in options] == [group] * len(options)
            assert torch.equal(other(*INPUTS[name]), loss(*INPUTS[name]))


def test_a_process_group_that_is_not_there_is_named(world: Any) -> None:
    data = pickle.dumps(module("SigmoidFocalLoss", group=world))
    name = world.group_name
    dist.destroy_process_group()
    with pytest.raises(RuntimeError, match=f"process group '{name}', which this process does not"):
        pickle.loads(data)


def test_plain_tensors_beside_dtensors(world: Any) -> None:
    """They are the same on all ranks, in each argument."""
    mesh = init_device_mesh("cpu", (1,))
    where, weight, gamma = torch.tensor([True, False]), torch.tensor([0.5, 2.0]), GAMMA.detach()
    logits, bits = distribute_tensor(LOGITS, mesh), distribute_tensor(BITS, mesh)
    settings = {"where": where, "weight": weight, "gamma": gamma, "reduction": "sum"}
    of_rows: list[dict[str, Any]] = [settings, settings | {"ignore_index": 0}]
    settings = settings | {"where": where[:, None], "weight": weight[:, None]}
    of_logits: list[dict[str, Any]] = [settings, settings | {"ignore_index": 0, "alpha": WEIGHTS}]
    for ids in (IDS, distribute_tensor(IDS, mesh)):
        for settings in of_rows:
            linear = focal_torch.linear_softmax_focal_loss
            expected = linear(LOGITS, KERNEL, IDS, **settings)
            assert torch.equal(full_tensor(linear(logits, KERNEL, ids, **settings)), expected)
            softmax = focal_torch.softmax_focal_loss
            expected = softmax(LOGITS, IDS, **settings)
            assert torch.equal(full_tensor(softmax(logits, ids, **settings)), expected)
    for targets in (BITS, bits):
        for settings in of_logits:
            sigmoid = focal_torch.sigmoid_focal_loss
            expected = sigmoid(LOGITS, BITS, **settings)
            result = sigmoid(logits, targets, **settings)
            torch.testing.assert_close(full_tensor(result), expected)


def test_other_class_weights_in_a_checkpoint() -> None:
    """As docs/recipes.md says: α is part of the state, and that of the checkpoint counts."""
    saved = focal_torch.SoftmaxFocalLoss(alpha=WEIGHTS).state_dict()
    loss = focal_torch.SoftmaxFocalLoss(alpha=torch.ones(3))
    loss.load_state_dict(saved)
    assert torch.equal(loss.state_dict()["alpha"], WEIGHTS)
    with pytest.raises(RuntimeError, match="size mismatch for alpha"):
        focal_torch.SoftmaxFocalLoss(alpha=torch.ones(4)).load_state_dict(saved)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*alpha"):
        focal_torch.SoftmaxFocalLoss().load_state_dict(saved)
    with pytest.raises(RuntimeError, match=r"Missing key.*alpha"):
        loss.load_state_dict({})
    del saved["alpha"]
    loss.load_state_dict(saved, strict=False)
    assert torch.equal(loss.state_dict()["alpha"], WEIGHTS)


class Holder(nn.Module):
    """A model that holds a loss, which its training step calls."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss, self.layer = loss, nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


@each_module
def test_torchscript_takes_what_holds_a_loss(name: str) -> None:
    holder, file = Holder(module(name)), io.BytesIO()
    with warnings.catch_warnings():
        # All of TorchScript is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(holder), file)
        file.seek(0)
        assert torch.equal(torch.jit.load(file)(LOGITS), holder(LOGITS))


@pytest.mark.parametrize("dynamic", [None, True])
def test_a_tensor_gamma_of_a_schedule_is_one_program(dynamic: bool | None) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()

    def loss(z: Tensor, gamma: Tensor) -> Tensor:
        return focal_torch.softmax_focal_loss(z, IDS, gamma=gamma, reduction="mean")

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for i in range(12):
        gamma = torch.tensor(i / 4)
        torch.testing.assert_close(compiled(LOGITS, gamma), loss(LOGITS, gamma))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_a_gamma_that_is_filled_is_one_program() -> None:
    """γ of a module as a buffer, which a callback fills with the value of its schedule."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    gamma = torch.tensor(0.0)
    loss = focal_torch.SigmoidFocalLoss(gamma=gamma, reduction="mean")
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for i in range(12):
        gamma.fill_(i / 4)
        torch.testing.assert_close(compiled(LOGITS, BITS), loss(LOGITS, BITS))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
