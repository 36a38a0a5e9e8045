"""The records of the losses around the focal loss: varifocal, heatmap and asymmetric.

`EVERY` has them beside `RECORDS`: all that the packages promise.
"""

from parity_tests.contract import family_grid

from .family_grid import BOTH, PEAKS
from .problems import Problem
from .records import MEAN, OPTIONS, RECORDS, Argument, Convention, Record

SPECIAL = ("limits", "nan_alone", "no_elements", "one_number")
ERRORS = ("column_targets", "longer_targets", "more_axes")
# Lines of golden vectors per file.
SAMPLES = 144

IGNORE = Argument("ignore_index", "None or an integer", None)
CONSTANT = Argument("constant_modulator", "bool", False)

MODULATOR = Convention(
    "Does a gradient in the logits flow through the modulating factor?",
    {
        "differentiated": "yes (mmdet, RT-DETR in Paddle, timm)",
        "constant": "no, it is a weight (RT-DETR in PyTorch, the authors' asymmetric loss)",
    },
)
POSITIVES = Convention(
    "What is a positive?",
    {
        "above_zero": "a target above 0 (mmdet)",
        "label": "what a mask of labels says, also with a target of 0 (RT-DETR)",
    },
)
POSITIVE_WEIGHT = Convention(
    "What is the weight of a positive?",
    {"target": "its target (VarifocalNet, iou_weighted)", "one": "1 (DEIM, Align-DETR)"},
)
OF_NEGATIVES = Convention(
    "Which class does α weight?",
    {
        "negative": "the negatives alone get α (VarifocalNet)",
        "both": "positives get α, negatives 1 − α (the focal loss)",
    },
)
PEAK = Convention(
    "What is a peak of a heatmap?",
    {
        "one": "a target of 1 (CornerNet, CenterNet)",
        "threshold": "a target of at least `peak` (Keras CV: .99)",
    },
)
OF_PEAKS = Convention(
    "Which class does α weight?",
    {
        "positive": "peaks get α, the rest 1 − α (CenterNet2); without α both get 1 (CornerNet)",
        "both": "both classes get α",
    },
)
DIVISOR = Convention(
    "What does mean_positive divide by?",
    {
        "targets": "the sum of the targets, or 1 if that is less (YOLO)",
        "positives": "the number of positives, or 1 (mmdet)",
    },
)
PEAKS_DIVIDE = Convention(
    "What does mean_positive divide by?",
    {
        "peaks": "the number of peaks, or 1 (CornerNet)",
        "objects": "the number of objects, also of two with one peak (CenterPoint)",
    },
)


def _varifocal_vectors(dtype: str) -> list[Problem]:
    return [problem() for problem in family_grid.named_varifocal(dtype).values()]


def _heatmap_vectors(dtype: str) -> list[Problem]:
    return [family_grid.heatmap(dtype, peak, balanced) for peak in PEAKS for balanced in BOTH]


def _asymmetric_vectors(dtype: str) -> list[Problem]:
    return [problem() for problem in family_grid.named_asymmetric(dtype).values()]


VARIFOCAL = Record(
    family=True,
    name="varifocal_loss",
    summary="The loss of IoU-aware scores: a weighted cross entropy of positives, a focal loss of "
    "negatives.",
    formulas=(
        "y > 0     = w·BCE,  w = y (iou_weighted) or 1     [eq. 2]",
        "y = 0     = α·p^γ·(−log q),  p = σ(z),  q = σ(−z);  α = None: 1     [eq. 2]",
        "∂/∂z      = w·((1 − y)·p − y·q);  α·p^γ·(γ·q·s + p),  s = softplus(z)",
        "constant  = α·p^γ·p with constant_modulator",
        "mean_positive = Σ / max(1, Σ y)",
    ),
    arguments=(
        Argument("logits", "floating, any shape"),
        Argument("targets", "in [0, 1], shape of logits"),
        Argument("alpha", "None or at least 0: the weight of negatives", 0.75, essential=True),
        Argument("gamma", "at least 0", 2.0, essential=True),
        Argument("iou_weighted", "bool", True),
        CONSTANT,
        IGNORE,
        *OPTIONS,
    ),
    conventions={
        "modulator": MODULATOR,
        "positives": POSITIVES,
        "positive_weight": POSITIVE_WEIGHT,
        "alpha": OF_NEGATIVES,
        "mean": MEAN,
        "mean_positive": DIVISOR,
    },
    grids={"varifocal, soft": family_grid.named_varifocal},
    vectors=_varifocal_vectors,
    identities=("cross_entropy", "falls_with_power", "positives_alike"),
    special=SPECIAL,
    errors=ERRORS,
    source="H. Zhang et al., VarifocalNet, arXiv:2008.13367, equation (2)",
    samples=SAMPLES,
)

