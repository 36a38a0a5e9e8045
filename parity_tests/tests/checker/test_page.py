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

from parity_tests.checker.layers.check import LAYERS, layer
from parity_tests.checker.report import heat
from parity_tests.checker.report.page import LAYERS as SENTENCES
from parity_tests.checker.report.page import render
from parity_tests.contract.records import RECORDS
from parity_tests.ports.contact import first_contact
from parity_tests.ports.frameworks.load import load
from parity_tests.ports.python import PythonPort
from parity_tests.ports.signature import bind
from parity_tests.ports.subject import Plan
from parity_tests.tests.docs.browser import show, until

HOSTILE = """</script><b id="in">"x"'&{{ 7 * 7 }}<img src=x onerror=alert(1)>"""
Open = Callable[..., Chrome]
# As JSON of the command has it.
Json = dict[str, Any]


def one_minus_p(
    logits: torch.Tensor, targets: torch.Tensor, alpha: float, gamma: float
) -> torch.Tensor:
    """The mistake that the page has to make visible."""
    if gamma == 5:
        raise ValueError("not that one")
    u = (2 * targets - 1) * logits
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    modulator = (1 - torch.sigmoid(u)) ** gamma
    return alpha_t * modulator * torch.nn.functional.softplus(-u)


def a_map(title: str, *errors: list[float | str | None]) -> Json:
    """The heat map of a port, with the errors of each γ."""
    texts = [list(map(str, row)) for row in errors]
    value = {"error": errors, "got": texts, "truth": texts, "allowed": [3.0, 7.0], "note": ""}
    return {"title": title, "value": value, "gradient": None}


def a_row(layer: str, status: str, **values: Any) -> Json:
    point = {"point": None, "got": None, "truth": None, "note": None, "reproduce": None}
    row = {"layer": layer, "status": status, "error": None, "allowed": None, "count": 0, "wrong": 0}
    return row | point | values


def a_report(**changes: Any) -> Json:
    errors = {"error": "inf", "allowed": "7", "count": 1400, "wrong": 146}
    point = {"point": {"logits": -31.5}, "got": "0.0", "truth": "2e-21"}
    failed = a_row("values", "FAIL", **errors, **point, note="", reproduce="focal-parity")
    maps: Json = {"margins": [-1.5, 0.0, 17.0], "ticks": [0, 17], "gammas": [0.0, 2.0]}
    maps |= {"about": "target 1", "note": ""}
    maps["port"] = a_map("mypkg:focal", [0.5, 2.0, 8e6], ["nan", "inf", None])
    maps["reference"] = a_map("ours", [0.5, 1.0, 2.0], [0.0, 1.0, 2.0])
    report: Json = {"contract": "2026.11", "title": "mypkg:focal", "maps": maps}
    report |= {"function": "sigmoid_focal_loss", "dtype": "float32", "framework": "jax"}
    report |= {"conventions": {"alpha": "both"}, "fixed": {"gamma": 2.0}}
    report |= {"passed": False, "versions": {"jax": "0.10"}}
    report |= {"grade": "same", "asked": "safe", "kept from the next grade by": "values: got 0.0"}
    report["rows"] = [failed, a_row("options", "not offered")]
    report["diagnosis"] = ["your alpha is ignored"]
    return report | changes


@pytest.fixture
def opened(browser: Chrome, tmp_path: Path) -> Open:
    """Open the page of a report in a window of some width, with some settings of the system."""

    def open_page(
        report: Json, width: int = 1280, media: str = "", scheme: str = "light"
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
    const text = light(getComputedStyle(arguments[0]).color);
    const behind = light(getComputedStyle(box).backgroundColor);
    return Math.max(text, behind) / Math.min(text, behind);
"""
TEXTS = (
    *("h1", ".lead", ".verdict", ".why li", ".quiet"),
    *("td.fail", "td.number", ".again code", ".label", "footer"),
)
LOADED = "return performance.getEntriesByType('resource').map((one) => one.name)"


def test_nothing_is_fetched_and_nothing_is_complained_of(opened: Open) -> None:
    browser = opened(a_report())
    assert browser.execute_script(LOADED) == []
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
    buttons = ["Dark page", "Light page"]
    if scheme == "dark":
        buttons.reverse()
    # As the system has it, and the other way.
    for label in buttons:
        until_it_says(browser, "#theme", label)
        for selector in TEXTS:
            contrast = browser.execute_script(CONTRAST, one(browser, selector))
            assert contrast >= 4.5, selector
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
    for button in browser.find_elements(By.TAG_NAME, "button"):
        assert not button.is_displayed()
    paper = one(browser, "body").value_of_css_property("background-color")
    assert paper == "rgba(255, 255, 255, 1)"


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


# The button shows its answer for a second and a half: the first one is kept for the test.
KEEP = """
    const button = arguments[0];
    const keep = () => (button.dataset.answer ??= button.textContent);
    new MutationObserver(keep).observe(button, { childList: true });
"""


def test_the_command_can_be_copied(opened: Open) -> None:
    browser = opened(a_report())
    button = one(browser, "button.copy")
    browser.execute_script(KEEP, button)
    button.click()
    answer = until(browser, lambda: button.get_attribute("data-answer"))
    assert answer == "Copied"
    assert browser.get_log("browser") == []


def test_what_a_port_says_stays_text(opened: Open) -> None:
    report = a_report(title=HOSTILE, diagnosis=[HOSTILE], fixed={HOSTILE: HOSTILE})
    hostile = dict.fromkeys(("layer", "note", "got", "reproduce"), HOSTILE)
    report["rows"][0] |= {**hostile, "point": {HOSTILE: HOSTILE}}
    port = report["maps"]["port"]
    port["title"] = HOSTILE
    port["value"]["note"] = HOSTILE
    browser = opened(report)
    assert browser.find_elements(By.CSS_SELECTOR, "#in, img") == []
    assert one(browser, "h1").text == HOSTILE
    assert one(browser, "#value-port").text.startswith("at\nmargin −1.5, γ 2")
    assert browser.get_log("browser") == []


def test_a_real_check_is_drawn(opened: Open) -> None:
    plan = Plan(RECORDS["sigmoid_focal_loss"])
    port = PythonPort("one_minus_p", one_minus_p, load("torch"), plan)
    port = first_contact(bind(port, {}))
    row = layer(port, port.plan, "values").as_dict() | {"reproduce": ""}
    maps = heat.maps(port, port.plan)
    browser = opened(a_report(title=port.title, rows=[row], maps=maps))
    assert "γ = 5: ValueError: not that one" in one(browser, "figure .says").text
    assert len(browser.find_elements(By.CSS_SELECTOR, ".plot path.nan")) == 1
    wrong = maps["port"]["value"]
    at = maps["margins"].index(17)
    assert wrong["got"][1][at] == "0.0"
    assert wrong["error"][1][at] > 1e6
    assert set(wrong["error"][-1]) == {None}
    right = maps["reference"]["value"]
    for errors, limit in zip(right["error"], right["allowed"], strict=True):
        assert max(errors) <= limit


def test_every_layer_has_its_sentence() -> None:
    assert SENTENCES.keys() == {"names", *LAYERS}


def test_the_page_says_the_grade() -> None:
    reached = render(a_report(passed=True, grade="safe", asked="safe"))
    assert "reaches the grade <em>safe</em>" in reached
    assert "Its grade is <em>safe</em>" in reached
    below = render(a_report())
    assert "Its grade is <em>same</em>" in below
    assert "What keeps it from the next one: values: got 0.0" in below
    assert "Its grade is" not in render(a_report(asked=None))
