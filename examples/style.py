"""The colours that all figures of the examples share."""

# Ordered by lightness for growing γ, so that the order survives greyscale print and every kind of colour vision.
GAMMA_COLOURS = {0.0: "#111111", 0.5: "#56269a", 1.0: "#b5367a", 2.0: "#f1605d", 5.0: "#f9a13f"}
