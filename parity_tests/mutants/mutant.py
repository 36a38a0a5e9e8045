"""A mutant: one operator, number or condition of a module that is another one.

The changes are those of Cosmic Ray, but for the many that say the same of arithmetic: of `*` there
is `/` and of `+` there is `-`, not each of the ten other operators, most of which raise an error.
"""

import re
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).parents[2]
# What computes: formulas, their derivatives, reductions, ranges and recipes.
ARITHMETIC = ("_core/*.py", "_base/reduction.py", "_base/ranges.py")
ARITHMETIC += ("hyperparameters.py", "posterior.py")

LEFT_OUT = re.compile(
    "core/("
    # Of types, `X | Y`; masks have `&` and `~`, of which the others are errors.
    "ReplaceBinaryOperator_(BitOr|BitAnd)_.*"
    "|ReplaceBinaryOperator_.*_(FloorDiv|Mod|Pow|RShift|LShift|BitOr|BitAnd|BitXor)"
    "|ReplaceBinaryOperator_(Mul|Div)_(Add|Sub)"
    "|ReplaceBinaryOperator_(Add|Sub)_(Mul|Div)"
    "|ReplaceUnaryOperator_USub_.*|ReplaceUnaryOperator_(Delete_)?Invert.*"
    # A comparison becomes its neighbour and its mirror image.
    "|ReplaceComparisonOperator_.*_(Is|IsNot|Eq)"
    "|ReplaceComparisonOperator_(Lt|LtE|Gt|GtE)_NotEq"
    "|ReplaceComparisonOperator_(Eq|NotEq|Is|IsNot)_(Lt|LtE|Gt|GtE)"
    "|ReplaceComparisonOperator_(Lt_GtE|LtE_Gt|Gt_LtE|GtE_Lt)"
    "|RemoveDecorator|ExceptionReplacer"
    ")"
)


class Mutant(NamedTuple):
    """One change of one module, or none, where there is no operator."""

    path: str
    operator: str
    occurrence: int
    line: int
    definition: str

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").replace("/", ".")

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @property
    def file(self) -> str:
        return self.path.split("/")[-1]

    @property
    def name(self) -> str:
        operator = self.operator.removeprefix("core/")
        return f"{self.path}:{self.line} {self.definition}: {operator} {self.occurrence}"

    @property
    def identity(self) -> str:
        """Another one when its module changes."""
        return f"{self.name} of {zlib.crc32(original(self.path).encode()):08x}"

    def source(self) -> str:
        """The module with the change."""
        if not self.operator:
            return original(self.path)
        operator = plugins.get_operator(self.operator)()
        changed = mutate_code(original(self.path), operator, self.occurrence)
        assert changed is not None, f"{self.name} changes nothing"
        return changed

    def lines(self) -> str:
        """The lines that differ, before and after."""
        before = original(self.path).splitlines()
        after = self.source().splitlines()
        differing = [pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]]
        if not differing:
            return ""
        old, new = differing[0]
        return f"{old.strip()}  →  {new.strip()}"


def unchanged(path: str, killer: str) -> Mutant:
    """The module as it is, for one of those that notice mutants."""
    return Mutant(path, "", 0, 0, f"unchanged, for the {killer}")


@cache
def original(path: str) -> str:
    return (ROOT / path).read_text()


def paths() -> list[str]:
    """The modules of both packages that compute."""
    found: list[Path] = []
    for package in ("focal_jax", "focal_torch"):
        for pattern in ARITHMETIC:
            found += (ROOT / package).glob(pattern)
    return sorted(str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py")


def mutants(path: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    tree = get_ast(original(path))
    for name in plugins.operator_names():
        operator_class = plugins.get_operator(name)
        if LEFT_OUT.fullmatch(name) or operator_class.arguments():
            continue
        occurrence = 0
        for node in ast_nodes(tree):
            for start, _ in operator_class().mutation_positions(node):
                definition = ASTQuery(node).get_definition_name() or "module"
                # The star of a signature is no product.
                if node.parent.type != "parameters":
                    yield Mutant(path, name, occurrence, start[0], definition)
                occurrence += 1
