"""focal_jax inside of what JAX does to functions, each against the eager loss in float64 of the
same version.

python -m parity_tests.versions.smoke_jax
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import focal_jax
from parity_tests.contract.exact import Draws

from . import losses
from .checks import Check, report, same
from .older import without_float64

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


def loss_of(name: str, **more: Any) -> tuple[Loss, Array]:
    """A loss as a function of logits or features, and those."""
    function, targets, settings = losses.CALLS[name]
    given = {
        key: jnp.asarray(x) if isinstance(x, np.ndarray) else x for key, x in settings.items()
    } | more
    loss, t, kernel = (
        getattr(focal_jax, function),
        jnp.asarray(targets),
        jnp.asarray(losses.KERNEL.T),
    )
    if "linear" in name:
        return lambda x: loss(x, kernel, t, **given).sum(), jnp.asarray(losses.FEATURES)
    return lambda x: loss(x, t, **given).sum(), jnp.asarray(losses.LOGITS)


def call_of(name: str, **more: Any) -> tuple[Callable[..., Array], Array, Array]:
    """A loss as a function of logits or features and targets, and those. Rows have no masks and
    weights."""
    function, targets, settings = losses.CALLS[name]
    shared = {key: x for key, x in settings.items() if key not in losses.ALL} | more
    given = {key: jnp.asarray(x) if isinstance(x, np.ndarray) else x for key, x in shared.items()}
    kernel = [jnp.asarray(losses.KERNEL.T)] * ("linear" in name)

    def loss(x: Array, t: Array, **axes: str) -> Array:
        return getattr(focal_jax, function)(x, *kernel, t, **given, **axes)

    return loss, jnp.asarray(losses.FEATURES if kernel else losses.LOGITS), jnp.asarray(targets)


def functions(name: str) -> None:
    loss, x = loss_of(name)
    value, slope = jax.value_and_grad(loss)(x)
    both = jnp.stack([x, 2 * x])
    compiled = jax.jit(jax.value_and_grad(loss))(x)
    same(compiled[0], value)
    same(compiled[1], slope)
    same(jax.jit(jax.vmap(jax.grad(loss)))(both)[0], slope)
    kept = jax.grad(jax.checkpoint(loss))
    same(jax.lax.scan(lambda carry, x: (carry, kept(x)), 0, both)[1][0], slope)
    same(jax.jit(lambda x: jax.jvp(loss, (x,), (x,)))(x)[1], (slope * x).sum())


def slopes_by_differences(name: str) -> None:
    loss, x = loss_of(name)
    step = 1e-5
    one = jnp.asarray(Draws(1).bell(x.shape))
    difference = (loss(x + step * one) - loss(x - step * one)) / (2 * step)
    same(difference, (jax.grad(loss)(x) * one).sum(), 1e-6)


def hessians(name: str) -> None:
    loss, x = loss_of(name)
    same(jax.jit(jax.jacrev(jax.jacrev(loss)))(x), jax.jit(jax.hessian(loss))(x), 1e-11)


def exported(name: str) -> None:
    """For three platforms."""
    loss, x = loss_of(name)
    slope = jax.jit(jax.value_and_grad(loss))
    exporter = jax.export.export(slope, platforms=("cpu", "cuda", "tpu"))
    program = exporter(jax.ShapeDtypeStruct(x.shape, x.dtype))
    for got, expected in zip(
        jax.tree.leaves(program.call(x)), jax.tree.leaves(slope(x)), strict=True
    ):
        same(got, expected)


def exported_with_open_rows(name: str) -> None:
    (rows,) = jax.export.symbolic_shape("rows")
    loss, x, t = call_of(name, **({"chunk_size": None} if "linear" in name else {}))
    structs = [jax.ShapeDtypeStruct((rows, *y.shape[1:]), y.dtype) for y in (x, t)]
    same(jax.export.export(jax.jit(loss))(*structs).call(x, t), loss(x, t))


def float32(name: str) -> None:
    with without_float64():
        loss, x = loss_of(name)
        value, slope = jax.jit(jax.value_and_grad(loss))(x)
    assert value.dtype == slope.dtype == jnp.float32
    # Logits of up to ten are rounded to float32, and the slope moves with them.
    same(
        slope,
        jax.grad(loss_of(name)[0])(
            jnp.asarray(losses.FEATURES if "linear" in name else losses.LOGITS)
        ),
        1e-5,
    )


def mesh(*types: AxisType) -> Mesh:
    return jax.make_mesh((DEVICES,), ("data",), axis_types=types or (AxisType.Auto,))


def shard_map(function: Any, specs: tuple[PartitionSpec, ...]) -> Any:
    return jax.shard_map(function, mesh=mesh(), in_specs=specs, out_specs=PartitionSpec())


def by_rows(name: str) -> None:
    """Rows split over devices, each with its own part of the loss."""
    loss, x, t = call_of(name)
    rows = PartitionSpec("data")
    split = shard_map(partial(loss, axis_name="data"), (rows, rows))
    for way in (lambda f: f, jax.grad):
        same(jax.jit(way(split))(x, t), way(loss)(x, t))


def by_classes() -> None:
    z, t, kernel = (
        jnp.asarray(x) for x in (losses.LOGITS, losses.IDS.astype(np.int32), losses.KERNEL.T)
    )
    whole, columns = PartitionSpec(), PartitionSpec(None, "data")
    settings = {"axis": -1, "reduction": "mean"}
    loss = partial(focal_jax.softmax_focal_loss, **settings)
    split = shard_map(partial(loss, class_axis_name="data"), (columns, whole))
    same(jax.jit(jax.grad(split))(z, t), jax.grad(loss)(z, t))
    linear = focal_jax.linear_softmax_focal_loss
    split = shard_map(partial(linear, class_axis_name="data"), (whole, columns, whole))
    features = jnp.asarray(losses.FEATURES)
    for i in range(2):
        same(
            jax.jit(jax.grad(split, i))(features, kernel, t),
            jax.grad(linear, i)(features, kernel, t),
        )


def on_a_mesh(name: str, kind: AxisType) -> None:
    """Rows that the compiler splits, on a mesh with automatic or explicit axes."""
    loss, x, t = call_of(name)
    expected = jax.grad(lambda x: loss(x, t).sum())(x)
    here = mesh(kind)
    # Before JAX 0.7 this is use_mesh in jax.sharding.
    use = getattr(jax, "set_mesh", None) or getattr(jax.sharding, "use_mesh", None)
    assert use is not None
    with use(here):
        place = NamedSharding(here, PartitionSpec("data"))
        x, t = jax.device_put(x, place), jax.device_put(t, place)
        same(jax.jit(jax.grad(lambda x, t: loss(x, t).sum()))(x, t), expected)


def flax_modules() -> None:
    """A step of training with NNX, and a loss inside of a Linen module, which asks for other types
    of numbers."""
    with jax.numpy_dtype_promotion("standard"):
        _train_with_nnx()
        _train_with_linen()


def _train_with_nnx() -> None:
    x, t = jnp.asarray(losses.FEATURES, jnp.float32), jnp.asarray(losses.IDS)
    model = nnx.Linear(losses.SIZE, losses.CLASSES, rngs=nnx.Rngs(0))
    loss = focal_jax.SoftmaxFocalLoss(reduction="mean")
    value, slopes = nnx.jit(nnx.value_and_grad(lambda model: loss(model(x), t)))(model)
    moved = jax.tree.map(lambda p, g: p - 0.1 * g, nnx.state(model), slopes)
    nnx.update(model, moved)
    assert loss(model(x), t) < value


def _train_with_linen() -> None:
    x, t = jnp.asarray(losses.FEATURES, jnp.float32), jnp.asarray(losses.IDS)

    class Model(flax.linen.Module):
        loss: Any

        @flax.linen.compact
        def __call__(self, x: Array, t: Array) -> Array:
            return self.loss(flax.linen.Dense(losses.CLASSES)(x), t)

    module = Model(focal_jax.SoftmaxFocalLoss(reduction="mean"))
    variables: Any = module.init(jax.random.key(0), x, t)
    optimizer = optax.adam(1e-2)
    state = optimizer.init(variables)
    value, slopes = jax.jit(jax.value_and_grad(lambda v: module.apply(v, x, t)))(variables)
    updates, _ = optimizer.update(slopes, state)
    moved: Any = optax.apply_updates(variables, updates)
    assert module.apply(moved, x, t) < value


def recipes() -> None:
    x = jnp.asarray(losses.LOGITS)
    same(focal_jax.posterior_from_focal(x, 0.0, axis=-1), jax.nn.softmax(x))
    same(focal_jax.alpha_from_counts(jnp.array([2.0, 2.0])), jnp.ones(2))
    same(jax.nn.sigmoid(focal_jax.prior_bias(jnp.array([0.25]))), jnp.array([0.25]))
    assert focal_jax.gamma_flsd(jnp.array([0.1, 0.9])).tolist() == [5, 3]
    same(focal_jax.SigmoidFocalLoss()(x, x > 0), focal_jax.sigmoid_focal_loss(x, x > 0))
    focal_jax.WeightedFocalLoss()(x[:, 0], jnp.ones(losses.ROWS))


def checks() -> dict[str, Check]:
    found = {
        "Flax": Check(flax_modules),
        "recipes": Check(recipes),
        "class_axis_name": Check(by_classes),
    }
    for name in losses.CALLS:
        found[f"{name}, functions"] = Check(partial(functions, name))
        found[f"{name}, differences"] = Check(partial(slopes_by_differences, name))
        found[f"{name}, float32"] = Check(partial(float32, name))
    for name in EACH_RULE:
        found[f"{name}, hessians"] = Check(partial(hessians, name))
        found[f"{name}, exported"] = Check(partial(exported, name))
        found[f"{name}, exported with open rows"] = Check(partial(exported_with_open_rows, name))
        needed = "" if "sigmoid" in name else ">=0.7"
        found[f"{name}, automatic mesh"] = Check(partial(on_a_mesh, name, AxisType.Auto))
        found[f"{name}, explicit mesh"] = Check(partial(on_a_mesh, name, AxisType.Explicit), needed)
        if "reduction" in losses.CALLS[name][2] and "rows" not in name:
            found[f"{name}, axis_name"] = Check(partial(by_rows, name))
    return found


def main() -> int:
    jax.config.update("jax_num_cpu_devices", DEVICES)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_debug_nans", True)
    return report(checks(), jax.__version__)


if __name__ == "__main__":
    sys.exit(main())
