"""Secrets from a hidden prompt, standard input or a file; never from the command line."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.servers.cli.output import is_terminal

_LARGEST = 64 * 1024


def read_secrets(fields: Sequence[str], *, what: str, file: str | None, spaces: bool) -> dict[str, Secret]:
    """The secret fields of one credential. Raises `ConfigurationError` for nothing, too much or control characters.

    Without a terminal each field is one line. `what` names the credential in the prompt. `spaces` allows them, and
    letters beyond ASCII (in passwords).
    """
    if file is not None:
        texts = _lines(_from_file(file), fields, where=file)
    elif is_terminal(sys.stdin):
        texts = [_ask(f"{what} {field.replace('_', ' ')} (nothing is shown): ") for field in fields]
    elif sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - None when it was closed
        raise ConfigurationError("standard input is closed: run this on a terminal, send the secret in, or use --file.")
    else:
        texts = _lines(_from_stdin(), fields, where="standard input")
    return {field: _checked(field, text, spaces=spaces) for field, text in zip(fields, texts, strict=True)}


def read_text_file(file: str) -> str:
    """A whole file of several lines, such as a key in PEM, at most 64 KiB. Raises `ConfigurationError`."""
    text = _from_file(file)
    if len(text) > _LARGEST:
        raise ConfigurationError(f"{file} holds more than {_LARGEST // 1024} kB: that is no such secret.")
    if not text.strip():
        raise ConfigurationError(f"{file} holds nothing; nothing was stored.")
    return text


def _ask(prompt: str) -> str:
    import getpass

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt, stream=sys.stderr)
        except EOFError:
            raise ConfigurationError("nothing was entered; nothing was stored.") from None
        except getpass.GetPassWarning:
            raise ConfigurationError("this terminal cannot hide what is typed: use --file.") from None


def _from_file(file: str) -> str:
    try:
        with Path(file).open(encoding="utf-8") as stream:
            return stream.read(_LARGEST + 1)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None


def _from_stdin() -> str:
    try:
        return sys.stdin.read(_LARGEST + 1)
    except (UnicodeDecodeError, OSError):
        raise ConfigurationError("standard input cannot be read as UTF-8 text.") from None


def _lines(text: str, fields: Sequence[str], *, where: str) -> list[str]:
    """One line per field; a line break at the end is not part of the last one."""
    if len(text) > _LARGEST:
        raise ConfigurationError(f"{where} holds more than {_LARGEST // 1024} kB: that is no such secret.")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigurationError(f"{where} holds nothing; nothing was stored.")
    lines = [line.removesuffix("\r") for line in text.split("\n")] if len(fields) > 1 else [text]
    if len(lines) != len(fields):
        wanted = " and then ".join(fields)
        raise ConfigurationError(f"{where} must hold {len(fields)} lines: {wanted}.")
    return lines


def _checked(field: str, text: str, *, spaces: bool) -> Secret:
    name = field.replace("_", " ")
    if not text.strip():
        raise ConfigurationError(f"the {name} is empty; nothing was stored.")
    if not text.isprintable():
        raise ConfigurationError(f"the {name} holds a line break or another control character; nothing was stored.")
    value = text.strip()
    if not spaces and (not value.isascii() or " " in value):
        raise ConfigurationError(f"the {name} holds characters that no such secret has; was it copied whole?")
    return Secret(value)
