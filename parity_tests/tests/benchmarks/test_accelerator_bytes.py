"""That the bytes of a compiled program are counted: small programs of both compilers, and single
instructions."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.aot import devices, process
from benchmarks.aot.hlo import size
from benchmarks.aot.traffic import Program

SMALL = """
import json, sys
import jax, jax.numpy as jnp
from jax.sharding import SingleDeviceSharding
from benchmarks.aot.devices import device
from benchmarks.aot.traffic import Program

target = SingleDeviceSharding(device(sys.argv[1]))
x = jax.ShapeDtypeStruct((1 << 21, 128), jnp.float32, sharding=target)
i = jax.ShapeDtypeStruct((1 << 10,), jnp.int32, sharding=target)
programs = {
    "add": (lambda x, y: x + y, x, x),
    "sum": (lambda x: x.sum(), x),
    "chain": (lambda x: jax.lax.optimization_barrier(x * 2) + 1, x),
    "gather": (lambda x, i: x[i], x, i),
    "scatter": (lambda x, i: (x * 2).at[i].add(1.0), x, i),
    "outer": (lambda x, k: k[:, None, None] * x, x, jax.ShapeDtypeStruct((4,), jnp.float32, sharding=target)),
    "loop": (lambda x: jax.lax.fori_loop(0, 8, lambda _, x: x * x + 1, x), x),
}
found = {}
for name, (function, *given) in programs.items():
    compiled = jax.jit(function).lower(*given).compile()
    program, cost = Program(compiled.as_text()), compiled.cost_analysis() or {}
    found[name] = program.traffic().bytes, program.ideal(), cost.get("bytes accessed")
print(json.dumps(found))
"""
ARRAY = 1 << 30
# In units of one array. Of the scatter, 2^10 of 2^21 rows are read and written again; a loop copies
# its argument first.
MOVED = {
    "add": 3,
    "sum": 1,
    "chain": 4,
    "gather": 1 / 1024,
    "scatter": 2 + 1 / 1024,
    "outer": 8,
    "loop": 2 + 8 * 2,
}


@pytest.mark.parametrize("name", ["H100", "v5e"])
def test_bytes_of_small_programs(name: str) -> None:
    devices.require(["tpu" if name == "v5e" else "gpu"])
    run = subprocess.run(
        [sys.executable, "-c", SMALL, name],
        capture_output=True, text=True, timeout=300, check=True, env=os.environ | process.SETTINGS, cwd=process.ROOT,
    )  # fmt: skip
    found: dict[str, list[Any]] = json.loads(run.stdout)
    assert {program: moved / ARRAY for program, (moved, _, _) in found.items()} == pytest.approx(
        MOVED, rel=5e-3
    )
    assert found["add"][1] == 3 * ARRAY
    # The TPU's compiler counts bytes too, on the chip and off it.
    assert all(found[program][2] in (None, found[program][0]) for program in ("add", "chain"))


SHAPES = {
    "f32[100,90]{1,0}": 100 * 90 * 4,
    "f32[100,90]{1,0:T(8,128)}": 104 * 128 * 4,
    "bf16[100,90]{0,1:T(8,128)(2,1)}": 96 * 128 * 2,
    "pred[2,100,90]{2,1,0:T(8,128)(4,1)}": 2 * 104 * 128,
    "f32[100]{0:T(1,128)}": 128 * 4,
    "f32[]{:T(128)}": 128 * 4,
    "f32[100]{0:T(1024)S(1)}": 0,
    "token[]": 0,
    "(f32[100]{0}, (s32[3]{0}, u32[]{:S(2)}), /*index=2*/f8e4m3fn[8]{0})": 400 + 12 + 8,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_of_a_shape(shape: str) -> None:
    assert size(shape) == SHAPES[shape]


# What both compilers write where no small program can be relied on to make them do so.
PROGRAM = """HloModule hand_written

