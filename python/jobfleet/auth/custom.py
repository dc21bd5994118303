"""A class of the user as a source of headers."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys
from typing import Any

from jobfleet.auth.authorization import Authorization
from jobfleet.auth.background import in_background
from jobfleet.auth.errors import AuthError, Kind

# Longer than any login that is worth waiting for.
_LIMIT_S = 30.0


class Provided:
    """Asks an object of the class at a dotted path; `jobfleet.auth` tells what it must have."""

    def __init__(self, dotted: str) -> None:
        """Import and make it. Raises `ValueError` with a sentence for people."""
        self.name = f"provider {dotted}"
        self.watches = False
        self._dotted = dotted
        self._provider = _make(dotted)

    async def get(self, present: str | None) -> Authorization:
        """What the object says now."""
        method = self._provider.authorization
        try:
            if inspect.iscoroutinefunction(method):
                answer = await asyncio.wait_for(method(), _LIMIT_S)
            else:
                answer = await in_background(method, _LIMIT_S)
        except (TimeoutError, asyncio.TimeoutError):
            raise AuthError(Kind.OUTAGE, f"auth.provider {self._dotted} does not answer in {_LIMIT_S:g} s") from None
        except Exception as error:
            message = f"auth.provider {self._dotted} raises {type(error).__name__}: {error}"
            raise AuthError(Kind.OUTAGE, message) from None
        return self._checked(answer)

    def has_changed(self) -> bool:
        """Not known."""
        return False

    def complaint(self) -> str | None:
        """Nothing."""
        return None

    def _checked(self, answer: Any) -> Authorization:
        """An `Authorization`, a text, or a text and seconds."""
        if isinstance(answer, Authorization):
            return answer
        value, expires_in_s = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
        numeric = expires_in_s is None or isinstance(expires_in_s, int | float)
        if isinstance(value, str) and numeric:
            try:
                return Authorization(value, expires_in_s)
            except ValueError as error:
                raise AuthError(Kind.OUTAGE, f"auth.provider {self._dotted}: {error}") from None
        found = type(answer).__name__
        raise AuthError(
            Kind.OUTAGE,
            f"auth.provider {self._dotted} returns a {found}; expected an Authorization, or a text and its seconds",
        )


def _make(dotted: str) -> Any:
    module_name, _, class_name = dotted.replace(":", ".").rpartition(".")
    if not module_name:
        raise ValueError(f"auth.provider: expected a class such as package.module.Class, not {dotted!r}")
    # As for handlers: modules of the working directory can be named.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        made = getattr(importlib.import_module(module_name), class_name)()
    except Exception as error:
        raise ValueError(f"auth.provider: {dotted} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(getattr(made, "authorization", None)):
        raise ValueError(f"auth.provider: {dotted} has no method `authorization`")
    return made
