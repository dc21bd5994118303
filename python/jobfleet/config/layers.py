"""Sources on top of each other."""

from __future__ import annotations

from collections.abc import Mapping

from jobfleet.config.shape import KeyPath
from jobfleet.config.sources import Raw, Source
from jobfleet.config.tls import CAMUNDA_VARIABLES

_SPELLINGS = {"file": "pem", "pem": "file"}


def layered(*sources: Source) -> Source:
    """All of them, the strongest last. A certificate as text replaces one in a file of a weaker source, and back."""
    merged: Source = {}
    for source in sources:
        for path in source:
            other = _other_spelling(path)
            if other is not None and other not in source:
                merged.pop(other, None)
        merged.update(source)
    return merged


def camunda_certificates(environ: Mapping[str, str], place: str = "") -> Source:
    """What the `CAMUNDA_MTLS_*` variables set. `place` stands before their names in messages."""
    return {
        ("engine", "tls", setting): Raw(environ[name], f"{place}{name}", True)
        for name, setting in CAMUNDA_VARIABLES.items()
        if environ.get(name)
    }


def _other_spelling(path: KeyPath) -> KeyPath | None:
    """The setting that stands for the same thing, such as `ca_pem` for `ca_file`."""
    if path[:2] != ("engine", "tls"):
        return None
    what, _, spelling = path[-1].rpartition("_")
    return (*path[:-1], f"{what}_{_SPELLINGS[spelling]}") if spelling in _SPELLINGS else None
