"""The contract as data: one record per function, from which tests, vectors, report rows and
explanations are made.

A record names the arguments with their domains, the conventions in which honest implementations
differ, the closed forms, and the grids on which the truth is known. `suite`, `make_vectors`,
`table` and the checker go through `RECORDS`, so a new record is tested, written, checked and
explained without another line.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from . import family_grid, grid
from .problems import Problem

# From a dtype to problems by name, each made when it is called for.
Grid = Callable[[str], dict[str, Callable[[], Problem]]]

VERSION = "2026.11"
DTYPES = ("float32", "float64", "bfloat16", "float16")
REQUIRED = object()


@dataclass(frozen=True)
class Argument:
    """One argument. A port that lacks an `essential` one must say which value it has fixed."""

    name: str
    domain: str
    default: Any = REQUIRED
    essential: bool = False


@dataclass(frozen=True)
class Convention:
    """A choice that implementations make differently; the first one is the contract's."""

    question: str
    choices: Mapping[str, str]


@dataclass(frozen=True)
class Record:
    name: str
    summary: str
    formulas: tuple[str, ...]
    arguments: tuple[Argument, ...]
    conventions: Mapping[str, Convention]
    # Label of a row in the tables -> the problems of a dtype, by name: full derivatives in all
    # arguments.
    grids: Mapping[str, Grid]
    vectors: Callable[[str], list[Problem]]
    identities: tuple[str, ...]
    special: tuple[str, ...]
    errors: tuple[str, ...]
    source: str
    dtypes: tuple[str, ...] = DTYPES
    classes: bool = False
    # What a loss of a linear layer is where the kernel is the identity, and the bias 0.
    of_logits: str = ""
    # A relative of the focal loss, whose targets may be soft in every layer.
    family: bool = False
    # Lines of golden vectors per file.
    samples: int = 320

    @property
    def asked_as(self) -> str:
        """The loss of logits that most questions are about."""
        return self.of_logits or self.name

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the arguments that every port takes, the first of them that of logits."""
        needed = [argument for argument in self.arguments if argument.default is REQUIRED]
        return tuple(argument.name for argument in needed)

    def argument(self, name: str) -> Argument | None:
        for argument in self.arguments:
            if argument.name == name:
                return argument
        return None

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the arguments that may be left out."""
        optional = [argument for argument in self.arguments if argument.default is not REQUIRED]
        return tuple(argument.name for argument in optional)


LIN = "T.-Y. Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002"
OPTIONS = (
    Argument("weight", "real, shape of the unreduced loss", None),
    Argument("where", "bool, shape of the unreduced loss", None),
    Argument("reduction", "none, sum, mean or mean_positive", "none"),
)

MEAN = Convention(
    "What does mean divide by?",
    {
        "kept": "the elements that where and ignore_index keep",
        "all": "all elements, the ignored ones included",
        "weights": "the sum of the weights",
    },
)
ALPHA = Convention(
    "Which class does α weight?",
    {
        "positive": "class 1 gets α, class 0 gets 1 − α (paper)",
        "negative": "class 1 gets 1 − α, class 0 gets α (tutorial)",
        "positive_only": "class 1 gets α, class 0 gets 1 (pos_weight)",
        "both": "both classes get α",
    },
)
SOFT_TARGETS = Convention(
    "What is the loss of a target between 0 and 1?",
    {
        "interpolate": "(1 − p_t)^γ·BCE with p_t = y·p + (1 − y)·q (optax, torchvision, Keras)",
        "mixture": "y·f(z) + (1 − y)·f(−z) (kornia)",
        "margin": "σ(−z·(2y − 1))^γ·BCE (MONAI)",
        "exp_bce": "(1 − exp(−BCE))^γ·BCE (segmentation-models-pytorch, catalyst)",
        "quality": "|y − p|^γ·BCE (quality focal loss)",
        "legacy": "exp(−γ·y·z − γ·softplus(−z))·BCE (effdet)",
        "hard": "only targets of 0 and 1 are defined",
    },
)
FORM = Convention(
    "Which of the paper's two forms?",
    {
        "FL": "(1 − p_t)^γ·BCE [eq. 5]",
        "FL*": "softplus(−(γ·u + β))/γ [eq. 9, 10]; give β by --set beta=1",
    },
)


