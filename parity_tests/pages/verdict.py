"""What `focal-parity check` says of the formula that most libraries have, shortened: the command,
why the formula fails, and the grade.

    python -m parity_tests.pages.verdict    as docs/index.md and the README have it

The formula is torchvision's, in float32.
"""

import os
import subprocess
import sys

PORT = "parity_tests/checker/audit/formulas.py:torchvision"
ARGUMENTS = ("check", PORT, "--framework", "torch", "--as", "sigmoid_focal_loss")
# The beginnings of the lines that stay.
SAYS = ("→", "PASS", "FAIL")


def output() -> str:
    """What the command prints, in lines as long as they have to be."""
    command = [sys.executable, "-m", "parity_tests.checker.cli", *ARGUMENTS]
    env = {**os.environ, "COLUMNS": "1000"}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, timeout=600)
    # 0 and 1 are verdicts.
    if done.returncode not in (0, 1):
        raise subprocess.CalledProcessError(done.returncode, command)
    return done.stdout


def shortened(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.startswith(SAYS)]
    return "\n".join(["```text", f"$ focal-parity {' '.join(ARGUMENTS)}", "…", *lines, "```"])


if __name__ == "__main__":
    print(shortened(output()))
