"""Random calls with values out of range, against a reference that says which elements they enter.

    python -m parity_tests.tests.invalid.fuzz --draws 100000

Where values are checked, a call that one enters is a ValueError. Where they cannot be, the loss of
each element that one enters is NaN, and so is its gradient; all others are as if it were not there.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import torch

import focal_jax
import focal_torch
from focal_torch._base import tracing

from .draws import FLOATS, LINEAR, NAN, Call, sample

# Losses and gradients of all draws.
Answer: TypeAlias = tuple[np.ndarray, np.ndarray]
# Relative and absolute, of a loss in half precision, and of one in float32: float16 has nothing
# below 2⁻²⁴, and elsewhere a power may underflow that the reference has.
TOLERANCES = {"bfloat16": (2**-7, 1e-30), "float16": (2**-10, 2**-24), "float32": (1e-4, 1e-30)}


class Count(NamedTuple):
    """Draws that were made, those with an invalid element, and those that went wrong."""

    draws: int
    invalid: int
    wrong: list[str]

    def plus(self, other: "Count") -> "Count":
        draws, invalid = self.draws + other.draws, self.invalid + other.invalid
        return Count(draws, invalid, self.wrong + other.wrong)


def first_argument(call: Call) -> str:
    return "features" if call.function == LINEAR else "logits"


def dtype_of(name: str, dtype: str) -> str:
    return dtype if name in ("logits", "features", "kernel") else "float32"


def jax_arrays(call: Call, dtype: str) -> dict[str, jax.Array]:
    arrays: dict[str, jax.Array] = {}
    for name, x in call.arrays.items():
        array = jnp.asarray(x)
        arrays[name] = array if x.dtype != np.float64 else array.astype(dtype_of(name, dtype))
    return arrays


def torch_arrays(call: Call, dtype: str) -> dict[str, torch.Tensor]:
    arrays: dict[str, torch.Tensor] = {}
    for name, x in call.arrays.items():
        if name == "kernel":
            x = np.ascontiguousarray(x.swapaxes(1, 2))
        array = torch.from_numpy(x)
        if x.dtype == np.float64:
            array = array.to(getattr(torch, dtype_of(name, dtype)))
        arrays[name] = array
    return arrays


def jax_traced(call: Call, dtype: str) -> Answer:
    """Compiled, and mapped over the draws."""
    name = first_argument(call)
    arrays = jax_arrays(call, dtype)
    loss = getattr(focal_jax, call.function)

    def total(x: jax.Array, others: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        result = loss(**{name: x}, **others, **call.static)
        return result.sum(), result

    x = arrays.pop(name)
    mapped = jax.vmap(jax.value_and_grad(total, has_aux=True))
    (_, losses), grads = jax.jit(mapped)(x, arrays)
    return np.asarray(losses.astype(float)), np.asarray(grads.astype(float))


def torch_mapped(call: Call, dtype: str) -> Answer:
    """Mapped over the draws, so that nobody can look at the values of one."""
    name = first_argument(call)
    arrays = torch_arrays(call, dtype)
    loss = getattr(focal_torch, call.function)

    def total(
        x: torch.Tensor, others: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        result = loss(**{name: x}, **others, **call.static)
        return result.sum(), result

    x = arrays.pop(name)
    grads, losses = torch.func.vmap(torch.func.grad(total, has_aux=True))(x, arrays)
    return losses.double().numpy(), grads.double().numpy()


def torch_of_each(call: Call, dtype: str, loss: Callable[..., torch.Tensor]) -> Answer:
    """One draw after the other."""
    name = first_argument(call)
    losses: list[np.ndarray] = []
    grads: list[np.ndarray] = []
    for draw in range(len(call.loss)):
        arrays = {key: x[draw] for key, x in torch_arrays(call, dtype).items()}
        x = arrays.pop(name).clone().requires_grad_()
        result = loss(**{name: x}, **arrays, **call.static)
        (grad,) = torch.autograd.grad(result.sum(), x)
        losses.append(result.detach().double().numpy())
        grads.append(grad.double().numpy())
    return np.stack(losses), np.stack(grads)


def torch_unknown(call: Call, dtype: str) -> Answer:
    """Eager, as on a device whose values nobody waits for."""
    with mock.patch.object(tracing, "is_concrete", return_value=False):
        return torch_of_each(call, dtype, getattr(focal_torch, call.function))


def torch_compiled(call: Call, dtype: str) -> Answer:
    torch.compiler.reset()
    loss = torch.compile(getattr(focal_torch, call.function), fullgraph=True)
    return torch_of_each(call, dtype, loss)


TRACED: dict[str, Callable[[Call, str], Answer]] = {
    "jax.jit": jax_traced,
    "torch.func.vmap": torch_mapped,
    "torch, values unknown": torch_unknown,
    "torch.compile": torch_compiled,
}


def wrong_in_answer(call: Call, dtype: str, answer: Answer) -> np.ndarray:
    """Which draws have an element that is neither NaN where it has to be nor right elsewhere."""
    losses, grads = answer
    axes = tuple(range(1, call.kept.ndim))
    bad_divisor = np.broadcast_to(
        call.invalid_divisor.reshape(-1, *[1 for _ in axes]), call.kept.shape
    )
    is_nan = call.invalid | (bad_divisor & call.kept)
    # The gradient of what a mask leaves out is 0 times that of its loss.
    is_any = bad_divisor & ~call.kept
    if call.static["reduction"] == "none":
        expected = np.where(call.invalid, NAN, call.loss)
    else:
        invalid = call.invalid.any(axes) | call.invalid_divisor
        expected = np.where(invalid, NAN, call.loss.sum(axes) / call.divisor)
        dtype = "float32"
    relative, absolute = TOLERANCES["float32" if call.function == LINEAR else dtype]
    right = np.isclose(losses, expected, relative, absolute, equal_nan=True)
    if is_nan.ndim < grads.ndim:
        is_nan, is_any = is_nan[..., None], is_any[..., None]
    right_grads = is_any | np.where(is_nan, np.isnan(grads), np.isfinite(grads))
    both = right.reshape(len(right), -1).all(1) & right_grads.reshape(len(right), -1).all(1)
    return np.logical_not(both)


def wrong_when_checked(package: Any, call: Call, dtype: str, draw: int) -> str | None:
    """What is wrong with an eager call whose values are known, if something is."""
    arrays: Any = (jax_arrays if package is focal_jax else torch_arrays)(call, dtype)
    one = {name: x[draw] for name, x in arrays.items()}
    try:
        result = getattr(package, call.function)(**one, **call.static)
    except ValueError as error:
        right = "expected values" in str(error) and call.refused[draw]
        return None if right else f"refused for something else: {error}"
    if call.refused[draw]:
        return f"returned {result}"
    return None


def run(first: int, calls: int, draws: int, modes: dict[str, Any]) -> Iterator[tuple[str, Count]]:
    """Each way to call, with what it came to over the calls with these seeds."""
    for seed in range(first, first + calls):
        with warnings.catch_warnings():
            # float16 does not hold all that a float64 does.
            warnings.simplefilter("ignore", RuntimeWarning)
            call = sample((seed, 18), draws)
        dtype = FLOATS[seed % len(FLOATS)]
        where = f"seed {seed}, {call.function}, {dtype}, {call.static}"
        invalid = int((call.invalid.reshape(draws, -1).any(1) | call.invalid_divisor).sum())
        for name, traced in modes.items():
            wrong = wrong_in_answer(call, dtype, traced(call, dtype))
            yield name, Count(draws, invalid, [f"{where}: draw {i}" for i in np.flatnonzero(wrong)])
        for package in (focal_jax, focal_torch):
            # A few of them: an eager call has its own checks each time.
            some = range(min(draws, 3))
            texts = [wrong_when_checked(package, call, dtype, draw) for draw in some]
            wrong = [f"{where}: {text}" for text in texts if text]
            bad = int(call.invalid[: len(some)].reshape(len(some), -1).any(1).sum())
            yield f"{package.__name__}, values known", Count(len(some), bad, wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100_000, help="in all ways together")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    ways = {"jax.jit": TRACED["jax.jit"], "torch.func.vmap": TRACED["torch.func.vmap"]}
    each = 500
    calls = -(-args.draws // (each * len(ways)))
    totals: dict[str, Count] = {}
    slow = {name: TRACED[name] for name in TRACED if name not in ways}
    for part in (run(args.seed, calls, each, ways), run(args.seed, 20, 5, slow)):
        for name, count in part:
            totals[name] = totals.get(name, Count(0, 0, [])).plus(count)
    print("| way | draws | with an invalid element | wrong |\n| --- | ---: | ---: | ---: |")
    for name, count in totals.items():
        print(f"| {name} | {count.draws} | {count.invalid} | {len(count.wrong)} |")
    wrong = [text for count in totals.values() for text in count.wrong]
    if wrong:
        raise SystemExit("\n".join(wrong[:10]))


if __name__ == "__main__":
    main()
