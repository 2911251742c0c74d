from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from markets import FREE, QUICK, frame, panel
from visits import FLAGS

from riskoverlay.feeds import Panel, load
from riskoverlay.studies.workbench import Config, make_config

__all__ = ["FREE", "QUICK", "frame", "panel"]

settings.register_profile("default", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
# Every run of a test the same, and its first failure is enough: for mutation testing.
settings.register_profile(
    "steady", settings.get_profile("default"), derandomize=True, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark a tenth of the cases of every long test, its first among them: what `.ci/run` runs of them."""
    seen: dict[str, int] = {}
    for item in items:
        if item.get_closest_marker("long"):
            function = item.nodeid.partition("[")[0]
            if seen.setdefault(function, 0) % 10 == 0:
                item.add_marker("tenth")
            seen[function] += 1


@pytest.fixture(scope="session")
def sample() -> Panel:
    """Three years of the sample market."""
    return load("sample", end="2012-12-31")


@pytest.fixture
def quick() -> Config:
    """Parameters with which a few hundred sessions go through every rule."""
    return make_config(QUICK)


@pytest.fixture(scope="session")
def market() -> Path:
    """Folder of real prices; tests that need it are skipped without it."""
    folder = os.environ.get("RISKOVERLAY_MARKET")
    if not folder:
        pytest.skip("RISKOVERLAY_MARKET is not set: no real prices")
    return Path(folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests")
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    program = next((path for path in found if path), None)
    if program is None:
        pytest.skip("no chromium on this machine (apt-get install chromium): no browser tests")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()
