"""Why a port of a varifocal, heatmap or asymmetric loss fails."""
