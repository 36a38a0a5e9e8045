"""What is asked of varifocal, heatmap and asymmetric losses alone."""
