"""The losses around the focal loss that the audit runs, and those that are read here."""

from .record import FORMULAS, WRAPPERS, Adapter

HEATMAP, VARIFOCAL = "heatmap_focal_loss", "varifocal_loss"
ASYMMETRIC = "asymmetric_loss"
READ = f"{FORMULAS}_of_family"

FAMILY = (
    Adapter(
        "timm asymmetric with clip",
        f"{WRAPPERS}:timm_asymmetric_with_clip",
        "timm",
        "timm.loss.AsymmetricLossMultiLabel",
        function=ASYMMETRIC,
        fixed={"alpha": None},
        torchvision=True,
        note="clip is the shift; soft targets interpolate the exponent",
    ),
    Adapter(
        "asymmetric loss of the authors (formula)",
        f"{READ}:asl",
        function=ASYMMETRIC,
        fixed={"alpha": None},
        conventions={"modulator": "constant"},
    ),
    Adapter(
        "CenterNet heatmap (formula)",
        f"{READ}:centernet",
        function=HEATMAP,
        fixed={"alpha": None, "gamma": 2.0, "beta": 4.0},
        note="before its sum",
    ),
    Adapter(
        "scenic heatmap (formula)",
        f"{READ}:scenic_heatmap",
        framework="jax",
        function=HEATMAP,
        note="before its sums",
    ),
    Adapter(
        "mmdet heatmap (formula)",
        f"{READ}:mmdet_gaussian",
        function=HEATMAP,
        names={"gamma": "alpha", "beta": "gamma"},
        fixed={"alpha": None},
        note="its alpha is γ, its gamma is β",
    ),
    Adapter("mmdet varifocal (formula)", f"{READ}:mmdet_varifocal", function=VARIFOCAL),
    Adapter(
        "RT-DETR varifocal (formula)",
        f"{READ}:rt_detr",
        function=VARIFOCAL,
        conventions={"modulator": "constant"},
    ),
    Adapter(
        "transformers IA-BCE (formula)",
        f"{READ}:transformers_ia_bce",
        function=VARIFOCAL,
        fixed={"alpha": None, "iou_weighted": False},
        note="LW-DETR and RF-DETR",
    ),
    Adapter(
        "mmdet quality (formula)",
        f"{READ}:mmdet_quality",
        fixed={"alpha": None},
        conventions={"soft_targets": "quality"},
    ),
)
