"""Building the site of the documentation, and what may be wrong with it: in its files, and in a
browser."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from selenium.webdriver import Chrome

from parity_tests.pages.make_readme import ROOT

# What a page loads by itself, and so must have with it.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}


def build(site: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Build the site strictly: a broken link, a page that no menu has, a formula that is none are
    failures."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=300)


class Page(HTMLParser):
    """The anchors of a page, its links, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {value for name, value in values.items() if name in ("id", "name")}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if LOADED.get(tag) in values and values.get("rel") != "canonical":
            self.loaded.append(values[LOADED[tag]])


def dead_links(site: Path) -> list[str]:
    """Links and files of all pages that lead nowhere, and what pages load from other hosts."""
    # The page for addresses that do not exist has its links from the root of a server.
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    dead: list[str] = []
    for path, page in pages.items():
        for link in page.links:
            if not _leads(link, page, pages):
                dead.append(f"{path.name}: {link}")
        for address in page.loaded:
            if urlsplit(address).netloc or not _leads(address, page, pages):
                dead.append(f"{path.name} loads {address}")
    return dead


def _leads(link: str, page: Page, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme in ("https", "data", "mailto"):
        return True
    target = page.path
    if parts.path:
        target = (target.parent / unquote(parts.path)).resolve()
    if target.is_dir():
        target /= "index.html"
    if parts.fragment and target in pages:
        return unquote(parts.fragment) in pages[target].anchors
    return target.exists()


# What a page asks of other hosts, what it has not got, and how far it is too wide.
FAULTS = """
    const here = location.protocol === "file:" ? "file:" : location.origin;
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
    const elsewhere = loaded.filter((name) => !name.startsWith(here) && !name.startsWith("data:"));
    const broken = [...document.images].filter((image) => image.complete && !image.naturalWidth);
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    return [
      ...elsewhere.map((name) => `asks for ${name}`),
      ...broken.map(({ src }) => `has no picture ${src}`),
      ...(wide > 0 ? [`is ${wide} pixels wider than the window`] : []),
    ];
"""


# Formulas that a reader has to scroll.
CUT_OFF = """
    const formulas = [...document.querySelectorAll("math")];
    return formulas.filter((x) => x.scrollWidth > x.clientWidth + 1).map((x) => x.textContent);
"""


def faults(browser: Chrome) -> list[str]:
    """What is wrong with the page that the browser shows."""
    entries = browser.get_log("browser")
    messages = [x["message"] for x in entries if x["level"] in ("SEVERE", "WARNING")]
    return messages + browser.execute_script(FAULTS)
