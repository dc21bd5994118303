"""Turns what goes wrong while handlers are imported into one sentence with place and remedy."""

import os
import sys
import traceback
from types import TracebackType

from jobfleet.handlers.errors import HandlerOptionError, LoadError

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def explain_import(given: str, error: BaseException, roots: list[str]) -> LoadError:
    """The LoadError for `error`, raised while `given` was imported; `roots` are the folders of handler code."""
    detail = "".join(traceback.format_exception(type(error), error, _below_import(error.__traceback__)))
    if isinstance(error, LoadError):
        return error
    if isinstance(error, SyntaxError):
        message = f"{_place(error.filename, error.lineno)} has a syntax error: {error.msg}; correct that line"
        return LoadError(message, path=error.filename, line=error.lineno, detail=detail)
    file, line = _culprit(error.__traceback__, roots)
    where = _place(file, line) if file is not None else given
    return LoadError(_sentence(given, where, error), path=file or given, line=line, detail=detail)


def _sentence(given: str, where: str, error: BaseException) -> str:
    if isinstance(error, HandlerOptionError):
        return f"{where}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        return _missing_module(given, where, error.name)
    if isinstance(error, ImportError) and "relative import" in str(error):
        return f"{where} uses a relative import outside of a package; give its folder instead of the file"
    if isinstance(error, ImportError):
        return f"{where} cannot import: {error}; correct the import"
    if isinstance(error, SystemExit):
        return f"{where} exits while it is imported; guard it with: if __name__ == '__main__'"
    return f"{where} raises {type(error).__name__} while it is imported: {_first_line(error)}; correct it"


def _missing_module(given: str, where: str, missing: str) -> str:
    if where == given and f"{given}.".startswith(f"{missing}."):
        return f"{given!r} is not a file, a folder or an importable module; correct the name"
    top = missing.partition(".")[0]
    if top in sys.modules:
        return f"{where} imports {missing!r}, which does not exist; correct the name"
    return (
        f"{where} imports {missing!r}, which is not installed for {sys.executable}; "
        f"install it there, for example with: {sys.executable} -m pip install {top}"
    )


def _place(file: str | None, line: int | None) -> str:
    if file is None:
        return "a handler file"
    shown = os.path.relpath(file) if file.startswith(os.getcwd() + os.sep) else file
    return shown if line is None else f"{shown}:{line}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or "without a message"


def _culprit(trace: TracebackType | None, roots: list[str]) -> tuple[str | None, int | None]:
    """File and line of the innermost frame in handler code; failing that, of the innermost frame not ours."""
    frames = [frame for frame in traceback.extract_tb(trace) if not _machinery(frame.filename)]
    within = tuple(os.path.join(root, "") for root in roots)
    libraries = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)
    own = [f for f in frames if f.filename.startswith(within) and not any(part in f.filename for part in libraries)]
    chosen = (own or frames)[-1:]
    return (chosen[0].filename, chosen[0].lineno) if chosen else (None, None)


def _below_import(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of jobfleet and of the import machinery at its top."""
    below = trace
    while below is not None and _machinery(below.tb_frame.f_code.co_filename):
        below = below.tb_next
    return below


def _machinery(filename: str) -> bool:
    return filename.startswith(("<frozen importlib", _OWN)) or f"{os.sep}importlib{os.sep}" in filename
