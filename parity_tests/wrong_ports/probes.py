"""Where a port is looked at: a loss, its derivatives, a reduction, or arguments that have to be
refused."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

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
    soft_targets: str | None = None

    def check(self, port: Port) -> None:
        logits = np.repeat(self.logits, len(self.targets))
        targets = np.tile(self.targets, len(self.logits))
        constants: dict[str, Any] = {"gamma": self.gamma, "alpha": self.alpha}
        if self.soft_targets:
            constants["soft_targets"] = self.soft_targets
        if set(self.targets) <= {0.0, 1.0}:
            ids = targets.astype(int)
            problem = Problem.sigmoid("float32", {"logits": logits}, ids, **constants)
        else:
            arguments = {"logits": logits, "targets": targets}
            problem = Problem.sigmoid("float32", arguments, **constants)
        examine(Solved.of(problem), port, self.order)


@dataclass(frozen=True)
class SoftmaxProbe:
    """A softmax loss, or its gradient, at rows of logits with a class id for each, in float32."""

    rows: tuple[tuple[float, ...], ...]
    ids: tuple[int, ...]
    gamma: float = 2.0
    order: int = VALUE

    def check(self, port: Port) -> None:
        logits = np.array(self.rows)
        ids = np.array(self.ids)
        problem = Problem.softmax("float32", {"logits": logits}, ids, gamma=self.gamma)
        examine(Solved.of(problem), port, self.order)


@dataclass(frozen=True)
class FamilyProbe:
    """A varifocal, heatmap or asymmetric loss, or its derivatives, at every logit with every
    target."""

    function: str
    logits: tuple[float, ...]
    targets: tuple[float, ...] = (0.0, 0.5, 1.0)
    order: int = VALUE
    settings: Mapping[str, Any] = field(default_factory=dict)

    def check(self, port: Port) -> None:
        logits = np.repeat(self.logits, len(self.targets))
        targets = np.tile(self.targets, len(self.logits))
        arguments = {"logits": logits, "targets": targets}
        problem = Problem.of(self.function, "float32", arguments, constants=self.settings)
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
        logits = self._repeated(port, np.array(self.logits, np.float32)).astype(self.dtype)
        targets = self._repeated(port, self.targets)
        settings: dict[str, Any] = {"reduction": self.reduction}
        if self.kept is not None:
            settings["where"] = self._repeated(port, self.kept)
        if self.weight is not None:
            settings["weight"] = port.array(np.full(logits.shape, self.weight, np.float32))
        got = float(port.module.sigmoid_focal_loss(logits, targets, **settings))
        truth = self._truth(port.numpy(logits).astype(float).tolist())
        error = abs(got - truth) / (EPS["float32"] * truth)
        assert error <= 16, (
            f"{self.reduction} of {port.name}: {error:.3g} eps, allowed 16: "
            f"got {got}, truth {truth}"
        )

    def _repeated(self, port: Port, values: ArrayLike) -> Any:
        return port.array(np.tile(values, self.repeat))

    def _truth(self, logits: list[float]) -> float:
        kept = self.kept or (True,) * len(self.targets)
        samples = zip(logits, self.targets * self.repeat, strict=True)
        samples = list(itertools.compress(samples, kept * self.repeat))
        losses = [_loss(z, y) for z, y in samples]
        total = math.fsum(losses) * (self.weight or 1.0)
        if self.reduction == "sum":
            return total
        if self.reduction == "mean":
            return total / len(samples)
        return total / sum(y for _, y in samples)


@cache
def _loss(z: float, y: int) -> float:
    jet = oracle.certified(oracle.sigmoid_focal_loss, z, y)
    return float(jet[()].value)


@dataclass(frozen=True)
class Refuses:
    """Logits and targets of these shapes must raise a ValueError."""

    logits: tuple[int, ...]
    targets: tuple[int, ...]

    def check(self, port: Port) -> None:
        logits = port.array(np.zeros(self.logits))
        targets = port.array(np.zeros(self.targets))
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
