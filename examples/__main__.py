"""The demonstration: a picture at once, then training in both frameworks, and both packages beside
the oracle."""

import subprocess
import sys
from pathlib import Path

STEPS = {
    "The loss and its gradient": ("examples.plot_focal_loss",),
    "Training in JAX": ("examples.training.train_jax", "--dtype", "float64"),
    "The same training in PyTorch": ("examples.training.train_torch", "--dtype", "float64"),
    "Both loss curves": ("examples.training.plot_training",),
    "The parity table": ("parity_tests.pages.parity_table",),
}


def main() -> None:
    for title, module in STEPS.items():
        print(f"\n{title}: python -m {' '.join(module)}", flush=True)
        subprocess.run([sys.executable, "-m", *module], check=True, timeout=1800)
    print("\nThe pictures:")
    for picture in ("training.png", "focal_loss.png"):
        print(" ", Path("out", picture).resolve())


if __name__ == "__main__":
    main()
