"""The command `focal-parity`. Frameworks, mpmath and the rest are imported when a command needs
them."""

import argparse
import sys
from importlib import import_module, metadata
from typing import NoReturn

EPILOG = (
    "exit code: 0 the grade is reached, 1 it is not, 2 it could not be judged (one line says why)"
)

GIVE = (
    "the form of an argument: logits=NC (NCHW, NHWC, …), targets=one-hot, one-based or integer, "
    "alpha=array or pair, gamma=array (default: found out)"
)

COMMANDS = {
    "check": ("check_command", "check"),
    "vectors": ("report.files", "vectors"),
    "score": ("report.files", "score"),
    "list": ("report.explain", "list_functions"),
    "explain": ("report.explain", "explain"),
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class Version(argparse.Action):
    """Reads the versions when they are asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        contract = import_module("parity_tests.contract.records").VERSION
        parser.exit(0, f"focal-parity {metadata.version('focal-parity')}, contract {contract}\n")


def parser() -> Parser:
    top = Parser(prog="focal-parity", description="Is your focal loss right?", epilog=EPILOG)
    top.add_argument(
        "--version", action=Version, nargs=0, help="the versions of the package and of the contract"
    )
    commands = top.add_subparsers(dest="name", required=True, metavar="COMMAND")
    _check(commands.add_parser("check", help="judge a port, layer by layer", epilog=EPILOG))
    vectors = commands.add_parser("vectors", help="write the golden vectors as files")
    vectors.add_argument("--format", choices=("jsonl", "npz", "csv"), default="jsonl")
    vectors.add_argument(
        "--out", default="vectors", metavar="FOLDER", help="where to (default: vectors)"
    )
    score = commands.add_parser("score", help="score answers to the golden vectors, offline")
    score.add_argument(
        "results", help='JSON lines, each {"id": ..., "results": {"loss": ..., "logits": ...}}'
    )
    commands.add_parser("list", help="the functions of the contract, their conventions and layers")
    explain = commands.add_parser("explain", help="the definition of a function")
    explain.add_argument("function", metavar="NAME")
    # These two read their own arguments.
    audit = "judge the public implementations that are installed"
    commands.add_parser("audit", help=audit, add_help=False)
    commands.add_parser("sweep", help="every float32 logit", add_help=False)
    return top


def _check(check: argparse.ArgumentParser) -> None:
    what = check.add_argument_group("the port")
    what.add_argument(
        "port",
        nargs="?",
        metavar="MODULE:ATTRIBUTE",
        help="a function, a class whose objects are called, or a factory; of a file as "
        "FILE.py:ATTRIBUTE; or a file.onnx",
    )
    what.add_argument(
        "--command",
        metavar="PROGRAM",
        help="a port in any language, as a process (docs/protocol.md)",
    )
    what.add_argument(
        "--as", dest="function", metavar="NAME", help="what it is; see `focal-parity list`"
    )
    what.add_argument(
        "--framework",
        help="jax, torch, numpy, tensorflow or keras (default: what its module imports)",
    )
    _add_pairs(what, "--map", "OURS=THEIRS", "what the port calls an argument")
    _add_pairs(what, "--set", "NAME=VALUE", "judge for this value alone")
    _add_pairs(what, "--pass", "THEIRS=VALUE", "an extra argument", dest="extra")
    _add_pairs(what, "--give", "OURS=FORM", GIVE, dest="given")
    what.add_argument(
        "--result", default="", metavar="WHICH", help="the loss among several: its place or name"
    )
    what.add_argument(
        "--factory", action="store_true", help="the port returns the loss (default: found out)"
    )
    _add_pairs(what, "--convention", "NAME=CHOICE", "judge by this convention")
    what.add_argument("--input", choices=("logits", "probabilities"), default="logits")
    what.add_argument(
        "--gradient",
        metavar="MODULE:ATTRIBUTE",
        help="the gradient in the logits, same arguments (numpy), or an output (ONNX)",
    )
    what.add_argument("--values-only", action="store_true", help="the port has no gradients")
    what.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="for an answer (default: 10 of a --command, none in Python)",
    )
    how = check.add_argument_group("the check")
    how.add_argument(
        "--dtype",
        action="append",
        help="float32 (default), float64, bfloat16 or float16; may be repeated",
    )
    how.add_argument(
        "--grade",
        choices=("same", "safe", "exact", "complete"),
        help="what the port has to reach (default: safe); see focal-parity explain",
    )
    how.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="so many processes, each of which judges other layers (default: 1, for JAX 2)",
    )
    how.add_argument("--layer", action="append", help="only this layer; may be repeated")
    how.add_argument("--at", metavar="JSON", help="only this point, as a report gives it")
    how.add_argument("--xfails", metavar="FILE", help="layers that are expected to fail, strictly")
    out = check.add_argument_group("the report")
    for name in ("json", "junit", "html", "badge"):
        out.add_argument(f"--{name}", metavar="FILE")


def _add_pairs(
    group: argparse._ArgumentGroup, flag: str, metavar: str, text: str, dest: str | None = None
) -> None:
    group.add_argument(flag, dest=dest, action="append", default=[], metavar=metavar, help=text)


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] in (["audit"], ["sweep"]):
        return _run(f"{argv[0]}.command", "main", argv[1:])
    arguments = parser().parse_args(argv)
    module, function = COMMANDS[arguments.name]
    return _run(module, function, arguments)


def _run(module: str, function: str, arguments: object) -> int:
    try:
        from parity_tests.ports.subject import BadPortError

        command = getattr(import_module(f"parity_tests.checker.{module}"), function)
    except ModuleNotFoundError as error:
        return _failed(f"{error.name} is missing: pip install 'focal-parity[parity]'")
    try:
        return int(command(arguments))
    except BadPortError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return _failed("interrupted", code=130)
    except OSError as error:
        return _failed(f"cannot write or read {error.filename or 'a file'}: {error.strerror}")
    except Exception as error:
        lines = str(error).splitlines()
        text = lines[0] if lines else ""
        return _failed(
            f"{type(error).__name__}: {text}; that is a fault of focal-parity, "
            "please report it with this command"
        )


def _failed(message: str, code: int = 2) -> int:
    print(f"focal-parity: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
