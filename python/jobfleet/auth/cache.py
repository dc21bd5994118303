"""The token cache: one file for each credential, which fleets of one user share and which outlives a restart."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

# A token that ends sooner is not worth taking over.
_LEAST_LEFT_S: Final = 10.0
_LARGEST_BYTES: Final = 256 * 1024
# Another fleet that fetches holds the lock for as long as a token request may take.
_LOCK_S: Final = 20.0
_LOCK_TICK_S: Final = 0.05


class CachedToken(msgspec.Struct):
    """A token on disk. Times are those of the wall clock, since they have to mean something to another process."""

    access_token: str
    obtained_at: float
    expires_at: float

    def left_s(self, now: float) -> float:
        """Seconds that it still lasts; none when the clock says that it comes from the future."""
        return self.expires_at - now if self.obtained_at <= now + 60 else 0.0


class TokenCache:
    """Reads and writes the file of one credential. Blocks, so it belongs into a thread."""

    def __init__(self, folder: Path, *credential: str) -> None:
        """`credential` is everything that makes the token what it is, but for the secret."""
        digest = hashlib.sha256("\0".join(credential).encode()).hexdigest()[:32]
        self._folder = folder
        self.path = folder / f"token-{digest}.json"
        self.complaint: str | None = None
        """What is wrong with the file or its folder, in one sentence."""

    def load(self) -> CachedToken | None:
        """The token, if the file is there, is ours alone, and the token still lasts."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.complaint = f"the token cache {self.path} cannot be read: {error.strerror}"
            return None
        with open(fd, "rb") as file:
            if not self._is_ours(os.fstat(fd)):
                return None
            data = file.read(_LARGEST_BYTES)
        try:
            token = msgspec.json.decode(data, type=CachedToken)
        except msgspec.DecodeError:
            # Cut off by a full disk, or another program's: the next one replaces it.
            return None
        return token if token.left_s(time.time()) > _LEAST_LEFT_S else None

    def store(self, token: str, expires_in_s: float) -> None:
        """Replace the file. A failure costs only the cache."""
        now = time.time()
        data = msgspec.json.encode(CachedToken(token, now, now + expires_in_s))
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                os.fchmod(fd, 0o600)
                file.write(data)
                file.flush()
                os.fsync(fd)
            os.rename(draft, self.path)
        except OSError as error:
            self.complaint = f"the token cache {self.path} cannot be written: {error.strerror}"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other fleets from fetching the same token meanwhile. Goes on without after 20 seconds."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self.complaint = f"the token cache in {self._folder} cannot be used: {error.strerror}"
            yield
            return
        try:
            _wait_for_lock(fd)
            yield
        finally:
            os.close(fd)

    def _is_ours(self, found: os.stat_result) -> bool:
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
            self.complaint = f"the token cache {self.path} belongs to somebody else and is not used"
        elif stat.S_IMODE(found.st_mode) & 0o077:
            self.complaint = f"the token cache {self.path} can be read by others and is not used; it needs mode 0600"
        else:
            return True
        return False


def _wait_for_lock(fd: int) -> None:
    deadline = time.monotonic() + _LOCK_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_TICK_S)
        else:
            return
