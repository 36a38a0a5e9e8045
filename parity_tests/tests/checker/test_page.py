"""The report page, in a real browser: it is whole, safe, and readable by eye, keyboard and
phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from parity_tests.checker.layers.check import first_contact, layer
from parity_tests.checker.report import heat
from parity_tests.checker.report.page import render
from parity_tests.contract.records import RECORDS
from parity_tests.ports.frameworks import load
from parity_tests.ports.python import PythonPort
from parity_tests.ports.signature import bind
from parity_tests.ports.subject import Plan
from parity_tests.tests.docs.browser import show, until

HOSTILE = """</script><b id="in">"x"'&{{ 7 * 7 }}<img src=x onerror=alert(1)>"""
Open = Callable[..., Chrome]


def one_minus_p(
    logits: torch.Tensor, targets: torch.Tensor, alpha: float, gamma: float
) -> torch.Tensor:
    """The mistake that the page has to make visible."""
    if gamma == 5:
        raise ValueError("not that one")
    u = (2 * targets - 1) * logits
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    return alpha_t * (1 - torch.sigmoid(u)) ** gamma * torch.nn.functional.softplus(-u)


def a_map(error: list[list[Any]]) -> dict[str, Any]:
    texts = [[f"{x}" for x in row] for row in error]
    return {"error": error, "got": texts, "truth": texts, "allowed": [3.0, 7.0], "note": ""}


def a_report(**changes: Any) -> dict[str, Any]:
    row = {
        "layer": "values",
        "status": "FAIL",
        "error": "inf",
        "allowed": "7",
        "count": 1400,
        "wrong": 146,
    }
    row |= {
        "got": "0.0",
        "truth": "2e-21",
        "point": {"logits": -31.5},
        "note": "",
        "reproduce": "focal-parity",
    }
    lacking = dict.fromkeys(row) | {
        "layer": "options",
        "status": "not offered",
        "count": 0,
        "wrong": 0,
    }
    port = {
        "title": "mypkg:focal",
        "value": a_map([[0.5, 2.0, 8e6], ["nan", "inf", None]]),
        "gradient": None,
    }
    reference = {
        "title": "ours",
        "value": a_map([[0.5, 1.0, 2.0], [0.0, 1.0, 2.0]]),
        "gradient": None,
    }
    maps = {
        "margins": [-1.5, 0.0, 17.0],
        "ticks": [0, 17],
        "gammas": [0.0, 2.0],
        "about": "target 1",
        "note": "",
    }
    report = {
        "contract": "2026.11",
        "title": "mypkg:focal",
        "function": "sigmoid_focal_loss",
        "dtype": "float32",
    }
    report |= {
        "framework": "jax",
        "passed": False,
        "versions": {"jax": "0.10"},
        "conventions": {"alpha": "both"},
    }
    report |= {
        "fixed": {"gamma": 2.0},
        "rows": [row, lacking],
        "diagnosis": ["your alpha is ignored"],
    }
    return report | {"maps": maps | {"port": port, "reference": reference}} | changes


@pytest.fixture
def opened(browser: Chrome, tmp_path: Path) -> Open:
    """Open the page of a report in a window of some width, with some settings of the system."""

    def open_page(
        report: dict[str, Any], width: int = 1280, media: str = "", scheme: str = "light"
    ) -> Chrome:
        path = tmp_path / "report.html"
        path.write_text(render(report), encoding="utf-8")
        show(browser, path.as_uri(), width, media, scheme)
        return browser

    return open_page


