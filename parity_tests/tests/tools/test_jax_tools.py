"""Every public function of JAX's package inside every tool: its debug modes, and what copies,
traces, exports and prints."""

import copy
import gc
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, export
from jax.experimental import checkify

import focal_jax
from parity_tests.contract.exact import Draws

N, C, D = 5, 3, 4
DRAWS = Draws(0)
LOGITS = jnp.asarray(DRAWS.bell((N, C)) * 4, jnp.float32)
PROBABILITIES = jnp.asarray(DRAWS.simplex(N, C), jnp.float32)
FEATURES = jnp.asarray(DRAWS.bell((N, D)), jnp.float32)
KERNEL = jnp.asarray(DRAWS.bell((D, C)), jnp.float32)
BITS, IDS = jnp.asarray(DRAWS.integers(0, 2, (N, C))), jnp.asarray(DRAWS.integers(0, C, N))
PER_CLASS = jnp.asarray([0.5, 0.75, 0.25], jnp.float32)
ROWS = jnp.asarray([True, False, True, True, False])
ELEMENTS = jnp.broadcast_to(ROWS[:, None], (N, C))
# A product may underflow in one program and not in the other.
UNDERFLOW = 1e-30
SIGMOID, SOFTMAX, LINEAR = (
    f"{loss}_focal_loss" for loss in ("sigmoid", "softmax", "linear_softmax")
)


class Call(NamedTuple):
    """A public function or class, the array that is differentiated, and all other arguments."""

    name: str
    first: Array
    targets: Array | None
    settings: dict[str, Any]

    def __call__(self, first: Array) -> Array:
        public = getattr(focal_jax, self.name)
        if isinstance(public, type):
            return public(**self.settings)(first, self.targets)
        if self.name == LINEAR:
            return public(first, KERNEL, self.targets, **self.settings)
        rest = () if self.targets is None else (self.targets,)
        return public(first, *rest, **self.settings)

    def value_and_grad(self, first: Array) -> Any:
        return jax.value_and_grad(lambda x: weighted_sum(self(x)))(first)


def weighted_sum(x: Array) -> Array:
    """Not the sum alone, which does not depend on the argument where the mean is 1."""
    return (x * jnp.arange(1, x.size + 1, dtype=x.dtype).reshape(x.shape)).sum()


CALLS: dict[str, Call] = {}


def add(title: str, name: str, first: Array, targets: Array | None, **settings: Any) -> None:
    CALLS[title] = Call(name, first, targets, settings)


add("sigmoid hard", SIGMOID, LOGITS, BITS)
add("sigmoid soft", SIGMOID, LOGITS, PROBABILITIES, reduction="mean_positive")
add("sigmoid mixture", SIGMOID, LOGITS, PROBABILITIES, soft_targets="mixture", reduction="mean")
add("sigmoid all", SIGMOID, LOGITS, BITS, alpha=PER_CLASS, gamma=PER_CLASS, where=ELEMENTS)
add("sigmoid ignore", SIGMOID, LOGITS, BITS, ignore_index=0, reduction="mean")
add("sigmoid quality", SIGMOID, LOGITS, PROBABILITIES, soft_targets="quality", reduction="mean")
add(
    "varifocal",
    "varifocal_loss",
    LOGITS,
    jnp.where(ELEMENTS, PROBABILITIES, 0),
    reduction="mean_positive",
)
add("varifocal constant", "varifocal_loss", LOGITS, BITS, constant_modulator=True)
add("heatmap", "heatmap_focal_loss", LOGITS, PROBABILITIES, peak=0.5, reduction="mean_positive")
add("asymmetric", "asymmetric_loss", LOGITS, BITS, gamma_negative=PER_CLASS, where=ELEMENTS)
add("asymmetric constant", "asymmetric_loss", LOGITS, PROBABILITIES, constant_modulator=True)
add("margin", "softmax_margin", LOGITS, IDS)
add("focal", "focal", LOGITS, None, gamma=1.5)
add("modulator", "modulator", LOGITS, None, gamma=PER_CLASS)
add("softmax ids", SOFTMAX, LOGITS, IDS)
add("softmax smooth", SOFTMAX, LOGITS, IDS, label_smoothing=0.1, ignore_index=0, reduction="mean")
add("softmax all", SOFTMAX, LOGITS, IDS, alpha=PER_CLASS, gamma=PER_CLASS, where=ROWS)
add("softmax soft", SOFTMAX, LOGITS, PROBABILITIES, where=ROWS, reduction="mean_positive")
add("linear mean", LINEAR, FEATURES, IDS, where=ROWS)
add("linear none", LINEAR, FEATURES, IDS, alpha=PER_CLASS, reduction="none")
add("module varifocal", "VarifocalLoss", LOGITS, PROBABILITIES)
add("module heatmap", "HeatmapFocalLoss", LOGITS, PROBABILITIES)
add("module asymmetric", "AsymmetricLoss", LOGITS, BITS)
add("module sigmoid", "SigmoidFocalLoss", LOGITS, BITS)
add("module softmax", "SoftmaxFocalLoss", LOGITS, IDS)
add("module weighted", "WeightedFocalLoss", LOGITS, BITS)
add("posterior of sigmoid", "posterior_from_focal", LOGITS, PER_CLASS)
add("posterior of softmax", "posterior_from_focal", LOGITS, jnp.asarray(2.0), axis=-1)
add("prior", "prior_bias", PER_CLASS, None)
add("counts", "alpha_from_counts", PER_CLASS, None, beta=0.5)
add("γ of p_t", "gamma_flsd", PROBABILITIES, None)
add("bins", "two_hot", PROBABILITIES, None, classes=3)
# The linear module takes a kernel, as the function does.
ELSEWHERE = {"LinearSoftmaxFocalLoss"}


