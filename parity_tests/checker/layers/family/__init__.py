"""The layers in which a varifocal, heatmap or asymmetric loss is judged by itself. In others its
problems are judged as those of a focal loss."""

# All other layers say of these losses that they do not judge them.
JUDGED = (
    "values",
    "gradients",
    "second order",
    "special values",
    "options",
    "shapes",
    "dtypes",
)
