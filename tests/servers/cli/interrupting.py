"""`clew` on a terminal, over and over: each time with Ctrl-C one line of the question later, until none is left.

The words of the command are this program's. A trace counts the lines that run from the moment the question is taken up
until it is answered, and sends the signal at the next of them; then the exit code of each run is printed. The last run
gets no signal.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any

from clew.core.host import Question
from clew.servers.cli import calling, main

TRACED = {"confirm", "_line_of_terminal"}


class Moment:
    """Sends Ctrl-C at the line that is `at` lines into the question."""

    def __init__(self, at: int) -> None:
        self.left = at

    def calls(self, frame: FrameType, event: str, argument: Any) -> Any:
        inside = frame.f_code.co_filename == calling.__file__ and frame.f_code.co_name in TRACED
        return self.lines if inside else None

    def lines(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
        return self.lines


def run(at: int) -> bool:
    """One run with Ctrl-C at this moment; whether there was such a moment."""
    moment = Moment(at)

    class Traced(calling.TerminalHost):
        async def confirm(self, question: Question) -> bool:
            sys.settrace(moment.calls)
            try:
                return await super().confirm(question)
            finally:
                sys.settrace(None)

    host, calling.TerminalHost = calling.TerminalHost, Traced  # type: ignore[misc]
    code = main(sys.argv[1:])
    calling.TerminalHost = host  # type: ignore[misc]
    print(f"moment {at}: {code}", flush=True)
    return moment.left <= 0


if __name__ == "__main__":
    at = 1
    while run(at):
        at += 1
