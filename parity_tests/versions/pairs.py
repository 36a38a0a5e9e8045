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
    requirements = [*project["dependencies"], *extras["flax"], *extras["jax"], *extras["torch"]]
    bounds = {}
    for requirement in requirements:
        if match := re.fullmatch(r"(\w+)>=([\d.]+)", requirement):
            bounds[match[1]] = match[2]
    return {name: bounds[name] for name in FRAMEWORKS}


def oldest_python(pyproject: str) -> str:
    project = tomllib.loads(pyproject)["project"]
    return project["requires-python"].removeprefix(">=")


def newest_pythons(pyproject: str) -> tuple[str, ...]:
    """The versions of Python that pyproject.toml names, newest first."""
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', pyproject)
    return tuple(sorted(versions, key=release, reverse=True))


def release(version: str) -> tuple[int, ...]:
    """Numbers to compare: 2.4 is 2.4.0, and 2.13.0+cpu is 2.13.0."""
    public, _, _ = version.partition("+")
    numbers = [int(number) for number in re.findall(r"\d+", public)]
    return (*numbers, 0, 0, 0)[:3]


def pairs() -> dict[str, Pair]:
    pyproject = (ROOT / "pyproject.toml").read_text()
    constraints = (ROOT / "constraints.txt").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==(.*)$", constraints, re.M))
    python = (oldest_python(pyproject),)

    def exactly(versions: dict[str, str]) -> Pair:
        return Pair(python, {name: f"=={version}" for name, version in versions.items()})

    def between(numpy: str, jax: str, flax: str, torch: str) -> Pair:
        versions = (numpy, jax, flax, pinned["optax"], torch)
        return exactly(dict(zip(FRAMEWORKS, versions, strict=True)))

    return {
        "oldest": exactly(lower_bounds(pyproject)),
        "2.6": between(torch="2.6.0", jax="0.7.2", flax="0.12.0", numpy="2.0.2"),
        "2.8": between(torch="2.8.0", jax="0.8.3", flax="0.12.2", numpy="2.2.6"),
        "2.11": between(torch="2.11.0", jax="0.9.0", flax="0.12.3", numpy="2.3.5"),
        "pinned": exactly({name: pinned[name] for name in FRAMEWORKS}),
        "newest": Pair(newest_pythons(pyproject), dict.fromkeys(FRAMEWORKS, "")),
    }