@contextmanager
def looking_for_leaks() -> Iterator[None]:
    """JAX looks for each tracer among all objects of the process. A leaked one is a new object, and
    of those that are frozen none is asked: that takes milliseconds instead of minutes."""
    gc.freeze()
    try:
        with jax.checking_leaks():
            yield
    finally:
        gc.unfreeze()


def leaks_no_tracer(call: Call) -> None:
    with looking_for_leaks():
        jax.jit(call.value_and_grad)(call.first)
        jax.vmap(call.value_and_grad)(call.first[None])


def passes_all_checks(call: Call) -> None:
    """Of indices, NaN and divisions."""
    for function in (call, call.value_and_grad):
        checked = checkify.checkify(function, errors=checkify.all_checks)
        error, _ = jax.jit(checked)(call.first)
        error.throw()


def has_a_shape(call: Call) -> None:
    result = jax.eval_shape(call, call.first)
    expected = call(call.first)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)


def is_one_equation(call: Call) -> None:
    """A loss is one equation of its name; what is no loss has no name of its own."""
    equations = jax.make_jaxpr(call)(call.first).eqns
    names = [equation.params.get("name", "") for equation in equations]
    if call.name in (SIGMOID, SOFTMAX, LINEAR):
        assert sum("focal" in name for name in names) == 1
        # The rest makes arrays of settings as large as the loss.
        assert len(equations) < 8


def is_the_same_in_debug_mode(call: Call) -> None:
    """Eager, and with a NaN where a mask leaves it out."""
    first = call.first
    where = call.settings.get("where")
    if where is not None:
        mask = where if where.ndim == first.ndim else where[:, None]
        first = jnp.where(mask, first, jnp.nan)
    with jax.debug_nans(True):
        value, slope = call.value_and_grad(first)
        compiled, compiled_slope = jax.jit(call.value_and_grad)(first)
    np.testing.assert_allclose(compiled, value, rtol=1e-5)
    np.testing.assert_allclose(compiled_slope, slope, rtol=1e-4, atol=UNDERFLOW)


def is_exported(call: Call) -> None:
    """With all rows open, and called with numbers of rows that were not traced."""
    if call.targets is None or len(call.targets.shape) == 0 or "where" in call.settings:
        return
    function = partial(_with_targets, call)
    arguments = (call.first, call.targets)
    if call.targets.shape[0] != N:
        return
    shapes = export.symbolic_args_specs(arguments, "n, ...")
    program = export.export(jax.jit(function))(*shapes)
    for repeats in (1, 3, 200):
        x, y = (jnp.repeat(argument, repeats, 0) for argument in arguments)
        np.testing.assert_allclose(program.call(x, y), function(x, y), rtol=1e-6)


def _with_targets(call: Call, first: Array, targets: Array) -> Array:
    return call._replace(targets=targets)(first)


def is_rematerialised(call: Call) -> None:
    expected = call.value_and_grad(call.first)
    remat = jax.value_and_grad(lambda x: weighted_sum(jax.checkpoint(partial(_call, call))(x)))(
        call.first
    )
    for result, right in zip(remat, expected, strict=True):
        np.testing.assert_allclose(result, right, rtol=1e-5, atol=UNDERFLOW)


def _call(call: Call, first: Array) -> Array:
    # A checkpoint keeps a weak reference, which a tuple does not have.
    return call(first)


def is_copied(call: Call) -> None:
    public = getattr(focal_jax, call.name)
    if not isinstance(public, type):
        return
    module = public(**call.settings)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(other) == repr(module)
        np.testing.assert_array_equal(
            other(call.first, call.targets), module(call.first, call.targets)
        )


TOOLS: dict[str, Callable[[Call], None]] = {
    "checking_leaks": leaks_no_tracer,
    "checkify": passes_all_checks,
    "eval_shape": has_a_shape,
    "make_jaxpr": is_one_equation,
    "debug_nans": is_the_same_in_debug_mode,
    "export": is_exported,
    "checkpoint": is_rematerialised,
    "copies": is_copied,
}


@pytest.mark.parametrize(("tool", "title"), list(product(TOOLS, CALLS)))
def test_what_a_tool_makes_of_a_call(tool: str, title: str) -> None:
    TOOLS[tool](CALLS[title])


def test_a_leak_is_found() -> None:
    kept = []

    def leaking(x: jax.Array) -> jax.Array:
        kept.append(jnp.sin(x))
        return 2 * kept[-1]

    with pytest.raises(Exception, match="Leaked"), looking_for_leaks():
        jax.jit(leaking)(LOGITS)


def test_no_public_name_is_left_out() -> None:
    assert {call.name for call in CALLS.values()} | ELSEWHERE == set(focal_jax.__all__)
