"""From the name of a port to the port."""

import importlib
import os
import sys
from typing import Any

from .contain import contained
from .onnx_model import SUFFIX, OnnxModel
from .subject import BadPortError, PortError


def locate(path: str) -> Any:
    """The object that `module:attribute` names, with the current folder on the path, or the model
    in an ONNX file."""
    if path.endswith(SUFFIX):
        return OnnxModel.load(path)
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise BadPortError(
            f"{path!r} does not name a port: write MODULE:ATTRIBUTE, e.g. mypkg.losses:focal"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with contained():
            target = importlib.import_module(module_name)
    except PortError as error:
        advice = f"start where `import {module_name}` works, or install it"
        raise BadPortError(f"cannot import {module_name}: {error}; {advice}") from None
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


def _public_callables(owner: object) -> list[str]:
    public = [name for name in dir(owner) if not name.startswith("_")]
    return sorted(name for name in public if callable(getattr(owner, name)))
