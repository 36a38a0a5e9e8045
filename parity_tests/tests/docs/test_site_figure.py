"""The figure of docs/mathematics.md, moved as a reader moves it, and its numbers and curves against
the oracle."""

import re
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from parity_tests.contract.tolerances import EPS, allowed
from parity_tests.pages.make_readme import ROOT
from parity_tests.truth import oracle
from parity_tests.truth.float64 import hard_focal

from .browser import show, until
from .site import faults

SET = """
    const slider = document.getElementById(`focal-${arguments[0]}`);
    slider.value = arguments[1];
    slider.dispatchEvent(new Event("input"));
"""
# γ, α and the logit: the defaults, no focus, a γ below 1, saturation on both sides, and no weight
# at all.
POINTS = [
    (2, 0.25, 1),
    (0, 0.5, -3),
    (0.5, 0.25, 17),
    (5, 0.75, 40),
    (2.7, 0.01, -40),
    (0.1, 1, 20),
    (1, 0, 0),
]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 246, 34, 8, 18, 32
RANGES = {"loss": (0.0, 4.0), "slope": (-1.25, 1.25)}
# Coordinates are written with two digits.
ROUNDED = 0.006


@pytest.fixture(params=[1280, 390], ids=["screen", "phone"])
def figure(request: pytest.FixtureRequest, browser: Chrome, site: Path) -> Chrome:
    show(browser, (site / "mathematics.html").as_uri(), request.param)
    return browser


def put(browser: Chrome, gamma: float, alpha: float, logit: float) -> None:
    for name, value in (("gamma", gamma), ("alpha", alpha), ("logit", logit)):
        browser.execute_script(SET, name, value)


def numbers(browser: Chrome) -> dict[tuple[int, str], float]:
    """Target and kind -> the number of the table, with all its digits."""
    values: dict[tuple[int, str], float] = {}
    for target, name in ((1, "one"), (0, "zero")):
        for cell in browser.find_elements(By.CSS_SELECTOR, f"#focal-figure tr.{name} [data-value]"):
            kind = cell.get_attribute("data-kind") or ""
            values[target, kind] = number(cell, "data-value")
    return values


def number(element: WebElement, attribute: str) -> float:
    return float(element.get_attribute(attribute) or "nan")


def require_numbers(browser: Chrome, gamma: float, alpha: float, logit: float) -> None:
    """The numbers are those of the oracle, with the tolerance of float64."""
    put(browser, gamma, alpha, logit)
    values = numbers(browser)
    point = f"γ = {gamma}, α = {alpha}, z = {logit}"
    for target in (1, 0):
        jet = oracle.certified(oracle.sigmoid_focal_loss, logit, target, alpha, gamma)
        for kind, key in (("loss", ()), ("slope", ("logits",))):
            truth = jet[key].value
            # A truth of 0 has an absolute error.
            unit = EPS["float64"] * (abs(truth) or 1)
            error = abs(values[target, kind] - truth) / unit
            limit = allowed("sigmoid_focal_loss", key, gamma, "float64")
            assert error <= limit, f"{kind} of target {target} at {point}: {error} eps"


@pytest.mark.parametrize("point", POINTS)
def test_the_numbers_are_those_of_the_oracle(
    figure: Chrome, point: tuple[float, float, float]
) -> None:
    require_numbers(figure, *point)


def test_the_keyboard_moves_the_sliders(figure: Chrome) -> None:
    before = numbers(figure)
    gamma = figure.find_element(By.ID, "focal-gamma")
    gamma.send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    shown = figure.find_element(By.CSS_SELECTOR, "output[for=focal-gamma]")
    until(figure, lambda: (gamma.get_attribute("value"), shown.text) == ("0.2", "0.2"))
    assert numbers(figure) != before
    jet = oracle.certified(oracle.sigmoid_focal_loss, 1.0, 1, 0.25, 0.2)
    assert numbers(figure)[1, "loss"] == pytest.approx(float(jet[()].value), rel=1e-12)
    assert faults(figure) == []


def points(browser: Chrome, plot: int, name: str) -> np.ndarray:
    """The points of a curve, as part of the width and as a value."""
    svg = browser.find_elements(By.CSS_SELECTOR, "#focal-figure svg")[plot]
    path = svg.find_element(By.CSS_SELECTOR, f"path.{name}").get_attribute("d") or ""
    return np.array(re.findall(r"[ML]([\d.]+),([\d.]+)", path), dtype=float)


