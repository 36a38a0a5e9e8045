"""Everything that the audit runs: this project, the public implementations, and formulas that are
read here."""

from .family import FAMILY
from .record import FORMULAS, LINEAR, SOFTMAX, WRAPPERS, Adapter
from .sigmoid import SIGMOID


def _own(label: str, path: str, framework: str) -> Adapter:
    return Adapter(
        label, path, "focal-parity", framework=framework, function=path.partition(":")[2]
    )


OWN = (
    _own("focal_jax sigmoid", "focal_jax:sigmoid_focal_loss", "jax"),
    _own("focal_torch sigmoid", "focal_torch:sigmoid_focal_loss", "torch"),
    _own("focal_jax softmax", "focal_jax:softmax_focal_loss", "jax"),
    _own("focal_torch softmax", "focal_torch:softmax_focal_loss", "torch"),
    _own("focal_jax linear", "focal_jax:linear_softmax_focal_loss", "jax"),
    _own("focal_torch linear", "focal_torch:linear_softmax_focal_loss", "torch"),
    _own("focal_jax varifocal", "focal_jax:varifocal_loss", "jax"),
    _own("focal_torch varifocal", "focal_torch:varifocal_loss", "torch"),
    _own("focal_jax heatmap", "focal_jax:heatmap_focal_loss", "jax"),
    _own("focal_torch heatmap", "focal_torch:heatmap_focal_loss", "torch"),
    _own("focal_jax asymmetric", "focal_jax:asymmetric_loss", "jax"),
    _own("focal_torch asymmetric", "focal_torch:asymmetric_loss", "torch"),
)

CLASSES = (
    Adapter(
        "kornia softmax",
        f"{WRAPPERS}:kornia_softmax",
        "kornia",
        "kornia.losses.focal_loss",
        function=SOFTMAX,
        fixed={"alpha": None},
    ),
    Adapter(
        "Keras categorical",
        f"{WRAPPERS}:keras_categorical",
        "keras",
        "keras.losses.categorical_focal_crossentropy",
        framework="jax",
        function=SOFTMAX,
        shapes=False,
        note="from_logits=True, one-hot labels; JAX as the backend",
    ),
    Adapter(
        "MONAI softmax",
        f"{WRAPPERS}:monai_softmax",
        "monai",
        "monai.losses.FocalLoss",
        function=SOFTMAX,
    ),
    Adapter(
        "pytorch-focalloss multi-class",
        "torch_focalloss:MultiClassFocalLoss",
        "pytorch-focalloss",
        function=SOFTMAX,
        # One weight per class.
        extra={"weight": None},
    ),
    Adapter(
        "imbalanced-losses softmax",
        "imbalanced_losses:SoftmaxFocalLoss",
        "imbalanced-losses",
        function=SOFTMAX,
    ),
    Adapter(
        "pytorch-toolbelt cross entropy",
        "pytorch_toolbelt.losses:CrossEntropyFocalLoss",
        "pytorch-toolbelt",
        function=SOFTMAX,
        conventions={"mean": "all"},
        torchvision=True,
        note="softmax modulators on one sigmoid cross entropy per class",
    ),
    Adapter(
        "focal-loss-torch multi-class",
        f"{WRAPPERS}:focal_loss_torch_softmax",
        "focal-loss-torch",
        "focal_loss.focal_loss.FocalLoss",
        function=SOFTMAX,
        note="given the softmax of the logits, as it asks for",
    ),
    Adapter(
        "PyTorch linear cross entropy",
        "torch.nn.functional:linear_cross_entropy",
        "torch",
        function=LINEAR,
        # One weight per class, by whose sum its mean divides.
        names={"alpha": "weight"},
        fixed={"gamma": 0.0},
        conventions={"mean": "weights"},
        note="a cross entropy: γ = 0",
    ),
)

READ = (
    Adapter("torchvision (formula)", f"{FORMULAS}:torchvision"),
    Adapter(
        "tutorial (formula)",
        f"{FORMULAS}:tutorial",
        conventions={"alpha": "negative", "soft_targets": "hard"},
        note="WeightedFocalLoss, before its mean",
    ),
    Adapter("mmdet (formula)", f"{FORMULAS}:mmdet"),
    Adapter(
        "TensorFlow Addons (formula)",
        f"{FORMULAS}:tensorflow_addons",
        fixed={"alpha": 0.25},
        note="judged at α = 0.25, as α = 0 switches α off",
    ),
    Adapter(
        "focal-loss (formula)",
        f"{FORMULAS}:artemmavrin",
        conventions={"alpha": "positive_only", "soft_targets": "hard"},
    ),
    Adapter(
        "scenic sigmoid (formula)",
        f"{FORMULAS}:scenic_sigmoid",
        framework="jax",
        conventions={"soft_targets": "exp_bce"},
    ),
    Adapter(
        "scenic softmax (formula)",
        f"{FORMULAS}:scenic_softmax",
        framework="jax",
        function=SOFTMAX,
        shapes=False,
    ),
    Adapter("clcarwin (formula)", f"{FORMULAS}:clcarwin", function=SOFTMAX, note="before its mean"),
)

ADAPTERS = (*OWN, *SIGMOID, *CLASSES, *READ, *FAMILY)
