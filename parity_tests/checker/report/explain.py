"""`focal-parity list` and `focal-parity explain`: the contract for people."""

import argparse

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from parity_tests.checker.layers.check import LAYERS
from parity_tests.contract.records import ALIASES, RECORDS, REQUIRED, VERSION, Record
from parity_tests.ports.subject import BadPortError


def list_functions(arguments: argparse.Namespace) -> int:
    console = Console()
    table = Table(
        "function",
        "what it is",
        "arguments",
        "dtypes",
        title=f"contract {VERSION}",
        title_justify="left",
    )
    for record in RECORDS.values():
        names = ", ".join(argument.name for argument in record.arguments)
        table.add_row(record.name, record.summary, names, ", ".join(record.dtypes))
    console.print(table)
    for name, (function, conventions) in ALIASES.items():
        chosen = "".join(f", {key} = {choice}" for key, choice in conventions.items())
        console.print(f"{name}: {function} with settings as fields{chosen}", highlight=False)
    console.print(f"layers: names, {', '.join(LAYERS)}", highlight=False)
    return 0


def explain(arguments: argparse.Namespace) -> int:
    name = ALIASES.get(arguments.function, (arguments.function, {}))[0]
    if name not in RECORDS:
        raise BadPortError(
            f"there is no function {name!r}; there are {', '.join((*RECORDS, *ALIASES))}"
        )
    _explain(RECORDS[name], Console())
    return 0


def _explain(record: Record, console: Console) -> None:
    console.print(
        f"[bold]{record.name}[/] (contract {VERSION})\n{record.summary}\n", highlight=False
    )
    for formula in record.formulas:
        console.print(f"  {formula}", highlight=False, markup=False)
    arguments = Table("argument", "domain", "default", title="arguments", title_justify="left")
    for argument in record.arguments:
        arguments.add_row(
            argument.name,
            argument.domain,
            "" if argument.default is REQUIRED else repr(argument.default),
        )
    console.print(arguments)
    for name, convention in record.conventions.items():
        choices = Table(f"--convention {name}=", convention.question, title_justify="left")
        for number, (choice, says) in enumerate(convention.choices.items()):
            choices.add_row(choice if number else f"{choice} (default)", escape(says))
        console.print(choices)
    for kind in ("identities", "special", "errors"):
        console.print(
            f"{kind}: {', '.join(getattr(record, kind)).replace('_', ' ')}", highlight=False
        )
    console.print(f"source: {record.source}", highlight=False)
