"""Run the commands that the README's tables come from, and put their output where the README names them.

python -m parity_tests.make_readme
"""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
TABLE = re.compile(r"<!-- begin: (?P<command>.*?) -->\n(?P<text>.*?)<!-- end -->", re.S)


def tables(text: str) -> dict[str, str]:
    """Command -> the table that stands below it."""
    return {match["command"]: match["text"] for match in TABLE.finditer(text)}


def run(command: str) -> str:
    arguments = [sys.executable, "-m", *command.split()]
    output = subprocess.run(arguments, cwd=README.parent, capture_output=True, text=True, check=True, timeout=900)
    return output.stdout.strip("\n") + "\n"


def main() -> None:
    def fresh(match: re.Match[str]) -> str:
        return f"<!-- begin: {match['command']} -->\n{run(match['command'])}<!-- end -->"

    README.write_text(TABLE.sub(fresh, README.read_text()))


if __name__ == "__main__":
    main()
