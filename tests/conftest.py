"""How the tests are spread over processes: a file stays together, and so do all tests of the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of each test."""
    for item in items:
        place = item.path.relative_to(_HERE)
        group = "camunda" if place.parts[0] == "camunda" else str(place)
        item.add_marker(pytest.mark.xdist_group(group))
