"""Plant every mutant, or every n-th, and count those that are noticed.

python -m parity_tests.mutants               all of them, in some hours; continues where it stopped
python -m parity_tests.mutants --every 10    a sample
python -m parity_tests.mutants --only focal_torch/_core/focal.py --only focal_jax/posterior.py
"""

import argparse
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from .equivalent import reason
from .mutant import Mutant, mutants, paths
from .table import table
from .trial import Outcome, controls, outcome, prepare


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="one of so many")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--only", action="append", help="a package or module: focal_jax, focal_jax/posterior.py"
    )
    parser.add_argument("--out", type=Path, default=Path("out/mutants.jsonl"))
    arguments = parser.parse_args(argv)
    only = tuple(arguments.only or ("",))
    every = [mutant for path in paths() if path.startswith(only) for mutant in mutants(path)]
    if not every:
        parser.error(f"argument --only: expected one of {', '.join(paths())}, got {only}")
    chosen = [m for m in every[:: arguments.every] if not reason(m)]
    same = controls(chosen)
    outcomes = _outcomes([*same, *chosen], arguments.out, arguments.jobs)
    for control in same:
        if outcomes[control.identity].killer:
            place = outcomes[control.identity].place
            print(f"{control.path} as it is does not pass, so that nothing is said: {place}")
            return 2
    print(table(every[:: arguments.every], outcomes))
    survivors = [m for m in chosen if not outcomes[m.identity].killer]
    for mutant in survivors:
        print(f"survived: {mutant.name}: {mutant.lines()}")
    return 1 if survivors else 0


def _outcomes(chosen: list[Mutant], out: Path, jobs: int) -> dict[str, Outcome]:
    """Those of an earlier run, and of now."""
    outcomes = _read(out)
    left = [mutant for mutant in chosen if mutant.identity not in outcomes]
    if not left:
        return outcomes
    out.parent.mkdir(parents=True, exist_ok=True)
    prepare()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool, out.open("a") as file:
        waiting = {pool.submit(outcome, mutant): mutant for mutant in left}
        for future in tqdm(as_completed(waiting), total=len(left), disable=None):
            mutant = waiting[future]
            outcomes[mutant.identity] = future.result()
            line = [mutant.identity, *outcomes[mutant.identity]]
            print(json.dumps(line, ensure_ascii=False), file=file, flush=True)
    return outcomes


def _read(out: Path) -> dict[str, Outcome]:
    if not out.exists():
        return {}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {identity: Outcome(*outcome) for identity, *outcome in lines}


if __name__ == "__main__":
    sys.exit(main())
