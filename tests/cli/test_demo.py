"""The demo, shortened."""

from __future__ import annotations

from pathlib import Path

from .test_run import jobfleet

ROOT = Path(__file__).parents[2]


def test_demo_kills_a_worker_and_ends_by_itself_with_an_account_that_adds_up(tmp_path: Path) -> None:
    done = jobfleet(tmp_path, "demo", str(ROOT / "examples"), "--jobs", "8000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "with SIGKILL" in done.stdout
    assert "is replaced by process" in done.stdout
    assert "The account adds up." in done.stdout


def test_demo_without_handlers_says_what_it_needs(tmp_path: Path) -> None:
    done = jobfleet(tmp_path, "demo")
    assert done.returncode != 0
    assert "examples does not exist" in done.stderr