%part (a: f32[64,100], n: s32[]) -> f32[1,100] {
  %a = f32[64,100]{1,0} parameter(0)
  %n = s32[] parameter(1)
  %b = f32[64,100]{1,0} bitcast(%a)
  ROOT %d = f32[1,100]{1,0} dynamic-slice(%b, %n, %n), dynamic_slice_sizes={1,100}
}

%update (c: f32[64,100], e: f32[1,100], m: s32[]) -> f32[64,100] {
  %c = f32[64,100]{1,0} parameter(0)
  %e = f32[1,100]{1,0} parameter(1)
  %m = s32[] parameter(2)
  ROOT %u = f32[64,100]{1,0} dynamic-update-slice(%c, %e, %m, %m)
}

%cheap (f: f32[64,100]) -> f32[64,100] {
  ROOT %f = f32[64,100]{1,0} parameter(0)
}

%dear (g: f32[64,100]) -> f32[64,100] {
  %g = f32[64,100]{1,0} parameter(0)
  ROOT %h = f32[64,100]{1,0} negate(%g)
}

ENTRY %main (x: f32[64,100], i: s32[]) -> f32[64,100] {
  %x = f32[64,100]{1,0} parameter(0)
  %i = s32[] parameter(1)
  ROOT INSTRUCTION
}
"""
X = 64 * 100 * 4
WRITTEN = {
    "%r = f32[1,100]{1,0} fusion(%x, %i), kind=kLoop, calls=%part": 400 + 4 + 400,
    "%r = f32[1,100]{1,0} dynamic-slice(%x, %i, %i), dynamic_slice_sizes={1,100}": 400
    + 4
    + 4
    + 400,
    "%r = f32[64,100]{1,0} fusion(%x, %x, %i), kind=kLoop, calls=%update": X + 4 + 2 * 400,
    "%r = f32[64,100]{1,0} call(%x), to_apply=%dear": 2 * X,
    "%r = ((f32[64,100]{1,0}), f32[64,100]{1,0}) call-start(%x), to_apply=%dear": 2 * X,
    "%r = f32[64,100]{1,0} conditional(%i, %x, %x), branch_computations={%cheap, %dear}": 2 * X,
    "%r = (f32[64,100]{1,0:S(1)}, f32[64,100]{1,0}, u32[]{:S(2)}) copy-start(%x)": X,
    "%r = ((f32[64,100]{1,0}), f32[8,100]{1,0:S(1)}, s32[]{:S(2)}) slice-start(%x), slice={[0:8], [0:100]}": 8
    * 400,
    "%r = f32[64,100]{1,0} copy-done(%x)": 0,
    '%r = f32[64,100]{1,0} custom-call(), custom_call_target="AllocateBuffer"': 0,
    "%r = (f32[64,100]{1,0}, s32[]) tuple(%x, %i)": 0,
    "%r = (f32[64]{0}, s32[64]{0}) reduce(%x, %x, %i, %i), dimensions={1}, to_apply=%max": 2 * X
    + 8
    + 512,
}


@pytest.mark.parametrize("instruction", WRITTEN)
def test_bytes_of_an_instruction(instruction: str) -> None:
    assert (
        Program(PROGRAM.replace("INSTRUCTION", instruction)).traffic().bytes == WRITTEN[instruction]
    )


def test_a_loop_without_end_is_refused() -> None:
    loop = "%r = f32[64,100]{1,0} while(%x), condition=%cheap, body=%dear"
    with pytest.raises(ValueError, match="r: the program does not say how often the loop runs"):
        Program(PROGRAM.replace("INSTRUCTION", loop)).traffic()


def test_float32_copies_of_half_precision_are_found() -> None:
    program = Program(PROGRAM.replace("INSTRUCTION", "%r = f32[64,100]{1,0} negate(%x)"))
    assert program.wide(6400) == ["r"]
    assert program.wide(6401) == []
