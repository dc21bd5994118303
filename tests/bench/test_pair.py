"""Two builds compared in turns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.pair import interval_of_median
from bench.paths import ROOT


def test_interval_of_ten_pairs_leaves_out_the_outermost_of_each_side() -> None:
    ratios = [1.04, 0.90, 1.01, 1.02, 1.00, 0.99, 1.30, 1.03, 0.98, 0.97]
    assert interval_of_median(ratios) == (0.97, 1.04)


def test_interval_narrows_with_more_pairs() -> None:
    assert interval_of_median(range(1, 21)) == (6, 15)


def test_five_pairs_are_too_few_for_an_interval() -> None:
    assert interval_of_median([1.0] * 5) is None
    assert interval_of_median([0.9, 1.0, 1.0, 1.0, 1.0, 1.1]) == (0.9, 1.1)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "is not built"),
        ("#!/bin/sh\nexit 1\n", "has an extension that cannot be loaded"),
        ("#!/bin/sh\necho True\n", "has a debug build"),
    ],
)
def test_folder_that_cannot_be_measured_is_named_with_the_remedy(
    tmp_path: Path, script: str | None, words: str
) -> None:
    if script:
        folder = tmp_path / ".venv" / "bin"
        folder.mkdir(parents=True)
        for name in ("jobfleet", "python"):
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
    command = [sys.executable, "-m", "bench", "pair", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"bench: {tmp_path} {words}" in done.stderr
    assert "run `make build` there" in done.stderr
