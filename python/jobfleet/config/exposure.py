"""Tells of secrets where others can read them."""

from __future__ import annotations

import stat
from pathlib import Path

from jobfleet.config.engine_url import parse_engine_url
from jobfleet.config.secret import Secret
from jobfleet.config.shape import KeyPath, bare_type
from jobfleet.config.sources import Raw, Source


def exposed_secrets(file: Path | None, source: Source) -> list[str]:
    """A sentence when `file`, from which `source` was read, holds a secret and other users may read it."""
    if file is None or not any(_is_secret(path, raw) for path, raw in source.items()):
        return []
    try:
        mode = file.stat().st_mode
    except OSError:
        return []
    if not mode & (stat.S_IRGRP | stat.S_IROTH):
        return []
    return [f"{file} holds a secret and other users may read it; chmod 600 {file}"]


def visible_password(on_command_line: bool, url: str | None) -> list[str]:
    """A sentence when a password stands where the list of processes shows it."""
    if not on_command_line or url is None or parse_engine_url(url).authorization is None:
        return []
    return ["every user of this host can read the password in --engine; give it in JOBFLEET_AUTH_PASSWORD_FILE"]


def _is_secret(path: KeyPath, raw: Raw) -> bool:
    if path == ("engine", "url"):
        try:
            return parse_engine_url(str(raw.value)).authorization is not None
        except ValueError:
            return False
    return Secret in bare_type(path)
