"""The `.env` file: variables that the environment itself does not have. The process environment stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jobfleet.config.camunda_env import truth
from jobfleet.config.errors import SettingsError

_DEFAULT: Final = Path(".env")
_NAMES: Final = ("JOBFLEET_ENV_FILE", "CAMUNDA_LOAD_ENVFILE")


def env_file(environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one that is named, else `.env` of the working directory, unless that is switched off."""
    for name in _NAMES:
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            wanted = truth(name, text)
        except ValueError:
            return Path(text).expanduser()
        return _DEFAULT if wanted else None
    return _DEFAULT if _DEFAULT.is_file() else None


def read_env_file(file: Path) -> dict[str, str]:
    """Its variables; `${NAME}` is replaced as in a shell. Raises `SettingsError` naming file and line."""
    from dotenv import dotenv_values  # noqa: PLC0415 - most fleets have no such file
    from dotenv.parser import parse_stream  # noqa: PLC0415

    try:
        with file.open(encoding="utf-8") as stream:
            wrong = [binding.original.line for binding in parse_stream(stream) if binding.error]
        if wrong:
            raise SettingsError([f"{file}:{line}: expected NAME=value" for line in wrong])
        values = dotenv_values(file, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{file}: cannot be read: {error}"]) from error
    return {name: value for name, value in values.items() if value is not None}