def require_curve(
    browser: Chrome, plot: int, name: str, gamma: float, alpha: float, axis: str
) -> None:
    """Every point of a curve lies where the loss, or its slope, is; and there are enough to be a
    curve."""
    kind, (bottom, top) = list(RANGES.items())[plot]
    x, y = points(browser, plot, name).T
    share = (x - LEFT) / (WIDTH - LEFT - RIGHT)
    if axis == "logit":
        z = 12 * share - 6
    else:
        p = np.clip(share, 0.0025, 0.9975)
        z = np.log(p / (1 - p))
    target = np.full(z.shape, name == "one", dtype=int)
    value = hard_focal(z, target, alpha, gamma)[plot]
    height = TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM)
    # A curve is as far off as its slope times the rounding of its abscissa.
    steep = np.abs(np.gradient(height, x))
    limit = ROUNDED * (1 + 2 * steep)
    assert len(x) > 60
    assert np.all(np.abs(height - y) <= limit), f"{name} of {kind}"


@pytest.mark.parametrize("axis", ["logit", "probability"])
@pytest.mark.parametrize(("gamma", "alpha"), [(2, 0.25), (0, 0.5), (0.5, 0.9), (5, 0.3)])
def test_the_curves_are_the_loss_and_its_slope(
    figure: Chrome, gamma: float, alpha: float, axis: str
) -> None:
    put(figure, gamma, alpha, 1)
    Select(figure.find_element(By.ID, "focal-axis")).select_by_value(axis)
    for plot in (0, 1):
        for name in ("one", "zero"):
            require_curve(figure, plot, name, gamma, alpha, axis)


def test_the_points_are_on_the_curves(figure: Chrome) -> None:
    put(figure, 2, 0.25, -2)
    for i, svg in enumerate(figure.find_elements(By.CSS_SELECTOR, "#focal-figure svg")):
        for name in ("one", "zero"):
            circle = svg.find_element(By.CSS_SELECTOR, f"circle.{name}")
            xs, ys = points(figure, i, name).T
            height = np.interp(number(circle, "cx"), xs, ys)
            assert height == pytest.approx(number(circle, "cy"), abs=0.1)


def test_what_a_screen_reader_is_told(figure: Chrome) -> None:
    for name, label in (("gamma", "γ"), ("alpha", "α"), ("logit", "logit z"), ("axis", "against")):
        control = figure.find_element(By.ID, f"focal-{name}")
        assert control.accessible_name.startswith(label)
    for svg in figure.find_elements(By.CSS_SELECTOR, "#focal-figure svg"):
        assert svg.accessible_name


@pytest.mark.parametrize("page", ["tutorial", "tutorial.zh"])
def test_the_figure_takes_the_place_of_a_picture(browser: Chrome, site: Path, page: str) -> None:
    """Which is what readers see without a script, as on GitHub."""
    assert 'src="focal_loss.png"' in (site / f"{page}.html").read_text()
    show(browser, (site / f"{page}.html").as_uri())
    assert len(browser.find_elements(By.CSS_SELECTOR, "#focal-figure svg")) == 2
    assert browser.find_elements(By.CSS_SELECTOR, "#focal-figure img") == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("sigmoid(-u) ** gamma * softplus(-u)", "(1 - sigmoid(u)) ** gamma * softplus(-u)"),
        ("weight: (alpha) => 1 - alpha", "weight: (alpha) => alpha"),
        ("gamma * p * softplus(-u) + q", "p * softplus(-u) + q"),
    ],
)
def test_a_wrong_formula_is_noticed(
    browser: Chrome, tmp_path: Path, right: str, wrong: str
) -> None:
    script = (ROOT / "docs" / "assets" / "figure.js").read_text()
    assert right in script
    (tmp_path / "figure.js").write_text(script.replace(right, wrong))
    body = "<div id='focal-figure'></div><script src='figure.js'></script>"
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset='utf-8'>{body}")
    show(browser, (tmp_path / "page.html").as_uri())
    with pytest.raises(AssertionError, match="eps"):
        require_numbers(browser, 2.7, 0.25, 20)


def test_a_curve_that_is_elsewhere_is_noticed(figure: Chrome) -> None:
    put(figure, 2, 0.25, 1)
    with pytest.raises(AssertionError, match="one of loss"):
        require_curve(figure, 0, "one", 1.5, 0.25, "logit")