KERNEL = Convention(
    "Which layout has the kernel?",
    {
        "framework": "(D, C), as in Flax and Keras; in PyTorch (C, D), as torch.nn.Linear.weight",
        "inputs_first": "(D, C)",
        "classes_first": "(C, D)",
    },
)


def _sigmoid_vectors(dtype: str) -> list[Problem]:
    cases = product(("interpolate", "mixture"), (None, 0.25))
    problems = [grid.sigmoid_soft(dtype, rule, alpha) for rule, alpha in cases]
    return problems + [family_grid.quality(dtype, balanced) for balanced in family_grid.BOTH]


def _softmax_vectors(dtype: str) -> list[Problem]:
    return [grid.softmax_soft(dtype, classes) for classes in (1, 2, 3)]


SIGMOID = Record(
    name="sigmoid_focal_loss",
    summary="The binary focal loss of logits, element by element.",
    formulas=(
        "loss      = α_t·(1 − p_t)^γ·BCE,  p_t = y·p + (1 − y)·q,  "
        "p = σ(z),  q = σ(−z)     [eq. 5]",
        "α_t       = y·α + (1 − y)·(1 − α);  α = None: 1",
        "hard      = α_t·f(u),  u = ±z,  f(u) = σ(−u)^γ·softplus(−u)",
        "∂f/∂u     = −q^γ·(γ·p·s + q),  p = σ(u), q = σ(−u), s = softplus(−u)",
        "∂²f/∂u²   = q^γ·p·(γ²·p·s − γ·q·s + (2γ + 1)·q)",
        "∂f/∂γ     = −softplus(u)·f",
        "mixture   = y·α·f(z) + (1 − y)·(1 − α)·f(−z)",
        "quality   = α_t·|y − p|^γ·BCE; at p = y it is 0 with its gradient",
    ),
    arguments=(
        Argument("logits", "floating, any shape"),
        Argument("targets", "in [0, 1], shape of logits"),
        Argument("alpha", "None or in [0, 1]", 0.25, essential=True),
        Argument("gamma", "at least 0", 2.0, essential=True),
        Argument("soft_targets", "interpolate, mixture or quality", "interpolate"),
        Argument("ignore_index", "None or an integer", None),
        *OPTIONS,
    ),
    conventions={"alpha": ALPHA, "soft_targets": SOFT_TARGETS, "mean": MEAN, "form": FORM},
    grids={
        "sigmoid, hard": grid.named_sigmoid_hard,
        "sigmoid, soft": partial(grid.named_sigmoid_soft, soft_targets="interpolate"),
        "sigmoid, mixture": partial(grid.named_sigmoid_soft, soft_targets="mixture"),
        "sigmoid, quality": family_grid.named_quality,
    },
    vectors=_sigmoid_vectors,
    identities=(
        "gamma_zero",
        "swapped_classes",
        "below_cross_entropy",
        "falls_with_gamma",
        "falls_with_margin",
    ),
    special=("infinite_right", "infinite_wrong", "nan_stays", "empty", "scalar", "nothing_is_kept"),
    errors=("column_targets", "longer_targets", "more_axes"),
    source=f"{LIN}, equations (4), (5), (9), (10); quality: X. Li et al., Generalized Focal Loss, "
    "arXiv:2006.04388",
    samples=480,
)

