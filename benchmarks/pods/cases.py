"""What is compiled for many chips, and what is required of it. Each bound stands here once, with
its reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

MIB = 1 << 20
FLOAT32 = 4
# What each device has, however many there are: rows and classes of its own, and every feature of
# both.
ROWS, CLASSES, FEATURES = 2048, 32768, 512
# Rows with logits at a time. It is also what focal_jax chooses for so many features, but then for
# the whole batch.
CHUNK = 128
# With the bytes of a number.
DTYPES = {"float32": 4, "bfloat16": 2}

# How the devices of a slice, as its compiler counts them, are split over rows (data) and classes
# (model).
SLICES = {
    "tpu": {
        "v5e:2x2": (2, 2),
        "v5e:8x8": (16, 4),
        "v5e:16x16": (64, 4),
        "v5p:2x2x1": (2, 2),
        "v5p:4x4x4": (16, 4),
        "v6e:2x2": (2, 2),
        "v6e:8x8": (16, 4),
        "tpu7x:2x2x1": (4, 2),
        "tpu7x:4x4x4": (32, 4),
    },
    "gpu": {"H100:1x1x8": (2, 4), "H100:1x8x8": (16, 4), "H100:1x32x8": (64, 4)},
}
# A v7x has two devices on a chip. The two cores of a v5p are one device.
DEVICES_ON_A_CHIP = {"tpu7x": 2}
# Enough to see that 64 chips need what 4 do, and that a GPU is no other.
QUICK = ("v5e:2x2", "v5e:8x8", "H100:1x1x8")

# The numbers of a row that its devices have to combine: the largest logit, the sum of exponentials,
# and the target's logit; once for the value and once for the gradient, since a compiler need not
# see that they are the same.
NUMBERS, TIMES = 3, 2
# The loss, and what little else is one number for all.
SCALARS = 4
# How much more temporary memory one slice may take than another of the same devices.
GROWTH = 1.05

PER_CHIP, IN_ALL, GATHERED = "128 rows a device", "128 rows in all", "none, logits gathered"


@dataclass(frozen=True)
class Pod:
    """A slice and what is compiled for it. `chunk` is how many rows have logits at a time."""

    slice: str
    dtype: str
    chunk: str
    data: int
    model: int

    @property
    def kind(self) -> str:
        return self.slice.partition(":")[0]

    @property
    def devices(self) -> int:
        return self.data * self.model

    @property
    def chips(self) -> int:
        return self.devices // DEVICES_ON_A_CHIP.get(self.kind, 1)

    @property
    def name(self) -> str:
        return f"{self.slice}, {self.dtype}, chunk: {self.chunk}"

    @property
    def rows_a_step(self) -> int:
        """Of one device."""
        return CHUNK if self.chunk == PER_CHIP else CHUNK // self.data

    @property
    def is_ours(self) -> bool:
        return self.chunk != GATHERED


def pods(platform: str, quick: bool) -> Iterator[Pod]:
    """The slices of a platform; in a quick run a few of them, in one dtype. The broken program
    comes last."""
    slices = SLICES[platform]
    one_dtype = "bfloat16" if platform == "gpu" else "float32"
    for place, mesh in slices.items():
        if quick and place in QUICK:
            yield Pod(place, one_dtype, PER_CHIP, *mesh)
        elif not quick:
            for chunk, dtype in product((PER_CHIP, IN_ALL), DTYPES):
                yield Pod(place, dtype, chunk, *mesh)
    place, mesh = next(iter(slices.items()))
    yield Pod(place, "float32", GATHERED, *mesh)


def logits_bytes() -> int:
    """All logits of one device in float32."""
    return ROWS * CLASSES * FLOAT32


def row_bytes(pod: Pod) -> int:
    """What a device may receive besides the gradients: a few numbers of each row from each device
    that shares it."""
    return TIMES * NUMBERS * pod.model * ROWS * FLOAT32 + SCALARS * FLOAT32


def features_bytes() -> int:
    """The gradient of the features, which any layer with split classes adds up over them: once, in
    float32."""
    return ROWS * FEATURES * FLOAT32


def kernel_bytes() -> int:
    """The gradient of the kernel, which any layer with split rows adds up over them: once, in
    float32."""
    return FEATURES * CLASSES * FLOAT32


def temporaries(pod: Pod) -> int:
    """A chunk of logits and of their slope, both gradients before they are rounded, and the
    features by chunks."""
    chunk = pod.rows_a_step * CLASSES * FLOAT32
    features = ROWS * FEATURES * DTYPES[pod.dtype]
    return 2 * chunk + kernel_bytes() + features_bytes() + features
