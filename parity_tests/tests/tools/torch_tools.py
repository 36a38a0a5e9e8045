"""What PyTorch's tools do to a call: one function for each, which asserts that its results are
those of an eager call.

    python -m parity_tests.tests.tools.torch_tools    every tool with every call, in an hour
"""

import copy
import pickle
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError
from torch.export import Dim
from torch.utils.checkpoint import checkpoint

from .torch_calls import CALLS, OTHERS, SCORES, TRACED, Call, Sizes

# Batches of images, and of rows, of which no two are alike.
SIZES: list[Sizes] = []
for i in range(12):
    images = {"n": 4 + i, "c": 3 + 5 * i % 13, "h": 5 + 3 * i % 13}
    SIZES.append(images | {"w": 7 + 8 * i % 13, "d": 9 + 100 * i, "1": 1})
# A layer of more than 512 features has larger chunks, and 193 rows are two.
SIZES[-1]["n"] = 193


def same(result: Tensor, expected: Tensor) -> None:
    # Sums may be in another order, and derivatives are sums of terms that may cancel.
    scale = expected.abs().max().item()
    torch.testing.assert_close(result, expected, rtol=2e-5, atol=1e-5 * scale)


def value_and_grads(function: Callable[..., Tensor], tensors: Sequence[Tensor]) -> list[Tensor]:
    """The result, and the gradients of a sum of it in all floating tensors that it depends on."""
    leaves = [x.requires_grad_() for x in tensors if x.is_floating_point()]
    result = function(*tensors)
    if not result.requires_grad:
        return [result]
    # Probabilities add up to 1, which has no gradient, so no two classes have one weight.
    weights = 1 + torch.arange(result.numel()).view(result.shape) % 97
    weights = weights.to(result.dtype)
    grads = torch.autograd.grad(result, leaves, weights, allow_unused=True)
    return [result, *(x for x in grads if x is not None)]


