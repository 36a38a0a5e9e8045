"""Where a port is looked at: a loss, its derivatives, a reduction, or arguments that have to be
refused."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from parity_tests.contract.examine import Solved, examine
from parity_tests.contract.port import Port
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import EPS, VALUE
from parity_tests.truth import oracle


@dataclass(frozen=True)
class Probe:
    """A loss, or its derivatives, at every logit with every target, in float32."""

    logits: tuple[float, ...]
    targets: tuple[float, ...] = (0.0, 1.0)
    gamma: float = 2.0
    alpha: float | None = 0.25
    order: int = VALUE

    def check(self, port: Port) -> None:
        points = np.array([(z, y) for z in self.logits for y in self.targets], np.float32).astype(
            float
        )
        constants = {"gamma": self.gamma, "alpha": self.alpha}
        names, ids = ("logits", "targets"), None
        if set(self.targets) <= {0.0, 1.0}:
            names, points, ids = ("logits",), points[:, :1], points[:, 1].astype(int)
        problem = Problem("sigmoid_focal_loss", "float32", names, points, ids, constants)
        examine(Solved.of(problem), port, self.order)


@dataclass(frozen=True)
class SoftmaxProbe:
    """A softmax loss, or its gradient, at rows of logits with a class id for each, in float32."""

    rows: tuple[tuple[float, ...], ...]
    ids: tuple[int, ...]
    gamma: float = 2.0
    order: int = VALUE

    def check(self, port: Port) -> None:
        points, names = (
            np.array(self.rows, np.float32).astype(float),
            tuple(f"logits{i}" for i in range(len(self.rows[0]))),
        )
        problem = Problem(
            "softmax_focal_loss",
            "float32",
            names,
            points,
            np.array(self.ids),
            {"gamma": self.gamma},
        )
        examine(Solved.of(problem), port, self.order)


@dataclass(frozen=True)
class Reduced:
    """A reduction over a batch, of which a mask keeps `kept`."""

    reduction: str = "mean"
    logits: tuple[float, ...] = (0.5, -1.0, 2.0, 0.1)
    targets: tuple[int, ...] = (1, 0, 1, 0)
    kept: tuple[bool, ...] | None = (True, True, False, False)
    dtype: str = "float32"
    weight: float | None = None
    repeat: int = 1

    def check(self, port: Port) -> None:
        logits = port.array(np.tile(np.array(self.logits, np.float32), self.repeat)).astype(
            self.dtype
        )
        targets = port.array(np.tile(np.array(self.targets), self.repeat))
        settings: dict[str, Any] = {"reduction": self.reduction}
        if self.kept is not None:
            settings["where"] = port.array(np.tile(np.array(self.kept), self.repeat))
        if self.weight is not None:
            settings["weight"] = port.array(np.full(logits.shape, self.weight, np.float32))
        got = float(port.module.sigmoid_focal_loss(logits, targets, **settings))
        truth = self.truth(port.numpy(logits).astype(float).tolist())
        error = abs(got - truth) / (EPS["float32"] * truth)
        assert error <= 16, (
            f"{self.reduction} of {port.name}: {error:.3g} eps, allowed 16: got {got}, truth {truth}"
        )

    def truth(self, logits: list[float]) -> float:
        kept = (self.kept or (True,) * len(self.targets)) * self.repeat
        samples = [
            (z, y)
            for z, y, keep in zip(logits, self.targets * self.repeat, kept, strict=True)
            if keep
        ]
        each = {
            sample: float(oracle.certified(oracle.sigmoid_focal_loss, *sample)[()].value)
            for sample in set(samples)
        }
        total = math.fsum(each[sample] for sample in samples) * (self.weight or 1.0)
        return (
            total
            / {"sum": 1, "mean": len(samples), "mean_positive": sum(y for _, y in samples)}[
                self.reduction
            ]
        )


@dataclass(frozen=True)
class Refuses:
    """Logits and targets of these shapes must raise a ValueError."""

    logits: tuple[int, ...]
    targets: tuple[int, ...]

    def check(self, port: Port) -> None:
        logits, targets = port.array(np.zeros(self.logits)), port.array(np.zeros(self.targets))
        try:
            # As users have it: nothing but the port itself may refuse.
            with jax.numpy_rank_promotion("allow"):
                loss = port.module.sigmoid_focal_loss(logits, targets)
        except ValueError:
            return
        raise AssertionError(
            f"logits {self.logits} with targets {self.targets} gave a loss of shape {loss.shape}"
        )


EASY = (-2.0, -0.5, 0.3, 1.0)
