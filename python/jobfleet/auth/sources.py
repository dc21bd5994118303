"""Where a header comes from, for every strategy but OAuth and classes of the user."""

from __future__ import annotations

from typing import Protocol

from jobfleet.auth.authorization import Authorization, basic, bearer
from jobfleet.auth.errors import AuthError, Kind
from jobfleet.auth.watched import SecretText, WatchedFile


class Source(Protocol):
    """Hands out the header."""

    @property
    def name(self) -> str:
        """What it is, for messages and `status`."""
        ...

    @property
    def watches(self) -> bool:
        """Whether `has_changed` can ever say yes."""
        ...

    async def get(self, present: str | None) -> Authorization:
        """The header; another one than `present`, which has to be replaced, if there is one. Raises `AuthError`."""
        ...

    def has_changed(self) -> bool:
        """Whether `get` would give something else because a file has changed. Cheap."""
        ...

    def complaint(self) -> str | None:
        """What does not work as it should although there is a header, in one sentence."""
        ...


class Basic:
    """HTTP Basic."""

    def __init__(self, username: str, password: SecretText) -> None:
        self._username = username
        self._password = password
        self.name = f"basic, user {username!r}"
        self.watches = True

    async def get(self, present: str | None) -> Authorization:
        """The header of the present password."""
        return basic(self._username, self._password.read())

    def has_changed(self) -> bool:
        """Whether the file of the password was replaced."""
        return self._password.has_changed()

    def complaint(self) -> str | None:
        """Nothing."""
        return None


class TokenFile:
    """A bearer token that somebody else renews."""

    def __init__(self, file: WatchedFile) -> None:
        self._file = file
        self.name = "token file"
        self.watches = True

    async def get(self, present: str | None) -> Authorization:
        """The token that the file holds now."""
        try:
            return bearer(self._file.read())
        except ValueError as error:
            raise AuthError(Kind.OUTAGE, f"auth.token_file: {error}") from None

    def has_changed(self) -> bool:
        """Whether the file was replaced."""
        return self._file.has_changed()

    def complaint(self) -> str | None:
        """Nothing."""
        return None
