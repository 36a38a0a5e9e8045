"""The tests, in folders by subject. They need the source tree, and are not in the wheel."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
