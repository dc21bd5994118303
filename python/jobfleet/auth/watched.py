"""Secrets that stand in files and are renewed by somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from jobfleet.auth.errors import AuthError, Kind
from jobfleet.config.secret import Secret

# More than any token; a larger file is not one.
_LARGEST_BYTES = 64 * 1024


class SecretText(Protocol):
    """A secret, wherever it stands."""

    def read(self) -> str: ...
    def has_changed(self) -> bool: ...


class FixedSecret:
    """A secret of the settings."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def read(self) -> str:
        """The secret."""
        return self._secret.reveal()

    def has_changed(self) -> bool:
        """Never."""
        return False


class WatchedFile:
    """A file with a secret. It may be replaced by a rename or through a symbolic link."""

    def __init__(self, path: Path, what: str) -> None:
        """`what` names the secret in messages."""
        self._path = path
        self._what = what
        self._seen: tuple[int, ...] | None = None
        self._was_read = False

    def read(self) -> str:
        """What it says now, without white space around it. Raises `AuthError`."""
        self._seen, self._was_read = self._stamp(), True
        try:
            with self._path.open("rb") as file:
                data = file.read(_LARGEST_BYTES + 1)
            text = data.decode("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise AuthError(Kind.OUTAGE, f"{self._what} cannot be read from {self._path}: {why}") from None
        if not text or len(data) > _LARGEST_BYTES:
            state = "is empty" if not text else "is too large"
            raise AuthError(Kind.OUTAGE, f"{self._what} cannot be read from {self._path}: the file {state}")
        return text

    def has_changed(self) -> bool:
        """Whether the file is another one than `read` has seen; no, before the first `read`."""
        return self._was_read and self._stamp() != self._seen

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_dev, found.st_size, found.st_ctime_ns)
