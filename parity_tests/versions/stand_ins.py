"""Stand-ins for NVIDIA's libraries, so that a CUDA build of PyTorch can be imported on a machine
without them.

Older versions of PyTorch come as CUDA builds alone, and the libraries that those are linked to have
several gigabytes. Nothing calls them on a CPU, but the loader asks for each by its name and for
each function by name and version. So a compiler makes libraries of functions that return 0, and
one that says that there is no device.
"""

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

# What every process has, or a linker adds by itself.
OF_THE_SYSTEM = ("__gmon", "_ITM", "__cxa_finalize")
NO_DEVICE = "int cudaGetDeviceCount(int *n) { if (n) *n = 0; return 100; }\n"


class Symbols(NamedTuple):
    """What some libraries need and what they have: names of libraries, functions with their
    version ("" if they have none), and which library has a version."""

    needed: set[str]
    undefined: set[tuple[str, str]]
    defined: set[str]
    library_of: dict[str, str]


def make(libraries: Path) -> list[str]:
    """Put a stand-in for each library that is missing beside those of PyTorch; returns their
    names."""
    paths = sorted(libraries.glob("*.so*"))
    symbols = _read(paths)
    elsewhere = symbols.needed - {path.name for path in paths}
    missing = sorted(name for name in elsewhere if not _exists(name))
    for name, functions in _shares(symbols, missing).items():
        _compile(libraries / name, functions)
    return missing


def _exists(name: str) -> bool:
    """Whether the loader finds a library."""
    cache = _lines("/sbin/ldconfig", "-p")
    return any(line.split()[0] == name for line in cache if "=>" in line)


def _lines(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.splitlines()


def _read(libraries: list[Path]) -> Symbols:
    symbols = Symbols(set(), set(), set(), {})
    for path in libraries:
        _read_dependencies(path, symbols)
        for line in _lines("readelf", "--dyn-syms", "-W", str(path)):
            columns = line.split()
            if len(columns) < 8 or not columns[0].rstrip(":").isdigit():
                continue
            name, _, version = columns[7].replace("@@", "@").partition("@")
            if columns[6] == "UND":
                symbols.undefined.add((name, version))
            else:
                symbols.defined.add(name)
    return symbols


def _read_dependencies(path: Path, symbols: Symbols) -> None:
    """The libraries that one is linked to, and which of them has a version of its functions."""
    for line in _lines("readelf", "-dW", str(path)):
        if match := re.search(r"\(NEEDED\).*\[(.*)\]", line):
            symbols.needed.add(match[1])
    library = ""
    for line in _lines("readelf", "-VW", str(path)):
        if match := re.search(r"File: (\S+)", line):
            library = match[1]
        elif library and (match := re.search(r"Name: (\S+)", line)):
            symbols.library_of[match[1]] = library


def _shares(symbols: Symbols, missing: list[str]) -> dict[str, dict[str, list[str]]]:
    """The functions of each library that is missing, by version. Functions without one may be in
    any: the first has all of them."""
    shares: dict[str, dict[str, list[str]]] = {name: defaultdict(list) for name in missing}
    for name, version in sorted(symbols.undefined):
        # No version is "", which no library has.
        library = symbols.library_of.get(version, "")
        if library in shares:
            shares[library][version].append(name)
        elif missing and not version and _is_foreign(name, symbols):
            shares[missing[0]][""].append(name)
    return shares


def _is_foreign(name: str, symbols: Symbols) -> bool:
    """Whether a function without a version is none of PyTorch's, and a name in C."""
    is_name = re.fullmatch(r"\w+", name) is not None
    return is_name and name not in symbols.defined and not name.startswith(OF_THE_SYSTEM)


def _compile(path: Path, functions: dict[str, list[str]]) -> None:
    names = set().union(*functions.values()) - {"cudaGetDeviceCount"}
    code = NO_DEVICE
    for name in sorted(names):
        code += f"long {name}() {{ return 0; }}\n"
    script = ""
    for version, exports in functions.items():
        if version:
            script += f"{version} {{ global: {'; '.join(exports)}; }};\n"
    with TemporaryDirectory() as folder:
        source, exported = Path(folder, "stand_in.c"), Path(folder, "versions.map")
        source.write_text(code)
        exported.write_text(script)
        options = ["-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{path.name}"]
        if script:
            options.append(f"-Wl,--version-script={exported}")
        _lines("cc", *options, "-o", str(path), str(source))
