"""Let griffe read the sections of our docstrings: it knows `Example:` as a note, and `Examples:` as
code."""

from typing import Any

import griffe


class Sections(griffe.Extension):
    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
