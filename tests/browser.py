"""A headless Chromium for the tests of the page; where none is installed, they skip."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WHERE = "install Chromium: apt-get install chromium chromium-driver"
# What a page would load from elsewhere; links that a reader may follow are none of it.
FROM_ELSEWHERE = r'(?:src="|<(?!a )[^>]*href=")(?:https?:)?//'
LAPTOP, PHONE = (1440, 900), (390, 844)


@contextmanager
def chromium(size: tuple[int, int] = LAPTOP, dark: bool = False) -> Iterator:
    """Yield a Selenium driver of a window of this size, or skip the test."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if not browser or not driver_path:
        pytest.skip(f"no Chromium with its driver is here: {WHERE}")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    flags = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage"]
    flags += ["--no-sandbox"] * (os.geteuid() == 0)  # root has no sandbox
    for flag in flags:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver_path)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        if dark:
            feature = {"name": "prefers-color-scheme", "value": "dark"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        yield driver
    finally:
        driver.quit()


def open_page(driver, page: Path, seconds: float = 30) -> None:
    """Open the page without any network, and wait until its charts are drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    driver.get(page.as_uri())
    WebDriverWait(driver, seconds).until(
        lambda d: d.execute_script("return document.documentElement.dataset.ready") == "yes"
    )


def complaints(driver) -> list[str]:
    """Return what the browser's console says."""
    return [entry["message"] for entry in driver.get_log("browser")]


def screenshot(driver, path: Path) -> Path:
    """Write the whole page as a PNG file."""
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(taken["data"]))
    return path


def click(driver, selector: str) -> None:
    """Click on the first element that a selector finds."""
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def fill(driver, selector: str, value: str) -> None:
    """Enter a value, or choose it, in the first element that a selector finds."""
    driver.execute_script(
        "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}));",
        selector,
        value,
    )
