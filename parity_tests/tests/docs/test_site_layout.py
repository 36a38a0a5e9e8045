"""What a reader sees without scrolling, tables that scroll in boxes of their own, and formulas in
their font."""

import html
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from fontTools.ttLib import TTFont
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from parity_tests.pages.make_readme import ROOT

from .browser import show, until

FONT = ROOT / "docs" / "assets" / "formulas" / "formulas.woff"
# What the first screen of the home page has to show, and a selector of each.
FIRST_SCREEN = {
    "the problem": "h1 + p",
    "the picture": ".home-columns img",
    "the code": ".home-columns .tabbed-block:first-child .highlight",
    "what it prints": ".home-columns .tabbed-block:first-child .highlight + .highlight",
    "a verdict": ".home-verdict .highlight",
    "readers": ".home-readers > div:first-child",
    "how to install it for a CI": ".home-readers > div:last-child code",
}


def below_the_first_screen(browser: Chrome) -> list[str]:
    """What of the home page is not in the window, or has no height."""
    height = browser.execute_script("return innerHeight")
    missing = []
    for name, selector in FIRST_SCREEN.items():
        place = browser.find_element(By.CSS_SELECTOR, selector).rect
        if not place["height"] or place["y"] + place["height"] > height:
            missing.append(name)
    return missing


def test_the_first_screen_of_the_home_page(browser: Chrome, site: Path) -> None:
    show(browser, (site / "index.html").as_uri())
    until(browser, lambda: below_the_first_screen(browser) == [])
    verdict = browser.find_element(By.CSS_SELECTOR, ".home-verdict").text
    assert "focal-parity check" in verdict
    assert "FAIL" in verdict
    browser.execute_script("document.querySelector('h1').style.marginBottom = '900px'")
    assert below_the_first_screen(browser) == list(FIRST_SCREEN)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_screen_of_the_audit_has_results(browser: Chrome, site: Path, width: int) -> None:
    show(browser, (site / "audit.html").as_uri(), width)
    row = browser.find_element(By.CSS_SELECTOR, ".long-table tbody tr:nth-child(3)").rect
    assert row["y"] + row["height"] < browser.execute_script("return innerHeight")


def moved(browser: Chrome, box: WebElement) -> tuple[float, float]:
    """How far the first cell of the header is from the corner of its box, scrolled both ways."""
    script = """
        const [box] = arguments;
        box.scrollTo({ left: 300, top: 300, behavior: "instant" });
        const [outer, cell] = [box, box.querySelector("th")].map((x) => x.getBoundingClientRect());
        return [cell.left - outer.left, cell.top - outer.top, box.scrollLeft, box.scrollTop];
    """
    right, down, *scrolled = browser.execute_script(script, box)
    assert scrolled == [300, 300]
    return right, down


@pytest.mark.parametrize("width", [1280, 390])
def test_header_and_first_column_stay(browser: Chrome, site: Path, width: int) -> None:
    show(browser, (site / "audit.html").as_uri(), width)
    selector = ".long-table .md-typeset__scrollwrap"
    boxes = until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, selector))
    assert len(boxes) == 2
    for box in boxes:
        right, down = moved(browser, box)
        assert abs(right) < 2
        assert abs(down) < 2
    style = "document.querySelectorAll('th').forEach((x) => { x.style.position = 'static'; })"
    browser.execute_script(style)
    assert moved(browser, boxes[0])[1] < -250


def lower(browser: Chrome, parts: list[WebElement]) -> bool:
    """Whether the second is smaller than the first, and ends below it."""
    base, index = (part.rect for part in parts)
    is_smaller = index["height"] < base["height"]
    return is_smaller and index["y"] + index["height"] > base["y"] + base["height"]


def test_a_subscript_is_below_its_letter(browser: Chrome, site: Path) -> None:
    show(browser, (site / "mathematics.html").as_uri())
    loaded = "return [...document.fonts].map((font) => [font.family, font.status])"
    until(browser, lambda: browser.execute_script(loaded) == [["Formulas", "loaded"]])
    indexed = [x for x in browser.find_elements(By.TAG_NAME, "msub") if x.text.startswith("α")]
    assert len(indexed) > 1
    for formula in indexed:
        assert lower(browser, formula.find_elements(By.XPATH, "*"))
    # Without an index a letter is beside the other.
    browser.execute_script(
        "document.querySelectorAll('msub').forEach((x) => x.outerHTML = "
        "x.outerHTML.replaceAll('msub', 'mrow'))"
    )
    row = browser.find_element(By.XPATH, "//*[local-name()='mrow'][starts-with(., 'α')]")
    assert not lower(browser, row.find_elements(By.XPATH, "*")[:2])


