"""What the losses of detectors and taggers cost beside the sigmoid loss, or beside a textbook
formula: ratios of times that were measured in the same rounds, for value and gradient.

    python -m benchmarks.family              a table for people, in three minutes
    python -m benchmarks.family --markdown   the same for a page

Logits are those of a detector. The sigmoid loss has the soft targets of the quality loss, and hard
targets beside all others. The exit code is 1 where a bound is broken; but 0 with --markdown, which
makes a page, and with --quick, since nothing is required of small shapes.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

import focal_jax
import focal_torch
from parity_tests.contract.exact import Draws

from . import machine, options, report
from .peers import COMPILED, EAGER, JIT
from .table import Sheet
from .timing import paired, quartiles
from .work import Work

ELEMENTS, QUICK_ELEMENTS = 4_000_000, 4_000
WORDS = ("loss", "way", "beside")
HEADER = (*WORDS, "ratio", "quartiles", "at most")
# What a second power, a fall-off or a second case may cost. The formulas of others for the
# asymmetric loss have a power for each class.
BESIDE_SIGMOID, BESIDE_TEXTBOOK = 1.5, 0.8

# A loss of logits and targets, summed; or a function of logits.
Call = Callable[..., Any]


@dataclass(frozen=True)
class Subject:
    """A loss of either package, what it is held against, and the targets of both."""

    name: str
    ours: Callable[..., Any]
    peer_name: str
    peer: Callable[..., Any]
    targets: str
    peer_targets: str
    bound: float


def textbook_asymmetric(library: Any, sigmoid: Call, z: Any, y: Any) -> Any:
    """In the steps of timm, with γ₊ = 1, γ₋ = 4 and a shift of 0.05; jax.numpy and torch have the
    same names for them."""
    p = sigmoid(z)
    rest = library.clip(1 - p + 0.05, None, 1.0)
    of_1 = y * library.log(library.clip(p, 1e-8, None))
    of_0 = (1 - y) * library.log(library.clip(rest, 1e-8, None))
    p_t = p * y + rest * (1 - y)
    gamma = 1.0 * y + 4.0 * (1 - y)
    return -((of_1 + of_0) * (1 - p_t) ** gamma).sum()


def subjects(package: Any, library: Any, sigmoid_of: Call) -> Iterator[Subject]:
    sigmoid = partial(package.sigmoid_focal_loss, reduction="sum")
    quality = partial(sigmoid, soft_targets="quality")
    beside = partial(Subject, peer_name="sigmoid", peer=sigmoid, bound=BESIDE_SIGMOID)
    varifocal = partial(package.varifocal_loss, reduction="sum")
    heatmap = partial(package.heatmap_focal_loss, reduction="sum")
    asymmetric = partial(package.asymmetric_loss, reduction="sum")
    textbook = partial(textbook_asymmetric, library, sigmoid_of)
    yield beside("quality", quality, targets="soft", peer_targets="soft")
    yield beside("varifocal", varifocal, targets="overlap", peer_targets="hard")
    yield beside("heatmap", heatmap, targets="heatmap", peer_targets="hard")
    names = ("asymmetric", asymmetric, "textbook", textbook)
    yield Subject(*names, "float", "float", BESIDE_TEXTBOOK)


def data(elements: int) -> dict[str, np.ndarray]:
    """Logits of both signs, and one positive in ten."""
    draws = Draws(0)
    logits = 2 * draws.bell(elements).astype(np.float32)
    hard = (draws.integers(0, 10, elements) == 0).astype(np.int32)
    soft = draws.uniform(shape=elements).astype(np.float32)
    overlap, heatmap = np.where(hard, soft, np.float32(0)), np.where(hard, np.float32(1), soft)
    arrays = {"logits": logits, "hard": hard, "float": hard.astype(np.float32)}
    return arrays | {"soft": soft, "overlap": overlap, "heatmap": heatmap}


def works(subject: Subject, way: str, arrays: dict[str, np.ndarray]) -> tuple[Work, Work]:
    make = _in_jax if way == JIT else partial(_in_torch, compiled=way == COMPILED)
    ours = make("ours", subject.ours, arrays["logits"], arrays[subject.targets])
    peer = make("peer", subject.peer, arrays["logits"], arrays[subject.peer_targets])
    return ours, peer


def _in_jax(label: str, loss: Call, logits: np.ndarray, targets: np.ndarray) -> Work:
    z, y = jnp.asarray(logits), jnp.asarray(targets)
    function = jax.jit(jax.value_and_grad(loss))
    return Work(label, lambda: function(z, y), jax.block_until_ready)


def _in_torch(
    label: str, loss: Call, logits: np.ndarray, targets: np.ndarray, *, compiled: bool
) -> Work:
    z, y = torch.tensor(logits, requires_grad=True), torch.tensor(targets)
    function = torch.compile(loss, fullgraph=True) if compiled else loss

    def with_gradient() -> Any:
        value = function(z, y)
        return value, *torch.autograd.grad(value, z)

    return Work(label, with_gradient)


def cases() -> Iterator[tuple[Subject, str]]:
    for subject in subjects(focal_jax, jnp, jax.nn.sigmoid):
        yield subject, JIT
    for way in (EAGER, COMPILED):
        for subject in subjects(focal_torch, torch, torch.sigmoid):
            yield subject, way


def ratios(
    subject: Subject, way: str, arrays: dict[str, np.ndarray], budget: float, least: int
) -> tuple[float, float, float]:
    """The quartiles of the ratios of all rounds."""
    # PyTorch stops compiling at the eighth function of a name.
    torch.compiler.reset()
    pair = works(subject, way, arrays)
    for work in pair:
        work.time()
    seconds = paired(pair, budget, least)
    ours, peer = (seconds[label].to_numpy() for label in ("ours", "peer"))
    return quartiles(pd.Series(ours / peer))


def main(argv: list[str] | None = None) -> int:
    args = options.parser("benchmarks.family", __doc__, budget=8).parse_args(argv)
    machine.use_all_cores()
    budget, least = options.repetitions(args)
    arrays = data(QUICK_ELEMENTS if args.quick else ELEMENTS)
    rows: list[tuple[str, ...]] = []
    broken: list[str] = []
    for subject, way in tqdm(list(cases()), desc="family", disable=None):
        low, middle, high = ratios(subject, way, arrays, budget, least)
        cells = (f"{middle:.2f}", f"{low:.2f} to {high:.2f}", f"{subject.bound:.1f}")
        rows.append((subject.name, way, subject.peer_name, *cells))
        if middle > subject.bound:
            broken.append(f"{subject.name}, {way}: {middle:.2f}, allowed {subject.bound}")
    title = "Time of value and gradient, in units of another loss"
    report.show(machine.description(), [Sheet(title, HEADER, rows, WORDS)], args.markdown)
    for line in broken:
        print(line, file=sys.stderr)
    return int(bool(broken) and not (args.quick or args.markdown))


if __name__ == "__main__":
    sys.exit(main())
