"""Errors that a handler author or an operator meets."""


class LoadError(Exception):
    """Handlers cannot be loaded. `str()` is one sentence: what, where, and what to do about it.

    `path` and `line` locate the cause where they are known; `detail` is the traceback text, if there is one.
    """

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.line = line
        self.detail = detail


class HandlerOptionError(ValueError):
    """A decorator got an option that cannot work. Loading turns it into a `LoadError` with file and line."""
