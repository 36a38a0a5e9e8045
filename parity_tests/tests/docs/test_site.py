"""The site of the documentation, as a reader has it: from files, without a network, on a screen and
on a phone."""

import functools
import html
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from parity_tests.pages.make_readme import ROOT

from . import site as pages
from .browser import show, until

WIDTHS = (1280, 390)
READ = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, site: Path) -> Iterator[str]:
    """The site opened as files, and from a server."""
    if request.param == "file":
        yield site.as_uri()
        return
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_every_link_leads_somewhere(site: Path) -> None:
    assert pages.dead_links(site) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", READ)
def test_every_page_opens(browser: Chrome, site: Path, name: str, width: int) -> None:
    show(browser, (site / f"{name}.html").as_uri(), width)
    assert pages.faults(browser) == []
    assert browser.find_element(By.TAG_NAME, "h1").is_displayed()
    assert "arithmatex" not in browser.page_source, "a formula was not drawn"
    assert browser.execute_script(pages.CUT_OFF) == []


def test_every_page_of_a_file_opens(browser: Chrome, site: Path) -> None:
    paths = sorted((site / "source").rglob("*.html"))
    assert len(paths) > 10
    for path in paths:
        show(browser, path.as_uri(), 390)
        assert pages.faults(browser) == [], path.name


def hits(browser: Chrome) -> list[str]:
    """The links that a search shows, read at once, as those of an earlier letter are replaced."""
    links = "document.querySelectorAll('.md-search-result__link')"
    return browser.execute_script(f"return [...{links}].map((link) => link.href)")


def test_search_finds_a_page(browser: Chrome, address: str) -> None:
    show(browser, f"{address}/index.html")
    box = browser.find_element(By.CSS_SELECTOR, ".md-search__input")
    box.click()
    box.send_keys("posterior_from_focal")
    until(browser, lambda: any("api_jax.html" in link for link in hits(browser)))
    assert not any("/source/" in link for link in hits(browser))
    assert pages.faults(browser) == []


def test_the_mode_is_that_of_the_system_and_can_be_changed(browser: Chrome, site: Path) -> None:
    def background() -> str:
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    show(browser, (site / "choosing.html").as_uri(), scheme="dark")
    until(browser, lambda: browser.find_element(By.CSS_SELECTOR, "[data-md-color-scheme=slate]"))
    dark = background()
    show(browser, (site / "choosing.html").as_uri(), scheme="light")
    until(browser, lambda: background() != dark)
    for name in ("Switch to light mode", "Switch to dark mode"):
        toggle = browser.find_element(By.CSS_SELECTOR, f"label[title='{name}']")
        until(browser, toggle.is_displayed)
        toggle.click()
    until(browser, lambda: background() == dark)
    # The choice is kept on the next page.
    show(browser, (site / "numerics.html").as_uri(), scheme="light")
    until(browser, lambda: background() == dark)
    browser.execute_script("localStorage.clear()")


def test_the_menu_of_a_phone(browser: Chrome, site: Path) -> None:
    show(browser, (site / "index.html").as_uri(), 390)
    link = browser.find_element(By.CSS_SELECTOR, ".md-nav--primary a[href='api_torch.html']")
    assert not link.is_displayed() or link.rect["x"] < 0
    browser.find_element(By.CSS_SELECTOR, "label.md-header__button[for=__drawer]").click()
    until(browser, lambda: link.rect["x"] >= 0)


def test_tabs_are_changed_by_the_keyboard(browser: Chrome, site: Path) -> None:
    show(browser, (site / "index.html").as_uri())
    tabs = browser.find_element(By.CSS_SELECTOR, ".tabbed-set")
    blocks = tabs.find_elements(By.CSS_SELECTOR, ".tabbed-block")

    def shown() -> list[bool]:
        return [block.is_displayed() for block in blocks]

    until(browser, lambda: shown() == [True, False])
    tabs.find_element(By.TAG_NAME, "input").send_keys(Keys.ARROW_RIGHT)
    until(browser, lambda: shown() == [False, True])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<script>console.error('oh')</script>", "oh"),
        ("<script>missing()</script>", "missing is not defined"),
        ("<img src='http://127.0.0.1:9/x.png'>", "asks for http://127.0.0.1:9/x.png"),
        ("<img src='no.png'>", "has no picture"),
        ("<div style='width: 999px'>wide</div>", "pixels wider than the window"),
    ],
)
def test_faults_of_a_page_are_noticed(
    browser: Chrome, tmp_path: Path, body: str, says: str
) -> None:
    viewport = "<meta name='viewport' content='width=device-width'>"
    (tmp_path / "page.html").write_text(f"<!doctype html>{viewport}{body}")
    show(browser, (tmp_path / "page.html").as_uri(), 390)
    until(browser, lambda: any(says in fault for fault in pages.faults(browser)))


