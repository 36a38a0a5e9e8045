"""Hides installed packages from a process and from those that it starts, as if they had not been
installed.

Python imports a module of this name when it starts, from the folder that `extras.hidden` puts on
the path. What is hidden is not found, so that an import fails and a search for a module finds none,
as in an environment without it.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType

ALLOWED = json.loads(Path(os.environ["FOCAL_PARITY_ALLOWED"]).read_text())
DISTRIBUTIONS = set(ALLOWED["distributions"])
HIDDEN = set(ALLOWED["hidden"])


class AllowedFinder:
    """`PathFinder`, without the top-level modules and the metadata of what is hidden."""

    invalidate_caches = PathFinder.invalidate_caches

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in HIDDEN:
            return None
        return PathFinder.find_spec(name, path, target)

    @staticmethod
    def find_distributions(context: DistributionFinder.Context) -> Iterator[Distribution]:
        for distribution in PathFinder.find_distributions(context):
            canonical = re.sub(r"[-_.]+", "-", distribution.name).lower()
            if canonical in DISTRIBUTIONS:
                yield distribution


place = sys.meta_path.index(PathFinder)
sys.meta_path[place] = AllowedFinder
