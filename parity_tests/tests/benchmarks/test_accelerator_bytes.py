"""That the bytes of a compiled program are counted: small programs of both compilers, and single
instructions."""

import json
import os
import subprocess
import sys
from typing import NamedTuple

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
k = jax.ShapeDtypeStruct((4,), jnp.float32, sharding=target)
programs = {
    "add": (lambda x, y: x + y, x, x),
    "sum": (lambda x: x.sum(), x),
    "chain": (lambda x: jax.lax.optimization_barrier(x * 2) + 1, x),
    "gather": (lambda x, i: x[i], x, i),
    "scatter": (lambda x, i: (x * 2).at[i].add(1.0), x, i),
    "outer": (lambda x, k: k[:, None, None] * x, x, k),
    "loop": (lambda x: jax.lax.fori_loop(0, 8, lambda _, x: x * x + 1, x), x),
}
counts = {}
for name, (function, *inputs) in programs.items():
    compiled = jax.jit(function).lower(*inputs).compile()
    program, cost = Program(compiled.as_text()), compiled.cost_analysis() or {}
    counts[name] = program.traffic().bytes, program.ideal(), cost.get("bytes accessed")
print(json.dumps(counts))
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


class Counts(NamedTuple):
    """Bytes of one program; not every compiler counts them itself."""

    moved: int
    ideal: int
    by_compiler: float | None


def counts_of_small_programs(device: str) -> dict[str, Counts]:
    command = [sys.executable, "-c", SMALL, device]
    env = os.environ | process.SETTINGS
    done = subprocess.run(
        command, cwd=process.ROOT, env=env, capture_output=True, text=True, timeout=300, check=True
    )
    return {program: Counts(*counts) for program, counts in json.loads(done.stdout).items()}


@pytest.mark.parametrize(("device", "platform"), [("H100", "gpu"), ("v5e", "tpu")])
def test_bytes_of_small_programs(device: str, platform: str) -> None:
    devices.require([platform])
    programs = counts_of_small_programs(device)
    in_arrays = {name: counts.moved / ARRAY for name, counts in programs.items()}
    assert in_arrays == pytest.approx(MOVED, rel=5e-3)
    assert programs["add"].ideal == 3 * ARRAY
    # The TPU's compiler counts bytes too, on the chip and off it.
    for name in ("add", "chain"):
        assert programs[name].by_compiler in (None, programs[name].moved)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("f32[100,90]{1,0}", 100 * 90 * 4),
        ("f32[100,90]{1,0:T(8,128)}", 104 * 128 * 4),
        ("bf16[100,90]{0,1:T(8,128)(2,1)}", 96 * 128 * 2),
        ("pred[2,100,90]{2,1,0:T(8,128)(4,1)}", 2 * 104 * 128),
        ("f32[100]{0:T(1,128)}", 128 * 4),
        ("f32[]{:T(128)}", 128 * 4),
        ("f32[100]{0:T(1024)S(1)}", 0),
        ("token[]", 0),
        ("(f32[100]{0}, (s32[3]{0}, u32[]{:S(2)}), /*index=2*/f8e4m3fn[8]{0})", 400 + 12 + 8),
    ],
)
def test_bytes_of_a_shape(shape: str, expected: int) -> None:
    assert size(shape) == expected


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
  ROOT %r = INSTRUCTION
}
"""
X, ROW, INDEX = 64 * 100 * 4, 100 * 4, 4


def program_of(instruction: str) -> Program:
    return Program(PROGRAM.replace("INSTRUCTION", instruction))


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("f32[1,100]{1,0} fusion(%x, %i), kind=kLoop, calls=%part", ROW + INDEX + ROW),
        (
            "f32[1,100]{1,0} dynamic-slice(%x, %i, %i), dynamic_slice_sizes={1,100}",
            ROW + 2 * INDEX + ROW,
        ),
        ("f32[64,100]{1,0} fusion(%x, %x, %i), kind=kLoop, calls=%update", X + INDEX + 2 * ROW),
        ("f32[64,100]{1,0} call(%x), to_apply=%dear", 2 * X),
        ("((f32[64,100]{1,0}), f32[64,100]{1,0}) call-start(%x), to_apply=%dear", 2 * X),
        ("f32[64,100]{1,0} conditional(%i, %x, %x), branch_computations={%cheap, %dear}", 2 * X),
        ("(f32[64,100]{1,0:S(1)}, f32[64,100]{1,0}, u32[]{:S(2)}) copy-start(%x)", X),
        (
            "((f32[64,100]{1,0}), f32[8,100]{1,0:S(1)}, s32[]{:S(2)}) slice-start(%x), "
            "slice={[0:8], [0:100]}",
            8 * ROW,
        ),
        ("f32[64,100]{1,0} copy-done(%x)", 0),
        ('f32[64,100]{1,0} custom-call(), custom_call_target="AllocateBuffer"', 0),
        ("(f32[64,100]{1,0}, s32[]) tuple(%x, %i)", 0),
        (
            "(f32[64]{0}, s32[64]{0}) reduce(%x, %x, %i, %i), dimensions={1}, to_apply=%max",
            2 * X + 2 * INDEX + 2 * 64 * 4,
        ),
    ],
)
def test_bytes_of_an_instruction(instruction: str, expected: int) -> None:
    assert program_of(instruction).traffic().bytes == expected


def test_a_loop_without_end_is_refused() -> None:
    program = program_of("f32[64,100]{1,0} while(%x), condition=%cheap, body=%dear")
    with pytest.raises(ValueError, match="r: the program does not say how often the loop runs"):
        program.traffic()


def test_float32_copies_of_half_precision_are_found() -> None:
    program = program_of("f32[64,100]{1,0} negate(%x)")
    assert program.wide(6400) == ["r"]
    assert program.wide(6401) == []
