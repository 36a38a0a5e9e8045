"""From the name of a port to the port."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .contain import contained
from .onnx_model import SUFFIX, OnnxModel
from .subject import BadPortError, PortError

SOURCE = ".py"


def locate(path: str) -> Any:
    """The object that `module:attribute` names, with the current folder on the path, or
    `file.py:attribute`, or the model in an ONNX file."""
    if path.endswith(SUFFIX):
        return OnnxModel.load(path)
    # Not at the colon of a drive.
    module_name, colon, attribute = path.rpartition(":")
    if not (module_name and colon and attribute):
        raise BadPortError(
            f"{path!r} does not name a port: write MODULE:ATTRIBUTE, e.g. mypkg.losses:focal, or "
            "FILE.py:ATTRIBUTE"
        )
    target: Any = _module(module_name)
    for name in attribute.split("."):
        if not hasattr(target, name):
            have = ", ".join(_public_callables(target)[:8]) or "nothing to call"
            raise BadPortError(f"{module_name} has no {attribute!r}; it has {have}")
        target = getattr(target, name)
    if not callable(target):
        raise BadPortError(
            f"{path} is a {type(target).__name__} and cannot be called: name a function or a class"
        )
    return target


def _module(name: str) -> ModuleType:
    """The module of that name, or in that file."""
    if name.endswith(SOURCE):
        folder, advice = str(Path(name).resolve().parent), "or name it as a module of its package"
    else:
        folder, advice = os.getcwd(), f"start where `import {name}` works, or install it"
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        with contained():
            return _in_file(Path(name)) if name.endswith(SOURCE) else importlib.import_module(name)
    except PortError as error:
        raise BadPortError(f"cannot import {name}: {error}; {advice}") from None


def _in_file(path: Path) -> ModuleType:
    """Under its path, since another module may be called as the file is."""
    name = str(path.resolve())
    spec = importlib.util.spec_from_file_location(name, name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _public_callables(owner: object) -> list[str]:
    public = [name for name in dir(owner) if not name.startswith("_")]
    return sorted(name for name in public if callable(getattr(owner, name)))