def test_a_formula_that_is_cut_off_is_noticed(browser: Chrome, tmp_path: Path) -> None:
    formula = f"<math display='block'><mi>{'x' * 999}</mi></math>"
    style = "<style>math { overflow: auto }</style>"
    (tmp_path / "page.html").write_text(f"<!doctype html>{style}{formula}")
    show(browser, (tmp_path / "page.html").as_uri(), 390)
    until(browser, lambda: browser.execute_script(pages.CUT_OFF) == ["x" * 999])


def test_dead_links_are_noticed(tmp_path: Path) -> None:
    right = "<a href='b.html#here'>1</a>"
    wrong = "<a href='b.html#gone'>2</a><a href='c.html'>3</a><a href='#gone'>4</a>"
    loaded = "<script src='https://example.org/x.js'></script><img src='no.png'>"
    (tmp_path / "a.html").write_text(right + wrong + loaded)
    (tmp_path / "b.html").write_text("<h1 id='here'>b</h1>")
    dead = pages.dead_links(tmp_path)
    assert dead[:3] == ["a.html: b.html#gone", "a.html: c.html", "a.html: #gone"]
    assert dead[3:] == ["a.html loads https://example.org/x.js", "a.html loads no.png"]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with one page, and the settings of the real one."""
    settings = (ROOT / "mkdocs.yml").read_text()
    start, end = settings.index("nav:\n"), settings.index("validation:\n")
    (tmp_path / "mkdocs.yml").write_text(f"{settings[:start]}nav: [index.md]\n\n{settings[end:]}")
    shutil.copytree(ROOT / "docs" / "assets", tmp_path / "docs" / "assets")
    shutil.copy(ROOT / "docs" / "hooks.py", tmp_path / "docs" / "hooks.py")
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"):
        (tmp_path / name).write_text("# A file\n")
    (tmp_path / "docs" / "index.md").write_text("# Title\n\n$x^2$ and [a file](../CHANGELOG.md).\n")
    return tmp_path


def test_the_small_site_is_built(small: Path) -> None:
    done = pages.build(small / "site", small)
    assert done.returncode == 0, done.stderr
    assert "<math" in (small / "site" / "index.html").read_text()
    assert pages.dead_links(small / "site") == []


def test_what_looks_like_a_link_in_code_stays(small: Path) -> None:
    page = small / "docs" / "index.md"
    page.write_text(
        '# Title\n\n=== "Tab"\n\n    ```python\n    table["focal"](a//b)\n    ```\n\n`x[0](y//z)`\n'
    )
    assert pages.build(small / "site", small).returncode == 0
    shown = re.sub("<[^>]+>", "", (small / "site" / "index.html").read_text())
    assert 'table["focal"](a//b)' in html.unescape(shown)
    assert "x[0](y//z)" in shown


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("[x](gone.md)", "gone.md"),
        ("[x](#gone)", "no such anchor"),
        ("[x](../gone.py)", "gone.py"),
        ("![x](gone.png)", "gone.png"),
        ("[x](/absolute.md)", "absolute"),
        (r"$\frac{1$", "is no formula"),
        ("$x_$", "is no formula"),
        (r"$\nosuch{x}$", "is no formula"),
        ("::: focal_jax." + "no_such_loss", "no_such_loss"),
    ],
)
def test_each_fault_of_a_page_ends_the_build(small: Path, page: str, says: str) -> None:
    (small / "docs" / "index.md").write_text(f"# Title\n\n{page}\n")
    done = pages.build(small / "site", small)
    assert done.returncode != 0
    assert says in done.stderr


def test_a_page_that_no_menu_has_ends_the_build(small: Path) -> None:
    (small / "docs" / "other.md").write_text("# Other\n")
    done = pages.build(small / "site", small)
    assert done.returncode != 0
    assert "other.md" in done.stderr
