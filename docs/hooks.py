"""What the site needs beside the pages: formulas as MathML, boxes for long tables, and the files of
the repository that pages link to.

On GitHub a page links to `../focal_jax/_core/margin.py`. On the site that file is a page under
`source/`, made here, so that no link leads out of the site. A file that does not exist has no page,
so that the strict build ends at its link.
"""

import html
import itertools
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

LINK = re.compile(r"(?<!\\)\]\((?!\w+:|#)(?P<path>[^)#\s]+)(?P<rest>#[^)]*)?\)")
CODE = re.compile(r"^ *(?P<fence>```+).*?^ *(?P=fence) *$|`[^`\n]+`", re.S | re.M)
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)
# What the converter leaves to be mended: letters of \mathrm that are apart, bars without a side, a
# sign before a term as if between two, functions that touch what follows, and operators that are
# letters or the other way round.
UPRIGHT = re.compile(r'(?:<mi mathvariant="normal">\w</mi>){2,}')
BAR = re.compile(r'<mo(?: stretchy="false")?>&#x0007C;</mo>')
OPENING = r'form="prefix" stretchy="false">&#x0007C;</mo>|&#x000(?:28|3D|2C);</mo>'
SIGN = re.compile(rf"({OPENING})<mo>&#x02212;</mo>")
FUNCTION = re.compile(r"(<mi>[a-z]{2,}</mi>)(?=<mi>|<mn>|<msu|<mrow>|<mo form=.prefix)")
OPERATORS = {
    "<mi>;</mi>": "<mo>;</mo>",
    "<mo>max</mo>": "<mi>max</mi>",
    "<mo>&#x0002F;</mo>": '<mo lspace="0" rspace="0">&#x0002F;</mo>',
}
TABLE = re.compile(r"<table>.*?</table>", re.S)
# Above these a table scrolls in a box of its own, in which its header and its first column stay.
ROWS, COLUMNS = 12, 3
# A cell with a sentence, which may be broken into lines.
SENTENCE = re.compile(r"<td(?=[^>]*>(?:(?:<(?!/td>)[^>]*>)*[^<]){70})")
LANGUAGES = {".py": "python", ".c": "c", ".js": "javascript", ".toml": "toml", ".json": "json"}
ALWAYS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file of the repository that a page links to, and that those link to."""
    root = Path(config.config_file_path).parent
    queue = [*ALWAYS, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen = set(queue)
    for origin in queue:
        if not origin.startswith("docs/"):
            page = File.generated(config, _site(origin), content=_page(root / origin, origin))
            page.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(page)
        if origin.endswith(".md"):
            found = [x for x in _links((root / origin).read_text(), origin) if (root / x).exists()]
            queue += [
                x for x in dict.fromkeys(found) if not x.startswith("docs/") and x not in seen
            ]
            seen.update(found)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links to files of the repository lead to their pages, and the home page be wide."""
    uri = page.file.src_uri
    if uri == "index.md":  # Its first screen needs the width.
        page.meta["hide"] = ["toc"]
    origin = uri.removeprefix("source/") if uri.startswith("source/") else f"docs/{uri}"

    def moved(link: re.Match[str]) -> str:
        target = _site(_resolve(link["path"], origin))
        return f"]({posixpath.relpath(target, posixpath.dirname(uri))}{link['rest'] or ''})"

    return _outside_code(markdown, lambda text: LINK.sub(moved, text))


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Formulas as MathML, which a browser draws without a script, and long tables in boxes."""

    def drawn(formula: re.Match[str]) -> str:
        tex = html.unescape(formula[2])
        try:
            mathml = convert(tex, display="block" if formula[1] == "div" else "inline")
        except Exception as error:
            raise PluginError(f"{page.file.src_uri}: {tex} is no formula: {error!r}") from error
        # What the converter does not know it copies.
        if re.search(r"\\|<mi>&(?!#)", mathml) or tex.count("{") != tex.count("}"):
            raise PluginError(f"{page.file.src_uri}: {tex} is no formula that the site can draw")
        return _spaced(mathml)

    formulas = FORMULA.sub(drawn, content)
    # No line ends between a formula and its comma.
    joined = re.sub(r"(</math>)(?=[,.;:)])", r"\1&#x2060;", formulas)
    return TABLE.sub(_boxed, joined)


def _spaced(mathml: str) -> str:
    """Formulas spaced as TeX does it."""
    mathml = UPRIGHT.sub(lambda run: f"<mi>{re.sub('<[^>]+>', '', run[0])}</mi>", mathml)
    if len(BAR.findall(mathml)) % 2 == 0:
        sides = itertools.cycle(("prefix", "postfix"))
        bar = '<mo form="{}" stretchy="false">&#x0007C;</mo>'
        mathml = BAR.sub(lambda _: bar.format(next(sides)), mathml)
    mathml = SIGN.sub(r'\1<mo form="prefix">&#x02212;</mo>', mathml)
    for left, mended in OPERATORS.items():
        mathml = mathml.replace(left, mended)
    return FUNCTION.sub(r'\1<mspace width="0.167em" />', mathml)


def _boxed(table: re.Match[str]) -> str:
    head, _, body = table[0].partition("</thead>")
    if body.count("<tr>") <= ROWS or head.count("<th") <= COLUMNS + 1:  # <thead> is one of them.
        return table[0]
    cells = SENTENCE.sub('<td class="sentence"', table[0])
    return f'<div class="long-table">{cells}</div>'


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [change(markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(markdown[end:])])


def _links(markdown: str, origin: str) -> Iterator[str]:
    for link in LINK.finditer(CODE.sub("", markdown)):
        yield _resolve(link["path"], origin)


def _resolve(path: str, origin: str) -> str:
    """A link's target from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))


def _site(path: str) -> str:
    """Where a file of the repository is on the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"source/{path}" if path.endswith(".md") else f"source/{path}.md"


def _page(path: Path, name: str) -> str:
    hidden = "---\nsearch:\n  exclude: true\n---\n\n"
    if path.suffix == ".md":
        # Cells with code in them are Markdown on GitHub, and here only if they say so.
        return hidden + re.sub(r"<(table|tr|td)>", r"<\1 markdown>", path.read_text())
    if path.is_dir():
        names = sorted(
            x.name + "/" * x.is_dir() for x in path.iterdir() if not x.name.startswith(("_", "."))
        )
        return hidden + f"# {name}/\n\n" + "\n".join(f"- `{x}`" for x in names) + "\n"
    language = LANGUAGES.get(path.suffix, "text")
    return f"{hidden}# {name}\n\n``````{language}\n{path.read_text()}\n``````\n"