def all_same(results: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for result, other in zip(results, expected, strict=True):
        same(result, other)


def compiled_programs(
    call: Call, backend: str = "aot_eager", mark: bool = False, **options: Any
) -> int:
    """How many programs torch.compile makes for 12 sizes."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = call.module()
    compiled = torch.compile(model, fullgraph=True, backend=backend, **options)
    for sizes in SIZES:
        tensors = call.draw(sizes)
        expected = value_and_grads(model, tensors)
        if mark:
            for x, argument in zip(tensors, call.arguments.values(), strict=True):
                torch._dynamo.mark_dynamic(x, list(argument.open_axes()))
        all_same(value_and_grads(compiled, tensors), expected)
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def is_compiled(call: Call) -> None:
    assert compiled_programs(call) == 2


def is_compiled_by_inductor(call: Call) -> None:
    # It adds up 4,096 numbers in another way than more, which for every sum is a third program.
    assert compiled_programs(call, "inductor") <= 3


def is_compiled_with_dynamic_sizes(call: Call) -> None:
    assert compiled_programs(call, dynamic=True) == 1


def is_compiled_with_marked_sizes(call: Call) -> None:
    assert compiled_programs(call, mark=True) == 1


def is_exported(call: Call, strict: bool, dim: Callable[[str], Any]) -> None:
    shapes = {"tensors": call.open_shapes(dim)}
    model, tensors = call.module(), tuple(call.draw(TRACED))
    # A posterior is an exponential of (1 + γ) margins, which are rounded with their logits.
    rtol = 2e-5 if call.name == "posterior_from_focal" else 1e-6
    exported = torch.export.export(model, tensors, dynamic_shapes=shapes, strict=strict)
    for sizes in OTHERS:
        others = call.draw(sizes)
        torch.testing.assert_close(exported.module()(*others), model(*others), rtol=rtol, atol=0)


def any_size(_: str) -> Any:
    return Dim.DYNAMIC


def is_exported_strictly(call: Call) -> None:
    is_exported(call, True, any_size)


def is_exported_with_names(call: Call) -> None:
    is_exported(call, False, Dim)


def is_exported_strictly_with_names(call: Call) -> None:
    is_exported(call, True, Dim)


def is_exported_freely(call: Call) -> None:
    is_exported(call, False, any_size)


def is_run_by_onnxruntime(call: Call) -> None:
    import onnxruntime

    model, tensors = call.module().eval(), tuple(call.draw(TRACED))
    shapes = (call.open_shapes(any_size),)
    options: dict[str, Any] = {"dynamo": True, "dynamic_shapes": shapes, "verbose": False}
    with warnings.catch_warnings():
        # The exporter's own calls are deprecated ones.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, tensors, **options)
    assert program is not None
    data = program.model_proto.SerializeToString()
    session: Any = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()]
    # Ten times the logits give losses below 1e-20. Those of a layer are a product of matrices, and
    # its rounding would be part of the exponent.
    factors = (1, 10) if call.arguments.get("logits") == SCORES else (1,)
    for sizes in OTHERS:
        for factor in factors:
            others = call.draw(sizes)
            others[0] *= factor
            arrays = [x.numpy() for x in others]
            results: list[Any] = session.run(None, dict(zip(names, arrays, strict=True)))
            (result,) = results
            expected = model(*others).numpy()
            assert result.shape == expected.shape
            # A power may underflow in one of them and not in the other.
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-30)


def is_checkpointed(call: Call) -> None:
    model, tensors = call.module(), call.draw(TRACED)
    expected = value_and_grads(model, tensors)

    def checkpointed(*tensors: Tensor) -> Tensor:
        result = checkpoint(model, *tensors, use_reentrant=False)
        assert isinstance(result, Tensor)
        return result

    results = value_and_grads(checkpointed, tensors)
    for result, other in zip(results, expected, strict=True):
        assert torch.equal(result, other)


def passes_gradcheck(call: Call) -> None:
    small = {"n": 2, "c": 3, "h": 1, "w": 2, "d": 2, "1": 1}
    tensors = call.draw(small, torch.float64)
    for x in tensors:
        x.requires_grad_(x.is_floating_point())
    model = call.module()
    if call.settings.get("constant_modulator"):
        # Its gradient is not what the loss changes by, on purpose.
        with pytest.raises(GradcheckError, match="Jacobian mismatch"):
            torch.autograd.gradcheck(model, tensors)
    elif model(*tensors).requires_grad:
        assert torch.autograd.gradcheck(model, tensors, check_undefined_grad=True)


def is_leaf_of_fx(call: Call) -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.function: Any = call.function()

        def forward(self, x: Any) -> Any:
            tensors = {name: x[i] for i, name in enumerate(call.arguments)}
            return self.function(**tensors)

    traced = torch.fx.symbolic_trace(Holder())
    functions: list[Any] = [node for node in traced.graph.nodes if node.op == "call_function"]
    of_ours = [node for node in functions if "focal_torch" in node.target.__module__]
    assert len(of_ours) == 1
    tensors = call.draw(TRACED)
    assert torch.equal(pickle.loads(pickle.dumps(traced))(tensors), call.module()(*tensors))


def is_copied(call: Call) -> None:
    tensors = call.draw(TRACED)
    model = call.module()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(*tensors), model(*tensors))


TOOLS: dict[str, Callable[[Call], None]] = {
    "compile": is_compiled,
    "compile, inductor": is_compiled_by_inductor,
    "compile, dynamic": is_compiled_with_dynamic_sizes,
    "compile, marked": is_compiled_with_marked_sizes,
    "export, strict": is_exported_strictly,
    "export, strict, named": is_exported_strictly_with_names,
    "export": is_exported_freely,
    "export, named": is_exported_with_names,
    "onnx": is_run_by_onnxruntime,
    "checkpoint": is_checkpointed,
    "gradcheck": passes_gradcheck,
    "fx": is_leaf_of_fx,
    "copies": is_copied,
}
# Each takes less than a second.
QUICK = ("checkpoint", "gradcheck", "fx", "copies")


def main() -> None:
    """All of the table, whose slow part is a sample in the tests."""
    failed: list[str] = []
    for tool, make in TOOLS.items():
        for title, call in CALLS.items():
            try:
                make(call)
            except Exception as error:
                failed.append(f"{tool}, {title}: {type(error).__name__} {error}")
        print(f"{tool}: {len(CALLS)} calls, {len(failed)} failures so far", flush=True)
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
