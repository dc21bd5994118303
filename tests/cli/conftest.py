"""Fixtures for tests of the commands."""

from tests.supervisor.conftest import run_fleet

__all__ = ["run_fleet"]
