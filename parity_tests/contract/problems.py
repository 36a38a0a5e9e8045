"""Points at which a loss and its derivatives are asked for, the truth there, and a port's
answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from parity_tests.truth import family_oracle, linear_oracle, oracle, recipe_oracle
from parity_tests.truth.jets import Jet, Key, argument_of, column

from .port import Loss, Port
from .tolerances import DTYPES, allowed

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
LINEAR = "linear_softmax_focal_loss"
VARIFOCAL, HEATMAP = "varifocal_loss", "heatmap_focal_loss"
ASYMMETRIC = "asymmetric_loss"

# The truth is in the first of these modules that has the function. Losses of logits can leave out
# the derivatives that nobody asks for.
LOSSES = (oracle, family_oracle)
TRUTHS = (*LOSSES, linear_oracle, recipe_oracle)
# The powers of a loss that has others than γ.
POWERS = {HEATMAP: ("gamma", "beta"), ASYMMETRIC: ("gamma_positive", "gamma_negative")}

# Arguments that vary, of shape (samples,) or (samples, classes).
Arguments = Mapping[str, np.ndarray]
# A number or an array of the port, or what stands for one while it is traced.
Traced = Any


def rounded(points: np.ndarray, dtype: str) -> np.ndarray:
    """The points as numbers of the dtype, so that port and oracle see the same."""
    return points.astype(DTYPES[dtype]).astype(np.float64)


def by_variable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names of their variables, as golden vectors and the protocol have them."""
    variables: dict[str, Any] = {}
    for argument, value in arguments.items():
        if isinstance(value, list | tuple | np.ndarray):
            variables |= {column(argument, c): x for c, x in enumerate(value)}
        else:
            variables[argument] = value
    return variables


def powers_of(function: str) -> tuple[str, ...]:
    """The names of its powers."""
    return POWERS.get(function, ("gamma",))


def power(function: str, numbers: Mapping[str, Any]) -> float:
    """What multiplies the rounding of the numbers that a loss is a power of."""
    powers = [float(numbers.get(name, 2.0)) for name in powers_of(function)]
    if function != ASYMMETRIC:
        return sum(powers)
    # Its two sides are added. With a shift the scale of the negative one holds its γ.
    return powers[0] if numbers["shift"] else max(powers)


@dataclass(frozen=True, eq=False)
class Problem:
    """`points` has one row per sample and one column per name: the variables that derivatives are
    taken in.

    For the sigmoid loss these are its arguments, for the softmax loss logits0, logits1, …,
    targets0, …, alpha0, …. `ids` are hard targets, one per sample. `constants` are arguments that
    do not vary. `of` makes the names from arguments, `argument` and `sample` go back to them.
    """

    function: str
    dtype: str
    names: tuple[str, ...]
    points: np.ndarray
    ids: np.ndarray | None = None
    constants: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        function: str,
        dtype: str,
        arguments: Arguments,
        ids: np.ndarray | None = None,
        constants: Mapping[str, Any] | None = None,
    ) -> Self:
        """From arguments as arrays, which are rounded to the dtype."""
        names: list[str] = []
        for argument, numbers in arguments.items():
            if numbers.ndim == 1:
                names.append(argument)
            else:
                names += [column(argument, c) for c in range(numbers.shape[1])]
        points = rounded(np.column_stack(list(arguments.values())), dtype)
        return cls(function, dtype, tuple(names), points, ids, dict(constants or {}))

    @classmethod
    def sigmoid(
        cls, dtype: str, arguments: Arguments, ids: np.ndarray | None = None, **constants: Any
    ) -> Self:
        return cls.of(SIGMOID, dtype, arguments, ids, constants)

    @classmethod
    def softmax(
        cls, dtype: str, arguments: Arguments, ids: np.ndarray | None = None, **constants: Any
    ) -> Self:
        return cls.of(SOFTMAX, dtype, arguments, ids, constants)

    @cached_property
    def _places(self) -> dict[str, int | slice]:
        """Where an argument stands in a point: an index, or a slice with an index per class."""
        places: dict[str, int | slice] = {}
        for i, name in enumerate(self.names):
            argument = argument_of(name)
            if argument == name:
                places[argument] = i
            elif argument not in places:
                places[argument] = slice(i, i + len(self.columns(argument)))
        return places

    def argument(self, name: str) -> np.ndarray:
        """One argument at all samples: of shape (samples,), or (samples, classes)."""
        return self.points[:, self._places[name]]

    def columns(self, argument: str) -> list[str]:
        """The names of the variables that an argument consists of."""
        return [name for name in self.names if argument_of(name) == argument]

    def sample(self, row: int) -> dict[str, Any]:
        """The arguments that vary at one sample: a number each, or a list with one per class."""
        point = self.points[row]
        arguments = {name: point[place].tolist() for name, place in self._places.items()}
        if self.ids is not None:
            arguments["targets"] = int(self.ids[row])
        return arguments

    def loss(self, port: Port) -> Loss:
        """The port's function of one sample's variables, and of its id if there are ids."""
        function = getattr(port.module, self.function)
        axis = {"axis": -1} if self.function == SOFTMAX else {}

        def scalar(point: Traced, target: Traced = None) -> Traced:
            arguments = {name: point[place] for name, place in self._places.items()}
            logits = arguments.pop("logits")
            targets = arguments.pop("targets", target)
            return function(logits, targets, **axis, **self.constants, **arguments)

        return scalar

    def truth(self, row: int) -> Jet:
        """The oracle's jet at one sample, in the variables of the problem."""
        arguments = self.constants | self.sample(row)
        if self.ids is not None and self.function == SOFTMAX:
            one_hot = np.arange(len(arguments["logits"])) == self.ids[row]
            arguments["targets"] = one_hot.astype(float).tolist()
        module = next(one for one in TRUTHS if hasattr(one, self.function))
        function = getattr(module, self.function)
        if module in LOSSES:
            arguments["variables"] = frozenset(self.names)
        return oracle.certified(lambda: function(**arguments))

    def answers(self, port: Port, order: int) -> np.ndarray:
        """The port's derivatives of one order: an axis of samples, then `order` axes of
        variables."""
        points = self.points.astype(DTYPES[self.dtype])
        return port.per_sample(self.loss(port), order, points, self.ids)

    def limit(self, row: int, key: Key) -> float:
        """How much the derivative in the variables of `key` may be wrong at one sample, in eps."""
        logit = float(self.points[row, 0])
        numbers = self.constants | self.sample(row)
        return allowed(self.function, key, power(self.function, numbers), self.dtype, logit)

    def describe(self, port: Port, row: int, key: Key) -> str:
        """A line that says which derivative it is and reproduces the point."""
        derivative = " ".join(("d", *key)) if key else "value"
        values = dict(zip(self.names, self.points[row].tolist(), strict=True))
        if self.ids is not None:
            values["targets"] = int(self.ids[row])
        point = values | self.constants
        return f"{derivative} of {port.name} {self.function}({point}) in {self.dtype}"
