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
from .programs import program
from .traffic import Program
from .verdict import Measurement


def measure(name: str, case: Case) -> Measurement:
    try:
        compiled = compile_for(device(name), case)
    except jax.errors.JaxRuntimeError as error:
        return Measurement(name, case, error=str(error).partition("\n")[0])
    memory, found = compiled.memory_analysis(), Program(compiled.as_text())
    moved, kernels = found.traffic()
    elements, width = math.prod(case.shape), np.dtype(arguments(case)["logits"].dtype).itemsize
    return Measurement(
        name,
        case,
        moved=moved,
        ideal=found.ideal(),
        temporaries=memory.temp_size_in_bytes,
        logits=elements * width,
        aliased=memory.alias_size_in_bytes,
        kernels=kernels,
        wide=found.wide(elements) if width == 2 else [],
    )


def compile_for(target: Any, case: Case) -> Any:
    sharding = NamedSharding(Mesh(np.array([target]), ("device",)), PartitionSpec())
    given = {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
        for name, x in arguments(case).items()
    }
    donated = ("logits",) if case.run == "donated" else ()
    return jax.jit(program(case), donate_argnames=donated).lower(**given).compile()


def main(platform: str, *options: str) -> None:
    names = [option for option in options if option != "--quick"] or DEVICES[platform]
    # The compilers print too, some of it from C++: their words go to stderr.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name, case in selection(names, "--quick" in options):
        print(json.dumps(asdict(measure(name, case))), file=results, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
