"""What the benchmarks say about their figures."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.measure import Figures, median_of
from bench.report import Mark
from bench.tree import Tree


@pytest.mark.parametrize(
    ("mark", "verdict"),
    [
        (Mark("share", 0.80, at_least=0.6, stretch=0.75), "stretch"),
        (Mark("share", 0.60, at_least=0.6, stretch=0.75), "met"),
        (Mark("share", 0.59, at_least=0.6, stretch=0.75), "MISSED"),
        (Mark("cost", 1.6, at_most=2, stretch=1.6), "stretch"),
        (Mark("cost", 1.7, at_most=2, stretch=1.6), "met"),
        (Mark("cost", 2.1, at_most=2, stretch=1.6), "MISSED"),
        (Mark("cost", 2.1, at_most=2.5), "met"),
        (Mark("wait", 2.1), "shown"),
    ],
)
def test_mark_is_judged_by_its_bounds(mark: Mark, verdict: str) -> None:
    assert mark.verdict == verdict


def test_rounds_are_summed_up_by_their_medians() -> None:
    rounds = [Figures("one", rate, cost, 1.0) for rate, cost in ((100, 9), (300, 7), (90, 8))]
    middle = median_of(rounds)
    assert (middle.client, middle.jobs_per_s, middle.cpu_us, middle.memory_mb) == ("one", 100, 8, None)


def test_tree_counts_the_cpu_of_children_alive_and_gone() -> None:
    burn = "sum(range(4_000_000))"
    child = f"import sys; {burn}; print(1, flush=True); sys.stdin.read()"
    program = (
        "import subprocess as s, sys\n"
        f"s.run([sys.executable, '-c', {burn!r}], check=True)\n"
        f"child = s.Popen([sys.executable, '-c', {child!r}], stdin=s.PIPE, stdout=s.PIPE)\n"
        "child.stdout.readline(); print(1, flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    tree = Tree(process.pid)
    alone = sum(tree.alive()[0].cpu_times()[:2])
    assert len(tree.alive()) == 2
    assert tree.cpu_s() > alone + 0.02
    assert tree.pss_mb() > 1
    process.communicate()
