"""The exhaustive sweep: every float32 logit, both targets, several γ, value and gradient of a
sigmoid focal loss, or of another loss of single logits.

    focal-parity sweep focal_jax:sigmoid_focal_loss --framework jax
    focal-parity sweep focal_torch:sigmoid_focal_loss --framework torch --gamma 2 --jobs 4
    focal-parity sweep mypkg.losses:focal --framework torch --targets float32 --sample
    focal-parity sweep focal_jax:heatmap_focal_loss --framework jax --loss heatmap --gamma 2

The port is called as loss(logits, targets, alpha=0.25, gamma=γ) and returns one loss per logit. Of
the losses that `--loss` names, targets and arguments are in `members.py`. All 2^32 logits are
compared with a float64 twin, which the tests hold against the oracle. Blocks of logits that are
done are kept in a results file; the same command goes on from there. `--sample` takes 2^16
mantissas of every sign and exponent, and seconds: every γ is asked for all of them where |logit| is
from 2^-8 to 2^8, infinite or NaN; elsewhere the γ take turns, two of seven for most mantissas.

Errors are |result − truth| in units of eps·|truth|. Below the smallest normal number the unit stays
what it is there, and a result may be 0. The exit code is 1 where a tolerance is broken or NaN or
infinity is wrong, else 0. Rises of the loss between neighbouring logits are reported: within the
tolerance rounding may cause them.
"""

import argparse
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from tqdm import tqdm

from parity_tests.ports.contain import first_line
from parity_tests.ports.locate import locate
from parity_tests.ports.subject import BadPortError

from . import blocks, record, table
from .members import MEMBERS
from .record import VERSIONS, Cell, Settings, empty

