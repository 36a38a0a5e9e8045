"""Paired repetitions: all contenders of a group take turns, in a new random order in every round.

What slows the machine down for a while slows all of them down, so ratios are formed within a round.
A turn begins with calls that do not count: the worker threads of the other framework go on spinning
for some milliseconds after its turn, and the caches hold its arrays.
"""

import gc
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from .cases import FIRST_CALL, Group, data
from .peers import Contender
from .work import Device, Work, place, prepare, wall_clock

SEED = 20260731
# Short calls are repeated until a turn takes this many seconds, so that one interrupt and the
# clock's ticks vanish.
TURN = 0.02
LEAST, MOST = 3, 100
CPU = {"jax": Device(None, "", wall_clock), "torch": Device("cpu", "", wall_clock)}

Plan = Sequence[tuple[Group, Sequence[Contender]]]


def run(
    plan: Plan, budget: Callable[[Group], float], least: int, devices: Mapping[str, Device] = CPU
) -> pd.DataFrame:
    """The seconds of every turn: one row per case, mode, dtype, contender and round.

    The rounds of a group take as many seconds as it has in the budget, or as `least` of them take.
    """
    bar = tqdm(plan, desc="benchmarks", unit="group", disable=None)
    parts = [_measure(group, chosen, budget(group), least, devices) for group, chosen in bar]
    return pd.concat(parts, ignore_index=True)


def _measure(
    group: Group,
    chosen: Sequence[Contender],
    budget: float,
    least: int,
    devices: Mapping[str, Device],
) -> pd.DataFrame:
    # PyTorch would make code for any shape at the second one it sees, and stop compiling at the
    # eighth.
    torch._dynamo.reset()
    fitting = [work for work in works(group, chosen, devices) if _fits(work, group)]
    measure = unprepared if group.mode == FIRST_CALL else paired
    rounds = measure(fitting, budget, least).rename_axis("round")
    rows = rounds.melt(var_name="contender", value_name="seconds", ignore_index=False)
    return rows.reset_index().assign(case=group.case.name, mode=group.mode, dtype=group.dtype)


def of_group(times: pd.DataFrame, group: Group) -> pd.DataFrame:
    """The rows of one group."""
    case = times["case"] == group.case.name
    mode = times["mode"] == group.mode
    return times.loc[case & mode & (times["dtype"] == group.dtype)]


def works(group: Group, chosen: Sequence[Contender], devices: Mapping[str, Device]) -> list[Work]:
    """The contenders of a framework share their arrays."""
    arrays = data(group.case)

    @cache
    def placed(framework: str, name: str) -> Any:
        return place(arrays, group.dtype, framework, name, devices[framework])

    def work(contender: Contender) -> Work:
        framework = contender.framework
        logits = placed(framework, "logits")
        targets = placed(framework, contender.targets)
        return prepare(contender, group.mode, logits, targets, devices[framework])

    return [work(contender) for contender in chosen]


def _fits(work: Work, group: Group) -> bool:
    """Call it once, which also wakes the compilers up. Some keep a dozen arrays of the size of the
    logits."""
    try:
        work.time()
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        reason = "it needs more memory than there is"
        print(f"{group.name}: {work.label} is left out, {reason}", file=sys.stderr)
        return False
    return True


def paired(works: Sequence[Work], budget: float, least: int = LEAST) -> pd.DataFrame:
    """Seconds per call: one row per round, one column per work."""
    counts = [_repetitions(work) for work in works]
    return _rounds(works, lambda i: _turn(works[i], counts[i]), budget, least)


def _repetitions(work: Work) -> int:
    """As many as a turn takes. A short call is timed again, since the first may still have had to
    warm up."""
    once = work.time()
    if once > TURN:
        return 1
    return math.ceil(TURN / min(once, work.time()))


def _turn(work: Work, count: int) -> float:
    """A long call is not repeated, nor called twice to begin with: a pause lets the other threads
    come to rest."""
    if count == 1:
        time.sleep(TURN)
    else:
        work.time(count)
    return work.time(count)


def unprepared(works: Sequence[Work], budget: float, least: int = LEAST) -> pd.DataFrame:
    """The same for works whose every call is a first call: nothing is repeated within a round."""

    def turn(i: int) -> float:
        works[i].before()
        return works[i].time()

    return _rounds(works, turn, budget, least)


def _rounds(
    works: Sequence[Work], turn: Callable[[int], float], budget: float, least: int
) -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    rounds: list[list[float]] = []
    # A collection of garbage would count for whoever has its turn.
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter() + budget
        while len(rounds) < least or (len(rounds) < MOST and time.perf_counter() < end):
            order = rng.permutation(len(works)).tolist()
            seconds = {i: turn(i) for i in order}
            rounds.append([seconds[i] for i in range(len(works))])
    finally:
        gc.enable()
    labels = [work.label for work in works]
    return pd.DataFrame(rounds, columns=pd.Index(labels))


def quartiles(seconds: pd.Series) -> tuple[float, float, float]:
    low, middle, high = seconds.quantile([0.25, 0.5, 0.75])
    return low, middle, high
