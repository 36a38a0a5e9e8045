"""Compile cases for the devices of one platform, and print what each program does as one line of
JSON.

    python -m benchmarks.aot.compile gpu [--quick] [DEVICE ...]

`benchmarks.aot` starts it as a process of its own: the compiler of a platform is loaded once and
stays.
"""

import json
import math
import os
import sys
from dataclasses import asdict
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .cases import Case, arguments, selection
from .devices import DEVICES, device
from .programs import program as function_of
from .traffic import Program
from .verdict import Measurement


def measure(name: str, case: Case) -> Measurement:
    try:
        compiled = compile_for(device(name), case)
    except jax.errors.JaxRuntimeError as error:
        return Measurement(name, case, error=str(error).partition("\n")[0])
    memory = compiled.memory_analysis()
    program = Program(compiled.as_text())
    moved, kernels = program.traffic()
    elements = math.prod(case.shape)
    width = np.dtype(arguments(case)["logits"].dtype).itemsize
    return Measurement(
        name,
        case,
        moved=moved,
        ideal=program.ideal(),
        temporaries=memory.temp_size_in_bytes,
        logits=elements * width,
        aliased=memory.alias_size_in_bytes,
        kernels=kernels,
        wide=program.wide(elements) if width == 2 else [],
    )


def compile_for(target: Any, case: Case) -> Any:
    mesh = Mesh(np.array([target]), ("device",))
    sharding = NamedSharding(mesh, PartitionSpec())
    shapes = arguments(case)
    for name, x in shapes.items():
        shapes[name] = jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
    donated = ("logits",) if case.run == "donated" else ()
    function = jax.jit(function_of(case), donate_argnames=donated)
    return function.lower(**shapes).compile()


def main(platform: str, *options: str) -> None:
    names = [option for option in options if option != "--quick"] or DEVICES[platform]
    # The compilers print too, some of it from C++: their words go to stderr.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name, case in selection(names, "--quick" in options):
        print(json.dumps(asdict(measure(name, case))), file=results, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