DTYPES = ("int32", "float32", "bool")
GAMMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
# A block takes seconds. A pool never says that a worker is gone.
PATIENCE = 900


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    gammas = tuple(dict.fromkeys(options.gamma))
    labels = options.targets or ("int32" if options.loss == "sigmoid" else "float32")
    settings = Settings(
        options.target, options.framework, gammas, labels, options.sample, options.loss
    )
    try:
        _check_labels(settings)
        first_contact(settings)
        cells = sweep(settings, _results(options), options.jobs)
    except (BadPortError, OSError) as error:
        print(f"focal-parity sweep: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        message = "interrupted; with a results file the same command goes on"
        print(f"focal-parity sweep: {message}", file=sys.stderr)
        return 130
    if options.markdown:
        print(table.markdown(cells, settings.loss))
    else:
        table.show(cells, settings)
    broken = list(table.failures(cells, settings.loss))
    for line in broken:
        print(line)
    return 1 if broken else 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage before it."""
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    about, _, details = (__doc__ or "").partition("\n")
    parser = _Parser(
        "focal-parity sweep",
        None,
        about,
        details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("target", metavar="TARGET", help="the port, as MODULE:ATTRIBUTE")
    option("--framework", choices=tuple(VERSIONS), required=True)
    gammas = " ".join(f"{gamma:g}" for gamma in GAMMAS)
    gamma_help = f"default: {gammas}"
    option("--gamma", type=exponent, nargs="+", default=GAMMAS, metavar="G", help=gamma_help)
    option("--loss", choices=tuple(MEMBERS), default="sigmoid", help="default: %(default)s")
    dtypes_help = "their dtype, default int32 of the sigmoid loss, float32 of all others"
    option("--targets", choices=DTYPES, help=dtypes_help)
    option("--sample", action="store_true", help="a stratified sample instead of every logit")
    jobs_help = "processes, default %(default)s"
    option("--jobs", type=count, default=os.cpu_count(), metavar="N", help=jobs_help)
    results_help = "default: sweep-TARGET.jsonl, none for a sample"
    option("--results", type=Path, metavar="FILE", help=results_help)
    option("--markdown", action="store_true", help="print a Markdown table")
    return parser


def exponent(text: str) -> float:
    """γ as float32 has it: the rounding of γ is not the port's, and at |logit| 60 it costs several
    eps of the loss."""
    gamma = float(np.float32(text))
    if not 0 <= gamma < math.inf:
        raise argparse.ArgumentTypeError(f"γ is finite and at least 0, not {text}")
    return gamma


def count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"at least 1 process, not {text}")
    return int(text)


def _results(options: argparse.Namespace) -> Path | None:
    if options.results or options.sample:
        return options.results
    name = options.target.replace(":", ".")
    if options.loss != "sigmoid":
        name += f"-{options.loss}"
    return Path(f"sweep-{name}.jsonl")


def _check_labels(settings: Settings) -> None:
    """Refuse a dtype that rounds a target."""
    targets = np.array(MEMBERS[settings.loss].targets)
    if not np.array_equal(targets.astype(settings.labels), targets):
        written = " and ".join(f"{target:g}" for target in targets.tolist())
        raise BadPortError(
            f"{settings.labels} has not the targets {written} of {settings.loss}: leave out "
            "--targets, or give float32"
        )


def first_contact(settings: Settings) -> None:
    """Refuse a port that cannot be called, before it is called for 2^32 logits."""
    logits = np.array([0.5, -20, np.inf, np.nan], np.float32)
    member, gamma = MEMBERS[settings.loss], settings.gammas[0]
    labels = np.array([member.targets[i] for i in (1, 0, 1, 0)], settings.labels)
    locate(settings.target)
    try:
        results = blocks.evaluate(settings, gamma)(logits, labels)
    except (Exception, SystemExit) as error:
        raise BadPortError(
            f"{settings.target} raised {first_line(error)}; it was called as "
            f"loss(logits, targets, {_written(member.keywords(gamma))}) with {settings.framework} "
            f"arrays of float32 and {settings.labels}"
        ) from None
    for result in results:
        if (result.shape, result.dtype) != (logits.shape, logits.dtype):
            raise BadPortError(
                f"{settings.target} returned {result.dtype} of shape {result.shape} for float32 "
                f"of shape {logits.shape}: one float32 loss per logit is expected"
            )


def _written(keywords: Mapping[str, Any]) -> str:
    words = []
    for name, x in keywords.items():
        words.append(f"{name}={x:g}" if isinstance(x, float) else f"{name}={x!r}")
    return ", ".join(words)


def sweep(settings: Settings, path: Path | None, jobs: int) -> list[Cell]:
    """Every block that the results file does not have yet, then the sum of all."""
    done = record.recall(path, record.header(settings)) if path else {}
    todo = [block for block in range(settings.blocks) if block not in done]
    bar = tqdm(desc="sweep", total=settings.blocks, initial=len(done), unit="block", disable=None)
    with bar, closing(_measured(settings, todo, jobs)) as results:
        for block, cells in results:
            done[block] = cells
            if path:
                record.append(path, block, cells)
            bar.update()
    # In the order of the blocks, so that of equal errors the same one is reported in every run.
    totals = empty(settings)
    for block in sorted(done):
        for cell in done[block]:
            totals[cell.gamma, cell.target] += cell
    return list(totals.values())


def _measured(settings: Settings, todo: list[int], jobs: int) -> Generator[tuple[int, list[Cell]]]:
    if jobs == 1:
        yield from (_measure(settings, block) for block in todo)
        return
    # A pool that is left by an exception ends its workers at once.
    with multiprocessing.get_context("spawn").Pool(jobs, _start) as pool:
        results = pool.imap_unordered(partial(_measure, settings), todo)
        try:
            yield from (results.next(PATIENCE) for _ in todo)
        except multiprocessing.TimeoutError:
            message = f"no block was done in {PATIENCE} seconds"
            raise BadPortError(f"{message}: has a worker died for lack of memory?") from None


def _measure(settings: Settings, block: int) -> tuple[int, list[Cell]]:
    return block, blocks.measure(settings, block)


def _start() -> None:
    """Set a worker up: one thread, and an interrupt is its parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The number of threads that XLA takes. Its flags --xla_cpu_multi_thread_eigen and the like
    # leave it at two.
    os.environ["NPROC"] = "1"
