"""How the tests are spread over processes: a file stays together, and so do all tests of the real engine. What a
failure leaves to look at."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

_HERE = Path(__file__).parent

_LOG_LINES = 40
"""The end of a log that a failure shows."""


# Before pytest-xdist, which reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of each test."""
    for item in items:
        place = item.path.relative_to(_HERE)
        group = "camunda" if place.parts[0] == "camunda" else str(place)
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Groups that are ignored go unnoticed: there is one engine for each process then, and tests fail by the load."""
    names = [item.nodeid for item in session.items]
    if session.config.getoption("loadgroup", default=False) and not all("@" in name for name in names):
        raise pytest.UsageError("pytest-xdist does not keep groups of tests together with this version of pytest")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure the logs of what ran in the test's folder: the folder is gone when somebody reads of it."""
    report = yield
    folder = item.funcargs.get("tmp_path") if isinstance(item, pytest.Function) else None
    if report.outcome != "passed" and isinstance(folder, Path):
        for log in sorted(folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            report.sections.append((log.name, "\n".join(lines)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how the tests failed first that passed when they ran again."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("_", f"{report.nodeid} failed before it ran again")
        terminalreporter.write_line(report.longreprtext)
        for title, text in report.sections:
            terminalreporter.write_sep("-", title)
            terminalreporter.write_line(text)