HEATMAP = Record(
    family=True,
    name="heatmap_focal_loss",
    summary="The focal loss of heatmaps with Gaussian bumps around the peaks.",
    formulas=(
        "y ≥ peak  = α·q^γ·(−log p),  p = σ(z),  q = σ(−z)     [eq. 1]",
        "otherwise = (1 − α)·(1 − y)^β·p^γ·(−log q);  α = None: both weights 1     [eq. 1]",
        "∂/∂z      = −α·q^γ·(γ·p·s + q),  s = softplus(−z);  "
        "(1 − α)·(1 − y)^β·p^γ·(γ·q·s + p),  s = softplus(z)",
        "mean_positive = Σ / max(1, number of peaks)",
    ),
    arguments=(
        Argument("logits", "floating, any shape"),
        Argument("targets", "in [0, 1], shape of logits"),
        Argument("alpha", "None or in [0, 1]", None),
        Argument("gamma", "at least 0", 2.0, essential=True),
        Argument("beta", "at least 0", 4.0, essential=True),
        Argument("peak", "a number in (0, 1]", 1.0),
        IGNORE,
        *OPTIONS,
    ),
    conventions={
        "peak": PEAK,
        "alpha": OF_PEAKS,
        "mean": MEAN,
        "mean_positive": PEAKS_DIVIDE,
    },
    grids={"heatmap, soft": family_grid.named_heatmap},
    vectors=_heatmap_vectors,
    identities=("cross_entropy", "falls_with_power", "swapped_classes"),
    special=SPECIAL,
    errors=ERRORS,
    source="H. Law and J. Deng, CornerNet, arXiv:1808.01244, equation (1); X. Zhou et al., Objects "
    "as Points, arXiv:1904.07850, equation (1). Their α is this γ, their β this β",
    samples=SAMPLES,
)

ASYMMETRIC = Record(
    family=True,
    name="asymmetric_loss",
    summary="The multi-label loss with a γ for each class and shifted probabilities of negatives.",
    formulas=(
        "loss      = y·α·L₊ + (1 − y)·(1 − α)·L₋;  α = None: both weights 1",
        "L₊        = q^γ₊·(−log p),  p = σ(z),  q = σ(−z)",
        "L₋        = x^γ₋·(−log(1 − x)),  x = max(p − shift, 0)",
        "∂L₋/∂z    = p·q·x^γ₋·(−γ₋·log(1 − x)/x + 1/(1 − x)) above the shift, else 0",
        "constant  = −q^γ₊·q and p·q·x^γ₋/(1 − x) with constant_modulator",
        "mean_positive = Σ / max(1, Σ y)",
    ),
    arguments=(
        Argument("logits", "floating, any shape"),
        Argument("targets", "in [0, 1], shape of logits"),
        Argument("alpha", "None or in [0, 1]", None),
        Argument("gamma_positive", "at least 0", 1.0, essential=True),
        Argument("gamma_negative", "at least 0", 4.0, essential=True),
        Argument("shift", "a number in [0, 1)", 0.05, essential=True),
        CONSTANT,
        IGNORE,
        *OPTIONS,
    ),
    conventions={"modulator": MODULATOR, "mean": MEAN},
    grids={"asymmetric, soft": family_grid.named_asymmetric},
    vectors=_asymmetric_vectors,
    identities=(
        "cross_entropy",
        "falls_with_power",
        "falls_with_shift",
        "swapped_classes",
        "between_classes",
    ),
    special=SPECIAL,
    errors=ERRORS,
    source="T. Ridnik et al., Asymmetric Loss for Multi-Label Classification, arXiv:2009.14119",
    samples=SAMPLES,
)

# The choices beside the first that the checker judges, with what they are as settings.
JUDGED: dict[tuple[str, str], dict[str, bool]] = {
    ("modulator", "constant"): {"constant_modulator": True},
    ("positive_weight", "one"): {"iou_weighted": False},
    ("mean", "all"): {},
    ("mean_positive", "positives"): {},
}

FAMILY: dict[str, Record] = {record.name: record for record in (VARIFOCAL, HEATMAP, ASYMMETRIC)}
EVERY: dict[str, Record] = RECORDS | FAMILY
