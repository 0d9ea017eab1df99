"""The command line: `clew`.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration or a person's no, 4 needs a login, 130 interrupted.
"""

import contextlib
import importlib
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence

from clew.core.errors import AuthRevokedError, ClewError, ConfigurationError, DeniedError, InvalidInputError
from clew.servers.cli.line import parse
from clew.servers.cli.output import emit_json, error_data, explain, talk

FAILED, USAGE, LOGIN, INTERRUPTED = 1, 2, 4, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing but that leaves, whatever happens inside."""
    _tolerate_narrow_encodings()
    arguments = sys.argv[1:] if argv is None else argv
    as_json = "--json" in arguments
    try:
        code = _run(parse(arguments))
        _flush()
        return code
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:
        talk("")
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_output()
        return FAILED
    except ClewError as error:
        return _report(error, as_json)
    except Exception as error:
        if os.environ.get("CLEW_LOG_LEVEL") == "debug":
            traceback.print_exc()
        talk(
            f"clew: this is a fault of ours ({type(error).__name__}). "
            "Run it again with CLEW_LOG_LEVEL=debug to see where, and report that."
        )
        return FAILED


def exit_code(error: ClewError) -> int:
    """The exit code an error ends with."""
    if isinstance(error, AuthRevokedError):
        return LOGIN
    unsent = isinstance(error, InvalidInputError) and error.reference is None
    return USAGE if unsent or isinstance(error, ConfigurationError | DeniedError) else FAILED


def _run(arguments: Namespace) -> int:
    module, _, function = str(arguments.run).partition(":")
    code: int = getattr(importlib.import_module(module), function)(arguments)
    return code


def _report(error: ClewError, as_json: bool) -> int:
    try:
        if as_json:
            emit_json(error_data(error))
        explain(error)
        _flush()
    except BrokenPipeError:
        _abandon_output()
    return exit_code(error)


def _flush() -> None:
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - None when it was closed
        sys.stdout.flush()


def _abandon_output() -> None:
    """Nobody reads any more: let the interpreter flush into nothing at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tolerate_narrow_encodings() -> None:
    """Where the terminal cannot show a character, show its code instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "encoding", None) and stream.encoding.lower().replace("-", "") != "utf8":
            with contextlib.suppress(AttributeError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
