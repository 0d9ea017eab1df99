"""What a process that speaks HTTP or writes a log sets up first."""

import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


def use_one_http_stack() -> None:
    """Make `import httpx` mean httpx2, the HTTP stack that the MCP SDK and authlib bring along: a process loads one.

    Call it before anything imports httpx; where that has happened already (in tests), the stack stays what it is.
    """
    if "httpx" not in sys.modules and "httpcore" not in sys.modules:
        import httpx2

        httpx2.alias_httpx()


def set_up_logging(level: str, *, tracebacks: bool, as_json: bool = False) -> None:
    """Send our log to standard error from `level` up (audit records are `info`); libraries speak from `warning` up.

    Libraries stay quiet at every level because at `debug` they would log headers, and with them credentials. Without
    `tracebacks` a fault is one line, unless the level is `debug`. `as_json` makes every line a JSON object.
    """
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Stderr)]:
        root.removeHandler(handler)
    handler = _Stderr(tracebacks=tracebacks or level == "debug")
    if as_json:
        handler.setFormatter(_Json())
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("clew").setLevel(level.upper())


class _Stderr(logging.Handler):
    """Writes to whatever standard error is at that moment."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s") if tracebacks else _Line()
        )

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed: nobody is left to read it
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


class _Json(logging.Formatter):
    """One JSON object a line; an audit record stands in it as what it is."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        facts: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.name == "clew.audit" and message.startswith("{"):
            facts["record"] = json.loads(message)
        else:
            facts["message"] = message
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return json.dumps(facts, separators=(",", ":"))


class _Line(logging.Formatter):
    """One line for a person at a terminal, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return f"clew: {record.levelname.lower()}: {record.getMessage()}"
