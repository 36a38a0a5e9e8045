"""From a public call to its arithmetic in a few frames, whose names a traceback can show."""

from types import ModuleType

import pytest

import focal_jax
import focal_torch

from .frames import CALLS, Call, frames

each_package = pytest.mark.parametrize("package", [focal_jax, focal_torch], ids=["jax", "torch"])
each_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.label)
NAMELESS = ("<lambda>", "call", "rule", "wrapper", "f", "_")


@each_package
@each_call
@pytest.mark.parametrize("gradient", [False, True])
def test_few_frames_are_before_the_arithmetic(
    package: ModuleType, call: Call, gradient: bool
) -> None:
    names = frames(package, call, gradient)
    assert names[0] == call.function
    assert len(names) <= call.most, names


@each_package
@each_call
@pytest.mark.parametrize("gradient", [False, True])
def test_frames_have_telling_names(package: ModuleType, call: Call, gradient: bool) -> None:
    names = frames(package, call, gradient)
    assert not set(names) & set(NAMELESS), names


def test_a_frame_more_would_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    call = CALLS[0]
    loss = focal_jax.sigmoid_focal_loss
    before = frames(focal_jax, call, gradient=False)
    source = "def around(*args, **kwargs):\n    return loss(*args, **kwargs)\n"
    namespace = {"loss": loss}
    exec(compile(source, focal_jax.__file__, "exec"), namespace)
    monkeypatch.setattr(focal_jax, call.function, namespace["around"])
    assert frames(focal_jax, call, gradient=False) == ["around", *before]
