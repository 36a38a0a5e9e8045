"""What the code of docs/migration.md asks for: samples, one comparison, and peers that can be
imported.

Each block there calls what people come from and what replaces it; `migration_table.py` runs them
all.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from parity_tests.contract.exact import Draws

SEED = 1708
# Peers take 1 − p_t of a p that is rounded: with |logits| ≤ 2 and five classes 1 − p_t ≥ 0.068,
# which costs 3·eps·0.93/0.068 = 41 eps for each unit of γ, of which there are two; −log of a
# rounded p costs as much once.
LIMIT = 128 * float(np.finfo(np.float32).eps)
MMCV = ("mmcv", "mmcv.ops")
STAND_INS = (*MMCV, "mmdet.registry", "mmdet", "mmdet.models", "mmdet.models.losses")
differences: list[float] = []


def binary(*space: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits and targets of 0 and 1, float32, of 64 samples of five labels, or of maps."""
    draws, shape = Draws(SEED), (64, 5, *space)
    logits = draws.uniform(-2, 2, shape).astype(np.float32)
    targets = draws.integers(0, 2, shape).astype(np.float32)
    return logits, targets


def classes(*space: int, axis: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Logits of five classes on `axis`, and the ids of the true ones."""
    labels = Draws(SEED + 1).integers(0, 5, (64, *space))
    logits, _ = binary(*space)
    return np.moveaxis(logits, 1, axis).copy(), labels


def same(theirs: Any, ours: Any) -> None:
    """Raise unless both have one shape and every number is the same, to the roundings of
    `theirs`."""
    a = np.asarray(theirs, np.float64)
    b = np.asarray(ours, np.float64)
    if a.shape != b.shape:
        raise AssertionError(f"theirs has shape {a.shape}, ours {b.shape}")
    if not np.isfinite([a, b]).all():
        raise AssertionError("theirs or ours is not finite")
    scale = np.maximum(np.abs(a), np.abs(b))
    # Where both are 0, they are the same.
    scale = np.where(scale == 0, 1, scale)
    off = float(np.max(np.abs(a - b) / scale))
    if not off <= LIMIT:
        message = f"theirs and ours differ by {off:.2g}, more than {LIMIT:.2g}; seed {SEED}"
        raise AssertionError(message)
    differences.append(off)


def import_mmdet() -> None:
    """Its losses alone: the rest asks for the compiled operators of mmcv, which the index has for
    no PyTorch of today.

    On the CPU its FocalLoss is Python, and calls none of them.
    """
    if "mmdet" in sys.modules or find_spec("mmcv"):
        return
    spec = find_spec("mmdet")
    if spec is None:
        message = "No module named 'mmdet'. Install the extra: pip install '.[peers]'"
        raise ModuleNotFoundError(message, name="mmdet")
    stand_ins = {name: ModuleType(name) for name in STAND_INS}
    losses = stand_ins["mmdet.models.losses"]
    folders = spec.submodule_search_locations or ()
    losses.__path__ = [str(Path(folder, "models", "losses")) for folder in folders]
    stand_ins["mmcv.ops"].__dict__["sigmoid_focal_loss"] = None
    stand_ins["mmdet.registry"].__dict__["MODELS"] = _Registry
    sys.modules.update(stand_ins)
    try:
        losses.__dict__["FocalLoss"] = import_module("mmdet.models.losses.focal_loss").FocalLoss
    except BaseException:
        for name in stand_ins:
            del sys.modules[name]
        raise


class _Registry:
    @staticmethod
    def register_module() -> Any:
        return lambda kind: kind
