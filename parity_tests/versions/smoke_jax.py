"""focal_jax inside of what JAX does to functions, each against the eager loss in float64 of the
same version.

python -m parity_tests.versions.smoke_jax
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import focal_jax
from parity_tests.contract.exact import Draws

from . import losses
from .checks import Check, report, same
from .older import without_float64
from .smoke_flax import flax_modules

Loss = Callable[[Array], Array]
DEVICES = 4
# Of each rule of derivatives, one loss.
EACH_RULE = (
    "sigmoid",
    "sigmoid interpolate",
    "sigmoid mixture",
    "softmax",
    "softmax soft",
    "linear",
    "linear rows",
)


def array(x: Any) -> Any:
    """An array of NumPy as one of JAX; everything else as it is."""
    return jnp.asarray(x) if isinstance(x, np.ndarray) else x


def loss_of(name: str) -> tuple[Loss, Array]:
    """A loss as a function of logits or features, and those."""
    loss, x, t = with_settings(name, losses.CALLS[name].settings)
    return lambda x: loss(x, t).sum(), x


def call_of(name: str, **more: Any) -> tuple[Callable[..., Array], Array, Array]:
    """A loss as a function of logits or features and targets, and those. Rows have no masks and
    weights."""
    settings = losses.CALLS[name].settings
    shared = {key: x for key, x in settings.items() if key not in losses.ALL}
    return with_settings(name, shared | more)


def with_settings(name: str, settings: dict[str, Any]) -> tuple[Callable[..., Array], Array, Array]:
    call = losses.CALLS[name]
    function = getattr(focal_jax, call.function)
    x, *kernels = call.arrays
    transposed = [array(kernel.T) for kernel in kernels]
    arrays = {key: array(x) for key, x in settings.items()}

    def loss(x: Array, t: Array, **axes: str) -> Array:
        return function(x, *transposed, t, **arrays, **axes)

    return loss, array(x), array(call.targets)


def functions(name: str) -> None:
    loss, x = loss_of(name)
    value_and_grad = jax.value_and_grad(loss)
    value, slope = value_and_grad(x)
    compiled_value, compiled_slope = jax.jit(value_and_grad)(x)
    same(compiled_value, value)
    same(compiled_slope, slope)
    both = jnp.stack([x, 2 * x])
    batched = jax.jit(jax.vmap(jax.grad(loss)))
    same(batched(both)[0], slope)
    kept = jax.grad(jax.checkpoint(loss))
    _, slopes = jax.lax.scan(lambda carry, x: (carry, kept(x)), 0, both)
    same(slopes[0], slope)
    _, tangent = jax.jit(lambda x: jax.jvp(loss, (x,), (x,)))(x)
    same(tangent, (slope * x).sum())


def slopes_by_differences(name: str) -> None:
    loss, x = loss_of(name)
    step = 1e-5
    direction = jnp.asarray(Draws(1).bell(x.shape))
    above, below = loss(x + step * direction), loss(x - step * direction)
    slope = (jax.grad(loss)(x) * direction).sum()
    same((above - below) / (2 * step), slope, 1e-6)


def hessians(name: str) -> None:
    loss, x = loss_of(name)
    reverse = jax.jit(jax.jacrev(jax.jacrev(loss)))
    forward_over_reverse = jax.jit(jax.hessian(loss))
    same(reverse(x), forward_over_reverse(x), 1e-11)


def exported(name: str) -> None:
    """For three platforms."""
    loss, x = loss_of(name)
    compiled = jax.jit(jax.value_and_grad(loss))
    exporter = jax.export.export(compiled, platforms=("cpu", "cuda", "tpu"))
    program = exporter(jax.ShapeDtypeStruct(x.shape, x.dtype))
    value, slope = program.call(x)
    expected_value, expected_slope = compiled(x)
    same(value, expected_value)
    same(slope, expected_slope)


def exported_with_open_rows(name: str) -> None:
    (rows,) = jax.export.symbolic_shape("rows")
    # A number of rows that is not known cannot be cut into chunks.
    more = {"chunk_size": None} if "linear" in name else {}
    loss, x, t = call_of(name, **more)
    structs = [jax.ShapeDtypeStruct((rows, *y.shape[1:]), y.dtype) for y in (x, t)]
    program = jax.export.export(jax.jit(loss))(*structs)
    same(program.call(x, t), loss(x, t))


def float32(name: str) -> None:
    with without_float64():
        loss, x = loss_of(name)
        value, slope = jax.jit(jax.value_and_grad(loss))(x)
    assert value.dtype == slope.dtype == jnp.float32
    loss, x = loss_of(name)
    # Logits of up to ten are rounded to float32, and the slope moves with them.
    same(slope, jax.grad(loss)(x), 1e-5)


def mesh(*types: AxisType) -> Mesh:
    return jax.make_mesh((DEVICES,), ("data",), axis_types=types or (AxisType.Auto,))


def shard_map(function: Any, specs: tuple[PartitionSpec, ...]) -> Any:
    return jax.shard_map(function, mesh=mesh(), in_specs=specs, out_specs=PartitionSpec())


def by_rows(name: str) -> None:
    """Rows split over devices, each with its own part of the loss."""
    loss, x, t = call_of(name)
    rows = PartitionSpec("data")
    split = shard_map(partial(loss, axis_name="data"), (rows, rows))
    same(jax.jit(split)(x, t), loss(x, t))
    same(jax.jit(jax.grad(split))(x, t), jax.grad(loss)(x, t))


def by_classes() -> None:
    z, t = array(losses.LOGITS), array(losses.IDS.astype(np.int32))
    whole, columns = PartitionSpec(), PartitionSpec(None, "data")
    loss = partial(focal_jax.softmax_focal_loss, axis=-1, reduction="mean")
    split = shard_map(partial(loss, class_axis_name="data"), (columns, whole))
    same(jax.jit(jax.grad(split))(z, t), jax.grad(loss)(z, t))
    linear = focal_jax.linear_softmax_focal_loss
    split = shard_map(partial(linear, class_axis_name="data"), (whole, columns, whole))
    inputs = (array(losses.FEATURES), array(losses.KERNEL.T), t)
    for i in range(2):
        slope = jax.jit(jax.grad(split, i))(*inputs)
        same(slope, jax.grad(linear, i)(*inputs))


def on_a_mesh(name: str, kind: AxisType) -> None:
    """Rows that the compiler splits, on a mesh with automatic or explicit axes."""
    loss, x, t = call_of(name)
    grad = jax.grad(lambda x, t: loss(x, t).sum())
    expected = grad(x, t)
    here = mesh(kind)
    # Before JAX 0.7 this is use_mesh in jax.sharding.
    use = getattr(jax, "set_mesh", None) or getattr(jax.sharding, "use_mesh", None)
    assert use is not None
    with use(here):
        place = NamedSharding(here, PartitionSpec("data"))
        x, t = jax.device_put(x, place), jax.device_put(t, place)
        same(jax.jit(grad)(x, t), expected)


def recipes() -> None:
    x = array(losses.LOGITS)
    same(focal_jax.posterior_from_focal(x, 0.0, axis=-1), jax.nn.softmax(x))
    counts = jnp.array([2.0, 2.0])
    same(focal_jax.alpha_from_counts(counts), jnp.ones(2))
    prior = jnp.array([0.25])
    bias = focal_jax.prior_bias(prior)
    same(jax.nn.sigmoid(bias), prior)
    gamma = focal_jax.gamma_flsd(jnp.array([0.1, 0.9]))
    assert gamma.tolist() == [5, 3]
    bins = focal_jax.two_hot(jnp.array([0.25]), 2)
    assert bins.tolist() == [[0.75, 0.25]]
    sigmoid = focal_jax.SigmoidFocalLoss(reduction="none")
    same(sigmoid(x, x > 0), focal_jax.sigmoid_focal_loss(x, x > 0))
    focal_jax.WeightedFocalLoss()(x[:, 0], jnp.ones(losses.ROWS))
    family(x)


def family(x: Array) -> None:
    """For hard targets, and without a shift, each is a sigmoid focal loss."""
    bits = array(losses.BITS.astype(float))
    focal = focal_jax.sigmoid_focal_loss(x, bits, alpha=None)

    def slope(loss: Callable[..., Array]) -> Array:
        return jax.jit(jax.grad(lambda z: loss(z, bits).sum()))(x)

    expected = slope(partial(focal_jax.sigmoid_focal_loss, alpha=None))
    quality = partial(focal_jax.sigmoid_focal_loss, alpha=None, soft_targets="quality")
    heatmap = focal_jax.HeatmapFocalLoss(reduction="none")
    settings: dict[str, Any] = {"gamma_positive": 2.0, "gamma_negative": 2.0, "shift": 0.0}
    asymmetric = focal_jax.AsymmetricLoss(**settings, reduction="none")
    for loss in (quality, heatmap, asymmetric):
        same(loss(x, bits), focal)
        same(slope(loss), expected)
    varifocal = focal_jax.VarifocalLoss(gamma=0.0, alpha=None, reduction="none")
    same(varifocal(x, bits), focal_jax.sigmoid_focal_loss(x, bits, alpha=None, gamma=0.0))
    ids = array(losses.IDS)
    margins = focal_jax.softmax_margin(x, ids)
    same(focal_jax.focal(margins), focal_jax.softmax_focal_loss(x, ids))
    same(focal_jax.modulator(margins, 0.0), jnp.ones_like(margins))


OF_ALL = {"functions": functions, "differences": slopes_by_differences, "float32": float32}
OF_A_RULE = {
    "hessians": hessians,
    "exported": exported,
    "exported with open rows": exported_with_open_rows,
}


def checks() -> dict[str, Check]:
    named = {"Flax": Check(flax_modules), "recipes": Check(recipes)}
    named["class_axis_name"] = Check(by_classes)
    for name in losses.CALLS:
        for way, check in OF_ALL.items():
            named[f"{name}, {way}"] = Check(partial(check, name))
    for name in EACH_RULE:
        for way, check in OF_A_RULE.items():
            named[f"{name}, {way}"] = Check(partial(check, name))
        automatic = partial(on_a_mesh, name, AxisType.Auto)
        explicit = partial(on_a_mesh, name, AxisType.Explicit)
        needed = "" if "sigmoid" in name else ">=0.7"
        named[f"{name}, automatic mesh"] = Check(automatic)
        named[f"{name}, explicit mesh"] = Check(explicit, needed)
        if "reduction" in losses.CALLS[name].settings and "rows" not in name:
            named[f"{name}, axis_name"] = Check(partial(by_rows, name))
    return named


def main() -> int:
    jax.config.update("jax_num_cpu_devices", DEVICES)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_debug_nans", True)
    return report(checks(), jax.__version__)


if __name__ == "__main__":
    sys.exit(main())
