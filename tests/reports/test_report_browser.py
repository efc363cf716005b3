"""The page in headless Chromium: it renders in both schemes, without errors, and fits narrow windows."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from ser_lightning.reports.report import report

from ..needs import CHROMIUM, no_chromium
from .conftest import Shelf, Study

pytestmark = pytest.mark.skipif(bool(no_chromium()), reason=no_chromium())
MEASURE = "<script>document.title = [document.documentElement.scrollWidth, innerWidth].join(' of ')</script>"


@pytest.fixture
def page(shelf: Shelf) -> Path:
    shelf.crossval(Study(name="network", selected=True, missing={(1, 0): "out of memory"}))
    shelf.crossval(Study(name="machine", epochs=0, learner="classical", model="linear_svm"))
    return report(["network", "machine", *shelf.places, f"out={shelf.root / 'report.html'}"])


def chromium(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [CHROMIUM, *fixed, profile, *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def screenshot(page: Path, name: str, *options: str) -> np.ndarray:
    out = page.parent / f"{name}.png"
    chromium(page, f"--screenshot={out}", "--window-size=1280,3000", *options)
    return imread(out)[..., :3]  # type: ignore[no-any-return]


def test_it_renders_without_errors_and_its_script_runs(page: Path) -> None:
    done = chromium(page, "--dump-dom")
    assert not re.findall(r".*CONSOLE.*", done.stderr)
    button = re.search(r'<button[^>]*id="theme"[^>]*>', done.stdout)
    assert button and "hidden" not in button[0]
    assert done.stdout.count("<section") == 9


def test_both_schemes_are_drawn(page: Path) -> None:
    light = screenshot(page, "light", "--blink-settings=preferredColorScheme=1")
    dark = screenshot(page, "dark", "--blink-settings=preferredColorScheme=0")
    assert light.mean() > 0.85 and dark.mean() < 0.25
    for picture in (light, dark):
        inked = np.abs(picture - picture[5, 5]).max(-1) > 0.3
        assert inked.mean() > 0.01
        assert inked[:1500].any() and inked[1500:].any()


def test_the_theme_that_is_chosen_wins_over_the_systems(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace('<html lang="en">', '<html lang="en" data-theme="dark">'), encoding="utf-8")
    assert screenshot(page, "chosen", "--blink-settings=preferredColorScheme=1").mean() < 0.25


def test_a_narrow_window_scrolls_tables_not_the_page(page: Path) -> None:
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    title = re.search(r"<title>(\d+) of (\d+)</title>", chromium(page, "--dump-dom", "--window-size=500,900").stdout)
    assert title and int(title[1]) <= int(title[2]) <= 500


def test_it_prints(page: Path) -> None:
    out = page.parent / "report.pdf"
    chromium(page, f"--print-to-pdf={out}", "--no-pdf-header-footer")
    assert out.read_bytes().startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", out.read_bytes())) >= 3
