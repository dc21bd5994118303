"""Loads handlers from files, folders and dotted modules."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobfleet.handlers.spec import HandlerSpec, Strategy


@dataclass(frozen=True)
class Loaded:
    """The handlers of one pool, ready to run."""

    handlers: list[HandlerSpec]
    """In type-index order."""
    lanes: list[tuple[Strategy, int]]
    """`(kind, slots)` of each lane, in lane order."""
    notes: list[str]
    """Sentences worth showing to the operator."""
    modules: int
    """How many modules are imported in this process."""


def load(paths: Sequence[str], slots: int | None = None) -> Loaded:
    """Import `paths` (files, folders, dotted modules) and describe the handlers that they define.

    `slots` is the ceiling per process for the threads and loop lanes. Raises `LoadError`. Modules stay imported:
    call it once per process, or expect handlers of an earlier call to be imported already.
    """
    raise NotImplementedError
