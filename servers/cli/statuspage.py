"""The page that `clew auth status` prints: what is connected, whose it is, how long it holds, and what to do."""

import shutil
import sys
from typing import Any

from clew.auth.advice import connect_command
from clew.core.connection import LOCAL_TENANT
from clew.servers.cli.output import Cell, ago, duration, emit, is_terminal, paint, table

HEADINGS = ("CONNECTOR", "ACCOUNT", "STATE", "IDENTITY", "KIND", "SCOPES", "REFRESHED")
_IDENTITY = HEADINGS.index("IDENTITY")
_SPARSE = ("SCOPES", "REFRESHED")
_EXPENDABLE = ("REFRESHED", "SCOPES", "KIND")
"""What a narrow terminal can do without, first to last."""
_NARROWEST = 16
"""How many characters of an identity are worth showing."""
SOON_SECONDS = 7 * 86400.0
"""An end that only a person can put off is said this long before."""
_KINDS = {
    "oauth2": "login",
    "bearer": "token",
    "api_key": "key",
    "basic": "password",
    "oauth1": "OAuth 1 keys",
    "wsse": "WS-Security",
    "aws": "AWS keys",
    "client_credentials": "client",
    "jwt_bearer": "service account",
    "session": "session",
    "token_exchange": "workload",
    "aws_web_identity": "AWS workload",
}


def show(rows: list[dict[str, Any]]) -> None:
    """Print how many there are and how they are, the connections, and a line for each that needs a person."""
    cells = [_row(each) for each in rows]
    # A column that says nothing about anybody only makes the others narrower.
    kept = [place for place, name in enumerate(HEADINGS) if name not in _SPARSE or any(row[place] for row in cells)]
    if is_terminal(sys.stdout):
        kept = _fitted(cells, kept, shutil.get_terminal_size().columns)
    emit(_summary(rows), "")
    table([HEADINGS[place] for place in kept], [[row[place] for place in kept] for row in cells])
    notes = [note for each in rows for note in _notes(each)]
    if notes:
        emit("", *notes)


def _summary(rows: list[dict[str, Any]]) -> str:
    """`8 accounts: 5 ready, 1 ending soon, 2 to be connected again`."""
    broken = sum(each["state"] != "ready" for each in rows)
    ending = sum(_ends_soon(each) is not None for each in rows)
    counts = (
        (len(rows) - broken - ending, "ready"), (ending, "ending soon"), (broken, "to be connected again"),
    )  # fmt: skip
    said = ", ".join(f"{count} {word}" for count, word in counts if count)
    whose = rows[0]["tenant"]
    of = "" if whose == LOCAL_TENANT else f" of tenant {whose}"
    return f"{len(rows)} {'account' if len(rows) == 1 else 'accounts'}{of}: {said}"


def _fitted(cells: list[list[str | Cell]], kept: list[int], room: int) -> list[int]:
    """The columns that this terminal has room for; the identities in `cells` are cut to what is left."""

    def width(place: int) -> int:
        return max(len(HEADINGS[place]), *(len(_text(row[place])) for row in cells))

    def others(places: list[int]) -> int:
        return sum(width(place) + 2 for place in places if place != _IDENTITY)

    for name in _EXPENDABLE:
        if others(kept) + min(_NARROWEST, width(_IDENTITY)) > room:
            kept = [place for place in kept if HEADINGS[place] != name]
    left = max(room - others(kept), _NARROWEST)
    for row in cells:
        text = _text(row[_IDENTITY])
        row[_IDENTITY] = text if len(text) <= left else f"{text[: left - 1]}…"
    return kept


def _text(cell: str | Cell) -> str:
    return cell if isinstance(cell, str) else cell.text


def _row(status: dict[str, Any]) -> list[str | Cell]:
    kind = "" if status["state"] == "damaged" else _KINDS.get(status["kind"], str(status["kind"]))
    word, colour = _state(status)
    state: str | Cell = Cell(word, colour) if colour else word
    who = str(status["identity"] or "unknown")
    return [str(status["connector"]), str(status["account"]), state, who, kind, _scopes(status), _refreshed(status)]


def _state(status: dict[str, Any]) -> tuple[str, Any]:
    if status["state"] != "ready":
        when = f" {ago(status['refused_at'])}" if status["refused_at"] else ""
        return f"{status['state']}{when}", "red"
    if status["check"] not in (None, "ok"):
        return "not checked", "yellow"
    word = "ready" if status["check"] is None else "accepted"
    soon, ends = _ends_soon(status), status["expires_in"]
    if soon is not None:
        return f"{word}, ends in {duration(soon)}", "yellow"
    if ends is None:
        return word, None
    return (f"{word}, {duration(ends)} left" if ends > 0 else f"{word}, renewed at next call"), None


def _ends_soon(status: dict[str, Any]) -> float | None:
    """Seconds until a person has to log in again, when that is soon."""
    ends = status["login_ends_in"] if status["renewable"] else status["expires_in"]
    return ends if status["state"] == "ready" and ends is not None and ends < SOON_SECONDS else None


def _scopes(status: dict[str, Any]) -> str:
    """The scopes by name when they are few, else how many; and how many of those asked for are missing."""
    scopes, missing = status["scopes"], status["missing"]
    text = ", ".join(scopes)
    text = text if len(text) <= 32 else f"{len(scopes)} {'scope' if len(scopes) == 1 else 'scopes'}"
    return f"{text} ({len(missing)} not granted)" if missing else text


def _refreshed(status: dict[str, Any]) -> str:
    if not status["refreshed"]:
        return ""
    count = status["refreshed"]
    return f"{ago(status['obtained_at'])}, {'once' if count == 1 else f'{count} times'}"


def _notes(status: dict[str, Any]) -> list[str]:
    who = f"{status['connector']} ({status['account']})"
    if status["state"] != "ready":
        why = {"refused": "the provider refuses it", "expired": "it has ended", "damaged": "it cannot be opened"}
        said = f' ("{status["refused"]}")' if status["refused"] else ""
        return [f"{paint('!', 'red')} {who}: {why[status['state']]}{said}. Repair it with: {status['next_step']}"]
    if status["check"] not in (None, "ok"):
        return [f"? {who} was not checked: {status['check'].rstrip('.')}."]
    notes = [f"- {who}: asked for and not granted: {', '.join(status['missing'])}."] if status["missing"] else []
    soon = _ends_soon(status)
    if soon is not None:
        command = connect_command(status["kind"], status["connector"], status["account"], status["tenant"])
        notes.insert(0, f"{paint('!', 'yellow')} {who} ends in {duration(soon)}. Before that, run: {command}")
    return notes
