"""Why the program ends: the exit codes of `jobfleet`, used by supervisor, commands and documentation alike."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """Exit status of the `jobfleet` command."""

    OK = 0
    """Done; for `run`: drained within the grace period or at its end."""
    FAILED = 1
    """The command ran and its answer is no, or an unexpected error ended it."""
    USAGE = 2
    """The command line is wrong."""
    SETTINGS = 3
    """A setting is wrong; the message names the place."""
    HANDLERS = 4
    """The handlers cannot be loaded; the message names file and line."""
    SOCKET_IN_USE = 5
    """A living fleet listens on the control socket."""
    ENGINE = 6
    """The local engine cannot be started, or an engine does not answer a command that needs it."""
    NO_FLEET = 7
    """No fleet listens on the control socket."""
    FORCED = 8
    """A second signal ended the fleet at once."""
    CREDENTIALS = 9
    """The engine refuses the credentials, or none are to be had."""
    CORE = 10
    """The data path failed, by a defect of jobfleet: another start goes on with the engine's jobs."""
