"""A SIGHUP that comes before the fleet can reload: kept for it, where it would end the process."""

import signal
from types import FrameType


class EarlyHangup:
    """Notes SIGHUP from now on, until a handler of the loop takes its place."""

    def __init__(self) -> None:
        self.came = False
        signal.signal(signal.SIGHUP, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
