"""Sums and maxima over the ranks of a group, where elements or classes are sharded."""

import math
from collections.abc import Iterable

from jax import Array, lax


class Group(tuple[str, ...]):
    """The ranks along axes of a mesh, by the names of the axes. Without a name, a rank is alone."""


ALONE = Group()


def sum_over(x: Array, group: Group) -> Array:
    return lax.psum(x, tuple(group)) if group else x


def max_over(x: Array, group: Group) -> Array:
    return lax.pmax(x, tuple(group)) if group else x


def rank(group: Group) -> int | Array:
    """The number of this rank in its group."""
    return lax.axis_index(tuple(group)) if group else 0


def size(group: Group) -> int:
    return math.prod(lax.psum(1, name) for name in group)


def group_of(args: Iterable[object]) -> Group:
    """The group among arguments, if there is one."""
    for x in args:
        if isinstance(x, Group):
            return x
    return ALONE
