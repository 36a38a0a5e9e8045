"""What an extra brings: the distributions that pip would install for it, read from what is
installed here."""

import json
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from parity_tests.tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = PROJECT["name"]


def closure(extras: Iterable[str]) -> set[str]:
    """The canonical names of the distributions that an environment has with these extras of this
    project."""
    queue = [(NAME, extra) for extra in ("", *extras)]
    seen: set[tuple[str, str]] = set()
    while queue:
        wanted = queue.pop()
        if wanted not in seen:
            seen.add(wanted)
            queue += _needed(*wanted)
    return {name for name, _ in seen}


def _needed(name: str, extra: str) -> Iterator[tuple[str, str]]:
    """The distributions that one of them requires here, each without and with its extras."""
    for requirement in map(Requirement, _requirements(name, extra)):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": extra}):
            for also in ("", *requirement.extras):
                yield canonicalize_name(requirement.name), also


def _requirements(name: str, extra: str) -> list[str]:
    # The project's own metadata is that of its last installation, and pyproject.toml may have
    # changed since.
    if name == NAME:
        groups = PROJECT["optional-dependencies"] | {"": PROJECT["dependencies"]}
        return groups[extra]
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        # Not installed here, so no program can use it either.
        return []


def write_allowed(extras: Iterable[str], path: Path) -> None:
    """Write what `hiding/sitecustomize.py` reads: the distributions of the extras, and the modules
    of all others."""
    allowed = closure(extras)
    hidden: list[str] = []
    for module, owners in metadata.packages_distributions().items():
        if allowed.isdisjoint(map(canonicalize_name, owners)):
            hidden.append(module)
    path.write_text(json.dumps({"distributions": sorted(allowed), "hidden": hidden}))