def drawn(formula: str) -> set[str]:
    """The characters of a formula in MathML; single letters are drawn in italics."""
    characters: set[str] = set()
    for tag, text in re.findall(r"<(m[iont]\w*)[^>]*>([^<]+)</\1>", formula):
        plain = html.unescape(text)
        characters |= {italic(plain)} if tag == "mi" and len(plain) == 1 else set(plain)
    return characters - {" ", "\n"}


def italic(letter: str) -> str:
    """As browsers draw a variable."""
    if letter == "h":
        return "ℎ"
    for first, last, start in (("A", "Z", 0x1D434), ("a", "z", 0x1D44E), ("α", "ω", 0x1D6FC)):
        if first <= letter <= last:
            return chr(start + ord(letter) - ord(first))
    return letter


def converted(content: str) -> str:
    """What docs/hooks.py makes of the HTML of a page."""
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    page = SimpleNamespace(file=SimpleNamespace(src_uri="page.md"))
    return hooks["on_page_content"](content, page)


def formula(tex: str) -> str:
    """The elements that a formula is made of, without the one around them."""
    content = converted(rf'<span class="arithmatex">\({tex}\)</span>')
    mathml = re.sub("^<math[^>]*><mrow>|</mrow></math>$", "", content)
    return html.unescape(mathml)


@pytest.mark.parametrize(
    ("tex", "elements"),
    [
        ("-u", "<mo>−</mo><mi>u</mi>"),
        ("a-u", "<mi>a</mi><mo>−</mo><mi>u</mi>"),
        ("a=-u", '<mi>a</mi><mo>=</mo><mo form="prefix">−</mo><mi>u</mi>'),
        (r"\log p", '<mi>log</mi><mspace width="0.167em" /><mi>p</mi>'),
        (r"\mathrm{FL}", "<mrow><mi>FL</mi></mrow>"),
        ("u;v", "<mi>u</mi><mo>;</mo><mi>v</mi>"),
        ("p/q", '<mi>p</mi><mo lspace="0" rspace="0">/</mo><mi>q</mi>'),
    ],
)
def test_formulas_are_spaced(tex: str, elements: str) -> None:
    assert formula(tex) == elements


def test_bars_have_sides() -> None:
    assert re.findall('form="([a-z]+)"', formula("|-u|")) == ["prefix", "prefix", "postfix"]
    assert "form" not in formula("p|q")


def test_no_line_ends_between_a_formula_and_its_comma() -> None:
    span = r'<span class="arithmatex">\(x\)</span>'
    assert "</math>&#x2060;, " in converted(f"{span}, or")
    assert "&#x2060;" not in converted(f"{span} or")


@pytest.mark.parametrize(
    ("rows", "columns", "is_boxed"), [(13, 4, True), (12, 4, False), (13, 3, False)]
)
def test_long_tables_have_a_box(rows: int, columns: int, is_boxed: bool) -> None:
    head = f"<thead><tr>{'<th>x</th>' * columns}</tr></thead>"
    cells = f"<td>{'a' * 70}</td>" + "<td>x</td>" * (columns - 1)
    body = f"<tr>{cells}</tr>" * rows
    shown = converted(f"<table>{head}<tbody>{body}</tbody></table>")
    assert ('class="long-table"' in shown) == is_boxed
    assert shown.count('class="sentence"') == rows * is_boxed


def test_the_font_has_what_formulas_are_made_of(site: Path) -> None:
    font = TTFont(FONT)
    assert "MATH" in font
    has = {chr(code) for code in font.getBestCmap() or ()}
    pages = [path.read_text() for path in site.rglob("*.html")]
    formulas = re.findall(r"<math.*?</math>", "".join(pages), re.S)
    assert len(formulas) > 50
    needed = set().union(*map(drawn, formulas))
    assert {"𝛼", "𝑝", "∑", "s"} <= needed
    assert needed <= has, sorted(needed - has)
    assert not drawn("<math><mtext>漢</mtext></math>") <= has


def test_charts_are_dark_in_the_dark_mode(browser: Chrome, site: Path) -> None:
    def filters(name: str, scheme: str) -> set[str]:
        show(browser, (site / f"{name}.html").as_uri(), scheme=scheme)
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, f"[{colours[scheme]}]"))
        script = "return [...document.querySelectorAll('article img')]"
        return set(
            browser.execute_script(f"{script}.map((image) => getComputedStyle(image).filter)")
        )

    colours = {
        "light": "data-md-color-scheme=default",
        "dark": "data-md-color-scheme=slate",
    }
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    for name in ("mathematics", "family", "speed"):
        assert filters(name, "light") == {"none"}
        assert "none" not in filters(name, "dark")
