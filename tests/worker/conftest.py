"""Fixtures for tests on real worker processes."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .fleet import Worker, Zygote, become_subreaper


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    """A zygote that works in `tmp_path`."""
    become_subreaper()
    zygote = Zygote(tmp_path)
    yield zygote
    zygote.close()


@pytest.fixture
def worker(zygote: Zygote, tmp_path: Path) -> Callable[..., Worker]:
    """Start a worker of the handlers whose source is given; it takes jobs when this returns."""

    def start(source: str, **options: int | None) -> Worker:
        (tmp_path / "handlers.py").write_text(textwrap.dedent(source))
        reply = zygote.load("handlers.py", **options)
        assert reply["op"] == "loaded", reply
        return zygote.fork().wait_ready()

    return start
