"""`focal-parity list` and `focal-parity explain`: the contract for people."""

import argparse

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from parity_tests.checker.layers.check import LAYERS
from parity_tests.checker.layers.grades import GRADES
from parity_tests.contract.family_records import EVERY
from parity_tests.contract.records import ALIASES, DTYPES, REQUIRED, VERSION, Record
from parity_tests.ports.subject import BadPortError


def list_functions(arguments: argparse.Namespace) -> int:
    console = Console()
    table = Table(title=f"contract {VERSION}", title_justify="left")
    # A name is what has to be written after --as.
    table.add_column("function", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    table.add_column("arguments", min_width=_longest_argument())
    table.add_column("dtypes", min_width=max(map(len, DTYPES)) + 1)
    for record in EVERY.values():
        names = ", ".join(argument.name for argument in record.arguments)
        dtypes = ", ".join(record.dtypes)
        table.add_row(record.name, record.summary, names, dtypes)
    console.print(table)
    for name, (function, conventions) in ALIASES.items():
        choices = "".join(f", {key} = {choice}" for key, choice in conventions.items())
        console.print(f"{name}: {function} with settings as fields{choices}", highlight=False)
    console.print(f"layers: names, {', '.join(LAYERS)}", highlight=False)
    return 0


def _longest_argument() -> int:
    """The width of a name with its comma."""
    names = [argument.name for record in EVERY.values() for argument in record.arguments]
    return max(map(len, names)) + 1


def explain(arguments: argparse.Namespace) -> int:
    name, _ = ALIASES.get(arguments.function, (arguments.function, {}))
    if name not in EVERY:
        known = ", ".join((*EVERY, *ALIASES))
        raise BadPortError(f"there is no function {name!r}; there are {known}")
    _explain(EVERY[name], Console())
    return 0


def _explain(record: Record, console: Console) -> None:
    title = f"[bold]{record.name}[/] (contract {VERSION})"
    console.print(f"{title}\n{record.summary}\n", highlight=False)
    for formula in record.formulas:
        console.print(f"  {formula}", highlight=False, markup=False)
    console.print(_arguments(record))
    for name, convention in record.conventions.items():
        choices = Table(f"--convention {name}=", convention.question, title_justify="left")
        default = next(iter(convention.choices))
        for choice, meaning in convention.choices.items():
            label = f"{choice} (default)" if choice == default else choice
            choices.add_row(label, escape(meaning))
        console.print(choices)
    for name, meaning in GRADES.items():
        console.print(f"--grade {name}: {meaning}", highlight=False)
    for kind in ("identities", "special", "errors"):
        names = ", ".join(getattr(record, kind)).replace("_", " ")
        if names:
            console.print(f"{kind}: {names}", highlight=False)
    console.print(f"source: {record.source}", highlight=False)


def _arguments(record: Record) -> Table:
    table = Table("argument", "domain", "default", title="arguments", title_justify="left")
    for argument in record.arguments:
        default = "" if argument.default is REQUIRED else repr(argument.default)
        table.add_row(argument.name, argument.domain, default)
    return table
