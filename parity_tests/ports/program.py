"""A port in any language: a process that reads questions as lines of JSON, and answers each with a
line.

`protocol` has what the lines hold, `process` how they are carried.
"""

import shlex
from dataclasses import replace
from typing import Self

import numpy as np

from parity_tests.contract.problems import Problem

from . import questions
from .pipe import GRACE, Process
from .protocol import (
    PROTOCOL,
    Message,
    compact,
    handshake,
    one_line,
    parse_line,
    parse_results,
    question,
)
from .subject import (
    GRADIENT,
    SECOND,
    VALUE,
    BadPortError,
    Plan,
    PortError,
    RefusedError,
    along,
    logit_names,
)

SEE_PAGE = "see docs/protocol.md"
ORDERS = {VALUE: "loss", GRADIENT: "logits", SECOND: "logits logits"}


class ProcessPort:
    """A `Subject` that is a command, for use in a `with` statement, after which nothing of it is
    left running.

    `limit` is how many seconds it may take for its next line. Where it fails it is started anew for
    the next problem. `first_contact` changes `plan` if the port refuses alpha = null.
    """

    def __init__(self, command: str, plan: Plan, limit: float = 10.0) -> None:
        self.title = command
        self.plan = plan
        self.limit = limit
        self.arguments: list[str] = []
        self.results: list[str] = []
        self._process: Process | None = None
        self._dtype = ""
        # All orders of derivatives come with one answer, and what failed once is not asked again.
        self._known: dict[Problem, list[Message] | PortError] = {}

    def __enter__(self) -> Self:
        try:
            self._accept(self._begin(self.plan.dtype))
            self._demand_settings()
        except PortError as error:
            self._end()
            raise BadPortError(f"{self.title}: {error}") from None
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end(GRACE)

    def _begin(self, dtype: str) -> Message:
        """Start a new process for a dtype. What it answers to the handshake."""
        self._end(GRACE)
        self._process = self._launch()
        self._dtype = dtype
        line = compact(handshake(self.plan, dtype))
        offer = parse_line(next(self._process.ask([line])))
        if "error" in offer:
            raise RefusedError(f"{dtype}: {one_line(offer['error'])}")
        protocol = offer.get("protocol")
        if protocol != PROTOCOL:
            raise PortError(f"the port answers protocol {protocol!r}, not {PROTOCOL}: {SEE_PAGE}")
        return offer

    def _launch(self) -> Process:
        try:
            return Process(shlex.split(self.title), self.limit)
        except (OSError, ValueError, IndexError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadPortError(
                f"cannot start {self.title!r}: {reason}; give a program with its path, "
                "e.g. ./focal, or with what runs it, e.g. 'node focal.js'"
            ) from None

    def _accept(self, offer: Message) -> None:
        """Note what the port takes and gives, if that is what has to be there."""
        for name in ("arguments", "results"):
            if not isinstance(offer.get(name), list):
                raise PortError(f"its handshake has no list of {name}: {SEE_PAGE}")
        self.arguments = offer["arguments"]
        self.results = offer["results"]
        for name in ("logits", "targets"):
            if not self.takes(name):
                raise PortError(f"{name!r} is not in the arguments of its handshake: {SEE_PAGE}")
        if VALUE not in self.orders:
            raise PortError(f"'loss' is not in the results of its handshake: {SEE_PAGE}")

    def _demand_settings(self) -> None:
        """Each setting that matters is taken by the port or fixed by the user."""
        for argument in self.plan.record.arguments:
            name = argument.name
            if not argument.essential or self.takes(name) or name in self.plan.fixed:
                continue
            raise BadPortError(
                f"{self.title} takes no {name}; say which value it has, e.g. --set {name}="
                f"{argument.default}, or name it in the arguments of the handshake"
            )

    def _end(self, grace: float = 0.0) -> None:
        if self._process:
            self._process.stop(grace)
        self._process = None

    def takes(self, argument: str) -> bool:
        return argument in self.arguments

    @property
    def orders(self) -> tuple[int, ...]:
        return tuple(order for order, name in ORDERS.items() if name in self.results)

    def answer(self, problem: Problem, order: int) -> np.ndarray:
        names = logit_names(problem)
        answers = self._answers(problem)
        rows = [parse_results(answer, names, order, problem.dtype) for answer in answers]
        results = np.array(rows)
        if order == SECOND:
            with np.errstate(all="ignore"):
                results = results @ along(problem)
        return results.reshape(len(rows)) if names == ["logits"] else results

    def _answers(self, problem: Problem) -> list[Message]:
        if problem not in self._known:
            try:
                self._known[problem] = self._exchange(problem)
            except PortError as error:
                self._known[problem] = error
        known = self._known[problem]
        if isinstance(known, PortError):
            raise type(known)(*known.args)
        return known

    def _exchange(self, problem: Problem) -> list[Message]:
        """The answers to all samples of a problem. After a failure the process is out of step, and
        is ended."""
        try:
            if self._process is None or self._dtype != problem.dtype:
                self._begin(problem.dtype)
            assert self._process
            first = self._process.lines
            lines = []
            for row in range(len(problem.points)):
                sample = question(problem, row, self.plan, self.arguments)
                lines.append(compact({"id": first + row, **sample}))
            answers = []
            for number, line in enumerate(self._process.ask(lines), start=first):
                answers.append(_in_order(parse_line(line), number))
        except PortError:
            self._end()
            raise
        for answer in answers:
            if "error" in answer:
                raise RefusedError(one_line(answer["error"]))
        return answers

    def first_contact(self) -> Self:
        """Ask a few ordinary samples. Raise BadPortError, with what to do, if nothing can be
        learned from the port."""
        problem = questions.first(self.plan)
        try:
            losses, *_ = [self.answer(problem, order) for order in self.orders]
        except PortError as error:
            raise BadPortError(f"{self.title}: {error}") from None
        if np.isnan(losses).all():
            raise BadPortError(
                f"{self.title} returns NaN for every one of {len(losses)} ordinary logits: "
                "nothing to judge"
            )
        self._try_without_alpha(problem)
        return self

    def _try_without_alpha(self, problem: Problem) -> None:
        """Leave alpha = null out of the questions if the port refuses it."""
        plan = self.plan
        if plan.record.classes or "alpha" in plan.fixed or not self.takes("alpha"):
            return
        without = replace(problem, constants={**problem.constants, "alpha": None})
        try:
            self.answer(without, VALUE)
        except RefusedError:
            self.plan = replace(plan, without_alpha=False)
        except PortError:
            # A failure is a finding of the layers that ask the same.
            return


def _in_order(answer: Message, number: int) -> Message:
    if answer.get("id") == number:
        return answer
    came = f"answer {one_line(answer['id'])}" if "id" in answer else "an answer without id"
    raise PortError(
        f"{came} came where {number} was asked: answer in the order of the questions, one line each"
    )
