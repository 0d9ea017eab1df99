"""What work on a mailbox can do: folders, searches, messages, and the few changes there are."""

import contextlib
import imaplib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, cast

from clew.core.errors import ConfigurationError, NotFoundError
from clew.core.mail.line import Line
from clew.core.mail.names import decode_name, encode_name, quoted
from clew.core.values import dataclass

SPECIAL: Mapping[str, tuple[str, ...]] = {
    "sent": ("sent", "sent items", "sent messages", "sent mail", "[gmail]/sent mail"),
    "drafts": ("drafts", "draft", "[gmail]/drafts"),
    "trash": ("trash", "deleted items", "deleted messages", "[gmail]/trash"),
    "junk": ("junk", "spam", "junk email", "[gmail]/spam"),
}
"""The special folders, and what they are called where the server does not mark them (RFC 6154)."""
_MARKS = {"\\sent": "sent", "\\drafts": "drafts", "\\trash": "trash", "\\junk": "junk", "\\all": "all"}


class RefusedError(Exception):
    """The server said no. `code` is its response code (RFC 5530) or NO or BAD, `text` its words."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder. `use` is what it is for: sent, drafts, trash, junk, all, or empty."""

    name: str
    use: str = ""
    selectable: bool = True


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it lies in a folder: its UID, the size of the whole in bytes, its flags, and what was fetched."""

    uid: int
    size: int
    flags: tuple[str, ...]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to search for; all that is given must hold. `header` is a name and a text that must be in it."""

    text: str = ""
    sender: str = ""
    to: str = ""
    subject: str = ""
    since: date | None = None
    before: date | None = None
    unseen: bool = False
    header: tuple[str, str] | None = None
    below: int | None = None

    def words(self) -> Iterator[tuple[bytes, str]]:
        """The criteria that hold a text, each with it."""
        for name, value in ((b"TEXT", self.text), (b"FROM", self.sender), (b"TO", self.to), (b"SUBJECT", self.subject)):
            if value:
                yield name, value
        if self.header:
            yield b"HEADER " + quoted(self.header[0]), self.header[1]

    def facts(self) -> Iterator[bytes]:
        """The other criteria."""
        if self.below is not None:
            yield f"UID 1:{max(self.below - 1, 1)}".encode()
        if self.since is not None:
            yield f"SINCE {_day(self.since)}".encode()
        if self.before is not None:
            yield f"BEFORE {_day(self.before)}".encode()
        if self.unseen:
            yield b"UNSEEN"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""As IMAP writes them, whatever our locale is."""


def _day(day: date) -> str:
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year}"


class Mailbox:
    """The mailbox of one session. Methods raise `RefusedError` when the server says no."""

    def __init__(self, client: imaplib.IMAP4, line: Line, *, safe: bool) -> None:
        self._client = client
        self._line = line
        self._safe = safe
        self._changed = False
        self.validity = 0
        self.capabilities = frozenset(str(each).upper() for each in client.capabilities)

    def learn(self) -> None:
        """Ask what the server can do now: before the login it does not tell all of it."""
        self.capabilities = frozenset(_joined(self.run(self._client.capability)).upper().split())

    def run(self, command: Callable[[], tuple[str, list[Any]]]) -> list[Any]:
        """Run one command of the client; its untagged data."""
        try:
            kind, data = command()
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            raise _refusal("NO", str(error)) from None
        if kind != "OK":
            raise _refusal(kind, _joined(data))
        return data

    def _change(self, command: Callable[[], tuple[str, list[Any]]]) -> list[Any]:
        if self._safe:
            raise ConfigurationError("a read tool may not change a mailbox.")
        self._line.left = True
        try:
            data = self.run(command)
        except RefusedError:
            self._line.left = self._changed
            raise
        self._changed = True
        return data

    def folders(self) -> list[Folder]:
        """All folders, with what each is for."""
        found = [each for each in map(_folder, self.run(lambda: self._client.list('""', "*"))) if each is not None]
        marked = {each.use for each in found}
        return [
            Folder(each.name, _use_by_name(each.name, marked), each.selectable) if not each.use else each
            for each in found
        ]

    def special(self, use: str) -> str | None:
        """The name of the folder that is for `use`."""
        return next((each.name for each in self.folders() if each.use == use and each.selectable), None)

    def select(self, folder: str, *, writable: bool = False) -> int:
        """Open a folder; the number of messages in it. `validity` is then its UIDVALIDITY."""
        encoded: Any = encode_name(folder)
        data = self.run(lambda: self._client.select(encoded, readonly=not writable))
        found = self._client.response("UIDVALIDITY")[1]
        self.validity = _number(found[0] if found else None)
        return _number(data[0] if data else None)

    def search(self, query: Query) -> list[int]:
        """The UIDs of what matches, the newest first.

        Text that is not ASCII goes as a literal, of which the client can send one in a command: each has its own.
        """
        facts, words = list(query.facts()), list(query.words())
        plain = [name + b" " + quoted(text) for name, text in words if text.isascii()]
        found = self._searched([*facts, *plain] or [b"ALL"])
        for name, text in words:
            if not text.isascii() and found:
                found &= self._searched([b"CHARSET UTF-8", *facts, name], text.encode())
        return sorted(found, reverse=True)

    def _searched(self, criteria: Sequence[bytes], literal: bytes | None = None) -> set[int]:
        client: Any = self._client
        client.literal = literal
        data = self.run(lambda: client.uid("SEARCH", *criteria))
        return {int(word) for each in data if isinstance(each, bytes) for word in each.split() if word.isdigit()}

    def fetch(self, uids: Sequence[int], *, part: str = "BODY.PEEK[]", most: int = 0) -> list[Stored]:
        """Messages, in the order of `uids`, without marking them as read; at most `most` bytes of each."""
        if not uids:
            return []
        wanted = f"{part}<0.{most}>" if most else part
        numbers = ",".join(map(str, uids))
        data = self.run(lambda: self._client.uid("FETCH", numbers, f"(UID FLAGS RFC822.SIZE {wanted})"))
        found = {each.uid: each for each in _stored(data)}
        return [found[uid] for uid in uids if uid in found]

    def append(self, folder: str, content: bytes, flags: Sequence[str] = ()) -> int:
        """Store a message; its UID where the server says it, else 0."""
        encoded: Any = encode_name(folder)
        self._change(lambda: self._client.append(encoded, f"({' '.join(flags)})", "", content))
        told = self._client.response("APPENDUID")[1]
        words = bytes(told[0]).split() if told and told[0] else []
        return _number(words[1]) if len(words) == 2 else 0

    def delete(self, uid: int, trash: str | None) -> None:
        """Move a message of the open folder to `trash`; without one, remove this message alone and for good."""
        if trash is not None and "MOVE" in self.capabilities:
            self._change(lambda: self._client.uid("MOVE", str(uid), encode_name(trash).decode()))
            return
        if "UIDPLUS" not in self.capabilities:
            raise RefusedError("CANNOT", "the server cannot remove one message without all others marked as deleted")
        if trash is not None:
            self._change(lambda: self._client.uid("COPY", str(uid), encode_name(trash).decode()))
        self._change(lambda: self._client.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)"))
        self._change(lambda: self._client.uid("EXPUNGE", str(uid)))

    def need(self, uid: int, validity: int) -> None:
        """Raise `NotFoundError` when the open folder is another than the one the UID was read from."""
        if self.validity != validity:
            raise NotFoundError("the folder was rebuilt since this id was read.", next_step="Search again.")
        if not self.fetch([uid], part="BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"):
            raise NotFoundError("there is no such message in this folder any more.", next_step="Search again.")

    def leave(self) -> None:
        """Log out; that the server no longer answers does not matter now."""
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            self._client.logout()


def _refusal(kind: str, text: str) -> RefusedError:
    text = re.sub(r"^b(['\"])(.*)\1$", r"\2", text.strip())
    found = re.search(r"\[([A-Z][A-Z0-9-]*)[^\]]*\]", text[:500])
    return RefusedError(found[1] if found else kind, re.sub(r"\[[A-Z][^\]]*\]\s*", "", text, count=1)[:500])


def _joined(data: Sequence[Any]) -> str:
    return " ".join(bytes(each).decode("utf-8", "replace") for each in data if isinstance(each, bytes))


_LIST = re.compile(rb'\(([^)]*)\)\s+(?:"(?:[^"\\]|\\.)*"|NIL)\s+(.*)', re.DOTALL)


def _folder(entry: Any) -> Folder | None:
    """One line of LIST: `(\\HasNoChildren \\Sent) "/" "Sent"`; a name that came as a literal stands beside it."""
    head, literal = cast("tuple[Any, Any]", entry)[:2] if isinstance(entry, tuple) else (entry, None)
    found = _LIST.match(head) if isinstance(head, bytes) else None
    if found is None:
        return None
    flags = {each.decode("ascii", "replace").lower() for each in found[1].split()}
    raw = literal if isinstance(literal, bytes) else found[2].strip()
    if literal is None and raw.startswith(b'"'):
        raw = re.sub(rb"\\(.)", rb"\1", raw[1:-1])
    use = next((_MARKS[each] for each in sorted(flags) if each in _MARKS), "")
    return Folder(decode_name(raw), use, not flags & {"\\noselect", "\\nonexistent"})


def _use_by_name(name: str, marked: set[str]) -> str:
    lowered = name.lower()
    leaf = lowered.removeprefix("inbox.").removeprefix("inbox/")
    return next((use for use, names in SPECIAL.items() if use not in marked and leaf in names), "")


def _stored(data: Sequence[Any]) -> Iterator[Stored]:
    """What FETCH answered: a literal stands in a tuple with the words before it; the words after it follow."""
    for place, entry in enumerate(data):
        pair: tuple[Any, ...] = entry if isinstance(entry, tuple) else ()  # pyright: ignore[reportUnknownVariableType]
        if len(pair) != 2:
            continue
        head, content = pair
        tail = data[place + 1] if place + 1 < len(data) else b""
        words = bytes(head) + b" " + (tail if isinstance(tail, bytes) else b"")
        uid, size = re.search(rb"\bUID (\d+)", words), re.search(rb"\bRFC822\.SIZE (\d+)", words)
        flags = re.search(rb"\bFLAGS \(([^)]*)\)", words)
        if uid is not None:
            marks = tuple(each.decode("ascii", "replace") for each in flags[1].split()) if flags else ()
            yield Stored(int(uid[1]), int(size[1]) if size else len(content), marks, bytes(content))


def _number(value: Any) -> int:
    text = bytes(value) if isinstance(value, bytes) else b""
    return int(text) if text.isdigit() else 0
