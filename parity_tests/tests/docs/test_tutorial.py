"""The tutorial in two languages and as a notebook: the same code, which prints the same."""

import json
import re
import shlex

import pytest

from parity_tests.checker import cli
from parity_tests.pages import notebook, page_code

ENGLISH = notebook.PAGE
CHINESE = ENGLISH.with_suffix(".zh.md")
FENCES = re.compile(r"^```.*?^```\n", re.S | re.M)
# What a reader types, and what is quoted of the answer.
COMMAND = re.compile(r"^focal-parity (check .*)$", re.M)
REASON = re.compile(r"^> (.*)$", re.M)
# Two blocks, the second of which needs a name of the first; and links to another page, and to
# another site.
PAGE = """# Title

<div id="figure" markdown>

![picture](a.png)

</div>

```python
x = 1
```

[Words](b.md#c) and [more](https://example.org).

```python
print(x + 1)
```

```text
{printed}
```
"""


def run(text: str) -> int:
    """Run the cells of a notebook one after the other, in one namespace, and count them."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    programs = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    for cell in programs:
        printed = [line for output in cell["outputs"] for line in output["text"]]
        source = "".join(cell["source"])
        page_code.run(source, "".join(printed), notebook.NOTEBOOK.name, namespace)
    return len(programs)


def test_the_cells_of_the_notebook_print_what_it_shows() -> None:
    assert run(notebook.NOTEBOOK.read_text()) == len(page_code.blocks(ENGLISH)) >= 6


def test_the_notebook_is_that_of_the_page() -> None:
    """If not, run `python -m parity_tests.pages.notebook`."""
    assert notebook.NOTEBOOK.read_text() == notebook.notebook(ENGLISH.read_text())


def test_cells_share_their_names_and_have_to_print_what_is_shown() -> None:
    assert run(notebook.notebook(PAGE.format(printed=2))) == 2
    with pytest.raises(AssertionError, match="the page says"):
        run(notebook.notebook(PAGE.format(printed=3)))


def test_links_of_the_notebook_lead_to_the_pages() -> None:
    first, _, second, _ = json.loads(notebook.notebook(PAGE))["cells"]
    assert "".join(first["source"]) == "# Title\n\n![picture](../docs/a.png)"
    assert second["source"] == ["[Words](../docs/b.md#c) and [more](https://example.org)."]


def test_the_two_languages_have_the_same_code() -> None:
    ours, theirs = (FENCES.findall(page.read_text()) for page in (ENGLISH, CHINESE))
    assert len(ours) > 12
    assert ours == theirs


def test_the_two_languages_have_the_same_headings_and_formulas() -> None:
    pages: list[tuple[int, list[str]]] = []
    for page in (ENGLISH, CHINESE):
        text = FENCES.sub("", page.read_text())
        headings = re.findall(r"^#+ ", text, re.M)
        pages.append((len(headings), re.findall(r"\$\$.*?\$\$", text, re.S)))
    assert pages[0] == pages[1]
    assert pages[0][1]


def test_the_command_says_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = ENGLISH.read_text().replace("\\\n", "")
    (command,) = COMMAND.findall(text)
    (reason,) = REASON.findall(text)
    assert REASON.findall(CHINESE.read_text()) == [reason]
    # The layer of the values is enough for this reason.
    assert cli.main([*shlex.split(command), "--layer", "values"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert said.partition("→ ")[2].startswith(reason)
