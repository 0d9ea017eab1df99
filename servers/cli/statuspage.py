"""The page that `clew auth status` prints: what is connected, whose it is, how long it holds, and what to do."""

from typing import Any

from clew.servers.cli.output import Cell, ago, duration, emit, paint, table

HEADINGS = ("CONNECTOR", "ACCOUNT", "IDENTITY", "KIND", "SCOPES", "STATE", "REFRESHED")
_SPARSE = ("SCOPES", "REFRESHED")
_KINDS = {
    "oauth2": "login",
    "bearer": "token",
    "api_key": "key",
    "basic": "password",
    "oauth1": "OAuth 1 keys",
    "aws": "AWS keys",
    "client_credentials": "client",
    "jwt_bearer": "service account",
    "session": "session",
    "token_exchange": "workload",
    "aws_web_identity": "AWS workload",
}


def show(rows: list[dict[str, Any]]) -> None:
    """Print the connections, and below them one line for each that needs a person."""
    shown = [_row(each) for each in rows]
    # A column that says nothing about anybody only makes the others narrower.
    kept = [
        position for position, name in enumerate(HEADINGS) if name not in _SPARSE or any(row[position] for row in shown)
    ]
    table([HEADINGS[position] for position in kept], [[row[position] for position in kept] for row in shown])
    notes = [note for each in rows for note in _notes(each)]
    if notes:
        emit("", *notes)


def _row(status: dict[str, Any]) -> list[str | Cell]:
    kind = _KINDS.get(status["kind"], str(status["kind"]))
    first = [str(status["connector"]), str(status["account"]), str(status["identity"] or "unknown"), kind]
    last = _refreshed(status)
    word, colour = _state(status)
    state: str | Cell = Cell(word, colour) if colour else word
    return [*first, _scopes(status), state, last]


def _state(status: dict[str, Any]) -> tuple[str, Any]:
    if status["state"] != "ready":
        when = f" {ago(status['refused_at'])}" if status["refused_at"] else ""
        return f"{status['state']}{when}", "red"
    if status["check"] not in (None, "ok"):
        return "not checked", "yellow"
    word = "ready" if status["check"] is None else "accepted"
    ends = status["expires_in"]
    if ends is None:
        return word, None
    return (f"{word}, {duration(ends)} left" if ends > 0 else f"{word}, renewed at the next call"), None


def _scopes(status: dict[str, Any]) -> str:
    """The scopes by name when they are few, else how many; and how many of those asked for are missing."""
    scopes, missing = status["scopes"], status["missing"]
    text = ", ".join(scopes)
    text = text if len(text) <= 32 else f"{len(scopes)} scopes"
    return f"{text} ({len(missing)} not granted)" if missing else text


def _refreshed(status: dict[str, Any]) -> str:
    if not status["refreshed"]:
        return ""
    return f"{ago(status['obtained_at'])}, {status['refreshed']} times"


def _notes(status: dict[str, Any]) -> list[str]:
    who = f"{status['connector']} ({status['account']})"
    if status["state"] != "ready":
        why = {"refused": "the provider refuses it", "expired": "it has ended", "damaged": "it cannot be opened"}
        said = f' ("{status["refused"]}")' if status["refused"] else ""
        return [f"{paint('!', 'red')} {who}: {why[status['state']]}{said}. Repair it with: {status['next_step']}"]
    if status["check"] not in (None, "ok"):
        return [f"? {who} was not checked: {status['check'].rstrip('.')}."]
    if status["missing"]:
        return [f"- {who}: asked for and not granted: {', '.join(status['missing'])}."]
    return []
