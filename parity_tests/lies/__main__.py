"""Tell every lie, or every n-th, and count those that the checker refuses.

python -m parity_tests.lies              all
python -m parity_tests.lies --every 20   a sample
"""

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tqdm import tqdm

from .lie import Lie, lies
from .trial import Answer, answer


def told(number: int) -> Answer:
    """The answer to the lie of that number."""
    return answer(ALL[number])


ALL: list[Lie] = list(lies())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="one of so many")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args(argv)
    numbers = range(0, len(ALL), arguments.every)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        answers = list(tqdm(pool.map(told, numbers, chunksize=8), total=len(numbers), disable=None))
    survivors: list[str] = []
    elsewhere: list[str] = []
    layers: Counter[str] = Counter()
    for number, given in zip(numbers, answers, strict=True):
        lie = ALL[number]
        layers[given.layer] += 1
        if not given.layer:
            survivors.append(lie.name)
        elif given.layer not in lie.layers:
            elsewhere.append(f"{lie.name}: by {given.layer}")
    print(f"{len(numbers)} lies, {len(numbers) - len(survivors)} refused: {dict(layers)}")
    for title, names in (("survived", survivors), ("refused by another layer", elsewhere)):
        for name in names:
            print(f"{title}: {name}")
    return 1 if survivors or elsewhere else 0


if __name__ == "__main__":
    sys.exit(main())
