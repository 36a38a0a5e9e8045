"""Which versions are run together: the oldest that pyproject.toml allows, the newest, and some
between."""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ("numpy", "jax", "flax", "optax", "torch")


class Pair(NamedTuple):
    """Versions of Python, newest first, and what pip is asked for."""

    pythons: tuple[str, ...]
    requirements: dict[str, str]


def lower_bounds(pyproject: str) -> dict[str, str]:
    """The oldest version of each framework that the text of pyproject.toml allows."""
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["flax"], *extras["jax"], *extras["torch"]]
    pairs = (re.fullmatch(r"(\w+)>=([\d.]+)", requirement) for requirement in asked)
    bounds = {match[1]: match[2] for match in pairs if match}
    return {name: bounds[name] for name in FRAMEWORKS}


def oldest_python(pyproject: str) -> str:
    return tomllib.loads(pyproject)["project"]["requires-python"].removeprefix(">=")


def newest_pythons(pyproject: str) -> tuple[str, ...]:
    """The versions of Python that pyproject.toml names, newest first."""
    found = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', pyproject)
    return tuple(sorted(found, key=release, reverse=True))


def release(version: str) -> tuple[int, ...]:
    """Numbers to compare: 2.4 is 2.4.0, and 2.13.0+cpu is 2.13.0."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0]))
    return (*numbers, 0, 0, 0)[:3]


def pairs() -> dict[str, Pair]:
    pyproject = (ROOT / "pyproject.toml").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==(.*)$", (ROOT / "constraints.txt").read_text(), re.M))
    python = (oldest_python(pyproject),)

    def exactly(versions: dict[str, str]) -> dict[str, str]:
        return {name: f"=={version}" for name, version in versions.items()}

    def between(torch: str, jax: str, flax: str, numpy: str) -> Pair:
        versions = {
            "numpy": numpy,
            "jax": jax,
            "flax": flax,
            "optax": pinned["optax"],
            "torch": torch,
        }
        return Pair(python, exactly(versions))

    return {
        "oldest": Pair(python, exactly(lower_bounds(pyproject))),
        "2.6": between("2.6.0", "0.7.2", "0.12.0", "2.0.2"),
        "2.8": between("2.8.0", "0.8.3", "0.12.2", "2.2.6"),
        "2.11": between("2.11.0", "0.9.0", "0.12.3", "2.3.5"),
        "pinned": Pair(python, exactly({name: pinned[name] for name in FRAMEWORKS})),
        "newest": Pair(newest_pythons(pyproject), dict.fromkeys(FRAMEWORKS, "")),
    }
