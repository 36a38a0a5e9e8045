"""Chromium for the tests of pages, and a page in a window of some width, with some settings of the system."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

QUIET = ("gpu", "quic", "sync", "background-networking", "component-update")
OPTIONS = ("--headless=new", "--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET))


@contextlib.contextmanager
def started(profile: Path) -> Iterator[Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        raise FileNotFoundError("tests of pages need Chromium and its driver: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options, ChromeService(driver)) as chrome:
        yield chrome


def show(browser: Chrome, address: str, width: int = 1280, media: str = "", scheme: str = "light") -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    settings = {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", settings)
    browser.get_log("browser")
    browser.get(address)
