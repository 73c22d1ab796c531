"""Being asked to stop: by Ctrl-C, or by a scheduler that takes the machine away."""

import signal
import threading
from types import FrameType
from typing import Any


class StopRequest:
    """While in force, notes the first SIGINT or SIGTERM as ``asked``; the second acts as ever.

    Only the main thread can have signals; in another nothing is noted. A signal that the process ignores (as one in the
    background of a shell does Ctrl-C) stays ignored.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in self.SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self.__exit__()
