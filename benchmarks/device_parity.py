"""Both packages on an accelerator against the oracle, as many problems as there is time for.

    python -m benchmarks.device_parity              on the devices that PyTorch and JAX find
    python -m benchmarks.device_parity --seconds 60 --device cpu

The problems and what is allowed are those of the tests, in a random order that is the same every
time. It raises where a tolerance is broken, and prints the worst errors in eps.
"""

import argparse
import sys
import time
from typing import Any

import jax
import numpy as np
import torch

from parity_tests.contract import suite
from parity_tests.contract.examine import examine
from parity_tests.contract.port import Loss, Port
from parity_tests.ports.packages import JaxPort, TorchPort

from .accelerator import NOTHING, devices
from .work import Device


class OnDevice(TorchPort):
    """What PyTorch is given is on the device, what it returns is brought back."""

    def __init__(self, device: Any) -> None:
        super().__init__()
        self.device = device

    def array(self, x: np.ndarray) -> torch.Tensor:
        return super().array(np.array(x)).to(self.device)

    def numpy(self, x: torch.Tensor) -> np.ndarray:
        return super().numpy(x.detach().cpu())

    def per_sample(
        self, loss: Loss, order: int, points: np.ndarray, ids: np.ndarray | None
    ) -> np.ndarray:
        derivatives = (loss, torch.func.grad(loss), torch.func.hessian(loss))
        derivative = torch.func.vmap(derivatives[order])
        args = (points,) if ids is None else (points, ids)
        return self.numpy(derivative(*map(self.array, args)))


def worst(ports: list[Port], seconds: float) -> dict[tuple[str, str], list[float]]:
    """(package, loss and dtype) -> the worst errors of value, gradient and Hessian."""
    end = time.monotonic() + seconds
    names = np.random.default_rng(0).permutation(list(suite.PROBLEMS))
    largest: dict[tuple[str, str], list[float]] = {}
    for count, name in enumerate(map(str, names)):
        if count and time.monotonic() > end:
            break
        for port in ports:
            errors = [examine(suite.solved(name), port, order) for order in range(3)]
            key = (port.name, suite.kind(name))
            before = largest.get(key, [0.0] * 3)
            largest[key] = np.maximum(before, errors).tolist()
    return largest


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=60, help="no problem is begun later (default: %(default)g)"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu"), default="auto", help="default: %(default)s"
    )
    args = parser.parse_args(argv)
    here = devices(args.device)
    if not here:
        print(NOTHING)
        return 0
    with jax.enable_x64(True):
        largest = worst([_port(framework, here) for framework in here], args.seconds)
    for framework, device in here.items():
        print(f"{framework} on {device.name}")
    for (package, problem), errors in sorted(largest.items()):
        print(f"{package}: {problem}: {', '.join(f'{error:.1f}' for error in errors)} eps")
    return 0


def _port(framework: str, here: dict[str, Device]) -> Port:
    """JAX computes on its first device without being told."""
    if framework == "torch":
        return OnDevice(here["torch"].handle)
    return JaxPort()


if __name__ == "__main__":
    sys.exit(main())
