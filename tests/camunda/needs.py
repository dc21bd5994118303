"""What a machine needs for a real Camunda."""

from __future__ import annotations

from . import distribution
from .java import NEEDED, find_java


def missing() -> str | None:
    """What this machine lacks for a real Camunda, as a sentence, or None."""
    if find_java() is None:
        return f"A real Camunda {distribution.VERSION} needs Java {NEEDED} or newer; install one or set JAVA_HOME."
    if distribution.cached() is None and distribution.maven() is None:
        return f"Camunda {distribution.VERSION} is fetched with Maven; install it."
    return None
