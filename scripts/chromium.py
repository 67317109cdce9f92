"""Headless Chromium for the scripts that look at gavel's pages. Needs selenium; chromium and
chromium-driver (Debian)."""
import shutil


def browser(width, dark):
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                 "--hide-scrollbars", f"--window-size={width},1300"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    b = webdriver.Chrome(options=options,
                         service=webdriver.ChromeService(shutil.which("chromedriver")))
    b.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    b.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 1300, "deviceScaleFactor": 1, "mobile": width < 600})
    return b