def one(browser: Chrome, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def until_it_says(browser: Chrome, selector: str, text: str) -> None:
    until(browser, lambda: text in one(browser, selector).text)


# By WCAG, of a text with what is behind it. A canvas makes numbers of any notation of a colour.
CONTRAST = """
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const linear = (c) => (c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    const light = (colour) => {
      Object.assign(context, { fillStyle: colour }).fillRect(0, 0, 1, 1);
      const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map(linear);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    let box = arguments[0];
    while (getComputedStyle(box).backgroundColor === "rgba(0, 0, 0, 0)") box = box.parentElement;
    const pair = [getComputedStyle(arguments[0]).color, getComputedStyle(box).backgroundColor].map(light);
    return Math.max(...pair) / Math.min(...pair);
"""
TEXTS = (
    "h1",
    ".lead",
    ".verdict",
    ".why li",
    ".quiet",
    "td.fail",
    "td.number",
    ".again code",
    ".label",
    "footer",
)


def test_nothing_is_fetched_and_nothing_is_complained_of(opened: Open) -> None:
    browser = opened(a_report())
    assert (
        browser.execute_script(
            "return performance.getEntriesByType('resource').map((one) => one.name)"
        )
        == []
    )
    assert browser.get_log("browser") == []
    assert browser.title == "FAIL: mypkg:focal in float32 (focal-parity)"
    assert one(browser, "html:lang(en) .why li").text == "Your alpha is ignored."


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_is_as_wide_as_the_window(opened: Open, width: int) -> None:
    long = "a_package_with_a_long_name.and_a_module.of_it:a_function_that_says_all_that_it_does"
    browser = opened(a_report(title=long, versions={long: long}), width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_on_both_pages(opened: Open, scheme: str) -> None:
    browser = opened(a_report(), scheme=scheme)
    other = {"light": "Dark page", "dark": "Light page"}
    # As the system has it, and the other way.
    for now in (scheme, *(other.keys() - {scheme})):
        until_it_says(browser, "#theme", other[now])
        for selector in TEXTS:
            assert browser.execute_script(CONTRAST, one(browser, selector)) >= 4.5, selector
        one(browser, "#theme").click()


def test_the_theme_can_be_changed_and_changed_back(opened: Open) -> None:
    browser = opened(a_report())
    colours = []
    for label in ("Dark page", "Light page", "Dark page"):
        until_it_says(browser, "#theme", label)
        colours.append(one(browser, "body").value_of_css_property("background-color"))
        one(browser, "#theme").click()
    assert colours[0] == colours[2] != colours[1]


def test_print_has_no_buttons_and_white_paper(opened: Open) -> None:
    browser = opened(a_report(), media="print", scheme="dark")
    assert not any(button.is_displayed() for button in browser.find_elements(By.TAG_NAME, "button"))
    assert (
        one(browser, "body").value_of_css_property("background-color") == "rgba(255, 255, 255, 1)"
    )


def test_pointing_at_a_cell_reads_port_and_reference(opened: Open) -> None:
    browser = opened(a_report())
    plot = one(browser, ".plot")
    ActionChains(browser).move_to_element_with_offset(plot, plot.size["width"] // 3, 9).perform()
    at = "margin 17, γ 0\nerror\n"
    until_it_says(browser, "#value-port", f"{at}8·10⁶ eps, more than the 3 allowed")
    until_it_says(browser, "#value-reference", f"{at}2 eps, within the 3 allowed")
    middle = plot.rect["y"] + plot.rect["height"] / 2
    until(browser, lambda: one(browser, ".plot:has(.h15) .cursor").rect["y"] > middle - 1)


def test_arrow_keys_read_a_map(opened: Open) -> None:
    browser = opened(a_report())
    one(browser, "button.copy").send_keys(Keys.TAB)
    plot = browser.switch_to.active_element
    steps = {
        "margin −1.5, γ 2\nerror\nnot a number": (Keys.ARROW_UP,),
        "margin 0, γ 2\nerror\n∞ eps": (Keys.ARROW_RIGHT,),
        "margin 17, γ 2\nerror\nno answer": (Keys.END, Keys.ARROW_UP),
        "margin −1.5, γ 0": (Keys.HOME, Keys.ARROW_DOWN),
    }
    for text, keys in steps.items():
        plot.send_keys(*keys)
        until_it_says(browser, "#value-port", text)


# The button says so for a second and a half: what it said first is kept for the test.
KEEP = "const b = arguments[0]; new MutationObserver(() => b.dataset.said ??= b.textContent).observe(b, {childList: true})"


def test_the_command_can_be_copied(opened: Open) -> None:
    browser = opened(a_report())
    button = one(browser, "button.copy")
    browser.execute_script(KEEP, button)
    button.click()
    said = until(browser, lambda: button.get_attribute("data-said"))
    assert (said, browser.get_log("browser")) == ("Copied", [])


def test_what_a_port_says_stays_text(opened: Open) -> None:
    report = a_report(title=HOSTILE, diagnosis=[HOSTILE], fixed={HOSTILE: HOSTILE})
    report["rows"][0] |= dict.fromkeys(("layer", "note", "got", "reproduce"), HOSTILE) | {
        "point": {HOSTILE: HOSTILE}
    }
    report["maps"]["port"]["title"] = report["maps"]["port"]["value"]["note"] = HOSTILE
    browser = opened(report)
    assert browser.find_elements(By.CSS_SELECTOR, "#in, img") == []
    assert one(browser, "h1").text == HOSTILE
    assert one(browser, "#value-port").text.startswith("at\nmargin −1.5, γ 2")
    assert browser.get_log("browser") == []


def test_a_real_check_is_drawn(opened: Open) -> None:
    plan = Plan(RECORDS["sigmoid_focal_loss"])
    subject: Any = first_contact(
        bind(PythonPort("one_minus_p", one_minus_p, load("torch"), plan), {})
    )
    row = layer(subject, subject.plan, "values").as_dict() | {"reproduce": ""}
    maps = heat.maps(subject, subject.plan)
    browser = opened(a_report(title=subject.title, rows=[row], maps=maps))
    assert "γ = 5: ValueError: not that one" in one(browser, "figure .says").text
    assert len(browser.find_elements(By.CSS_SELECTOR, ".plot path.nan")) == 1
    wrong, right, at = maps["port"]["value"], maps["reference"]["value"], maps["margins"].index(17)
    assert (wrong["got"][1][at], set(wrong["error"][-1])) == ("0.0", {None})
    assert wrong["error"][1][at] > 1e6
    assert all(
        max(errors) <= limit for errors, limit in zip(right["error"], right["allowed"], strict=True)
    )