SOFTMAX = Record(
    name="softmax_focal_loss",
    summary="The multi-class focal loss of class ids or class probabilities.",
    formulas=(
        "loss      = α_t·f(u_t),  u_t = z_t − log Σ_{j≠t} exp(z_j),  1 − p_t = σ(−u_t)",
        "f(u)      = σ(−u)^γ·softplus(−u)",
        "soft      = Σ_c y_c·α_c·f(u_c) for class probabilities y",
        "smoothing = the same for (1 − ε)·onehot(t) + ε/C",
        "∂f/∂u     = −q^γ·(γ·p·s + q);  ∂u_t/∂z_t = 1,  ∂u_t/∂z_j = −softmax of z without class t",
    ),
    arguments=(
        Argument("logits", "floating, at least one axis, the classes on `axis`"),
        Argument(
            "targets", "class ids without the class axis, or probabilities in the shape of logits"
        ),
        Argument("alpha", "None or one weight of at least 0 per class", None),
        Argument("gamma", "at least 0", 2.0, essential=True),
        Argument("axis", "the class axis", -1),
        Argument("label_smoothing", "in [0, 1]", 0.0),
        Argument("ignore_index", "None or an integer", None),
        *OPTIONS,
    ),
    conventions={"mean": MEAN},
    grids={"softmax, ids": grid.named_softmax_hard, "softmax, soft": grid.named_softmax_soft},
    vectors=_softmax_vectors,
    identities=("shifted_logits", "permuted_classes", "two_classes", "falls_with_gamma"),
    special=(
        "infinite_right",
        "infinite_wrong",
        "wrong_by_60",
        "one_class",
        "nan_stays",
        "empty",
        "nothing_is_kept",
    ),
    errors=("column_targets", "longer_targets", "more_axes"),
    source=f"{LIN}, section 3 and appendix B, for a softmax",
    classes=True,
)

LINEAR = Record(
    name="linear_softmax_focal_loss",
    summary="The softmax focal loss of a linear layer, from its features and its kernel.",
    formulas=(
        "loss      = the softmax focal loss of z = features·kernel + bias",
        "softcap   = the same of c·tanh(z / c)",
        "z_loss    = factor·(log Σ_c exp(z_c))², of the capped z, is added to the loss of each row",
        "∂/∂features = ∂/∂z·kernelᵀ;  ∂/∂kernel = featuresᵀ·∂/∂z;  ∂/∂bias = Σ_rows ∂/∂z",
        "A row that is left out is in none of them. With kernel = identity and bias = 0 it is "
        "softmax_focal_loss, as which most layers judge it.",
    ),
    arguments=(
        Argument("features", "floating, the last axis of length D"),
        Argument("kernel", "floating, D times C numbers"),
        Argument("targets", "class ids, in the shape of features without its last axis"),
        Argument("bias", "None or one number per class", None),
        Argument("alpha", "None or one weight of at least 0 per class", None),
        Argument("gamma", "at least 0", 2.0, essential=True),
        Argument("softcap", "None or above 0", None),
        Argument("label_smoothing", "in [0, 1]", 0.0),
        Argument("z_loss", "at least 0", 0.0),
        Argument("ignore_index", "None or an integer", None),
        *OPTIONS[:2],
        Argument("reduction", "none, sum, mean or mean_positive", "mean"),
        Argument("chunk_size", "None or how many rows have logits at a time", None),
    ),
    conventions={"mean": MEAN, "kernel": KERNEL},
    # That of the logits is the softmax's. `vectors` has batches.
    grids={},
    vectors=grid.linear,
    identities=SOFTMAX.identities,
    special=("wrong_by_60", "one_class", "nan_stays", "empty", "nothing_is_kept"),
    errors=SOFTMAX.errors,
    source=f"{LIN}; logits in chunks: P.-L. Hsu et al., Liger Kernel, arXiv:2410.10989",
    classes=True,
    of_logits=SOFTMAX.name,
)

RECORDS: dict[str, Record] = {record.name: record for record in (SIGMOID, SOFTMAX, LINEAR)}

# The classes of the packages are their functions with settings as fields; one has other
# conventions.
ALIASES: dict[str, tuple[str, dict[str, str]]] = {
    "SigmoidFocalLoss": ("sigmoid_focal_loss", {}),
    "SoftmaxFocalLoss": ("softmax_focal_loss", {}),
    "LinearSoftmaxFocalLoss": ("linear_softmax_focal_loss", {}),
    "WeightedFocalLoss": ("sigmoid_focal_loss", {"alpha": "negative", "soft_targets": "hard"}),
}
