"""What mail servers report about mail that was sent: delivery reports, complaints, and bounces in plain words.

Delivery status notifications are RFC 3464 inside `multipart/report` (RFC 6522; RFC 6533 for international mail),
complaints are ARF (RFC 5965). Practice as flufl.bounce 6.0.0 has met it: `Action: error`, comments behind values,
recipients without a type or in angle brackets. A report is mail from outside: anybody can write one, so it is believed
only where it names a message that was really sent. Nothing here raises, whatever the bytes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from clew.core.mail import parts
from clew.core.mail.delivery import Cause, Finding, State, judge_status
from clew.core.mail.parts import AnyMessage
from clew.core.values import dataclass

MOST_RECIPIENTS = 500
_DETAIL = 300


class Form(StrEnum):
    """How a report was written: by the standards, or in words that only patterns can read."""

    DSN = "dsn"
    ARF = "arf"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Recipient:
    """What a report says about one address: where the message stands there, and why.

    `diagnostic` is the words of the server that refused: text from outside.
    """

    address: str
    state: State
    cause: Cause | None = None
    status: str | None = None
    diagnostic: str = ""
    server: str = ""

    @property
    def suppress(self) -> bool:
        """Should nothing be sent to this address any more?"""
        return self.state is State.COMPLAINED or (self.state is State.BOUNCED and self.cause is Cause.HARD)


@dataclass(frozen=True, slots=True)
class Report:
    """A report and what it can be joined by.

    `message_ids` are those of the message it is about, `envelope_id` what the sender gave with it (RFC 3461), `sent_to`
    the addresses the report itself went to, of which one may carry a VERP token.
    """

    form: Form
    recipients: tuple[Recipient, ...]
    message_ids: tuple[str, ...] = ()
    envelope_id: str = ""
    sent_to: tuple[str, ...] = ()

    def is_about(self, message_id: str, *, token: str = "") -> bool:
        """Is this report about the message with this id, or whose return path carried `token`?"""
        named = message_id in self.message_ids or bool(self.envelope_id and self.envelope_id == message_id.strip("<>"))
        return named or (bool(token) and any(verp_token(each) == token for each in self.sent_to))


def verp_address(address: str, token: str) -> str:
    """A return path of its own for one message: `me+TOKEN@host`. `token` must be letters, digits, `-`, `_` and `=`."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{token}@{domain}"


def verp_token(address: str) -> str:
    """The token in a return path that `verp_address` made; empty when there is none."""
    found = re.fullmatch(r"[^+@]+\+([A-Za-z0-9_=-]{1,80})@[^@]+", address.strip())
    return found[1] if found else ""


def read_report(raw: bytes) -> Report | None:
    """The report in a message's bytes; `None` for every other mail."""
    message = parts.parse(raw)
    found = list(parts.walk(message))
    for read in (_dsn, _arf, _plain):
        report = read(message, found)
        if report is not None:
            return report
    return None


def _dsn(message: AnyMessage, found: Sequence[AnyMessage]) -> Report | None:
    part = next((each for each in found if parts.kind_of(each).endswith("delivery-status")), None)
    if part is None:
        return None
    blocks = list(_blocks(part))
    recipients = [each for each in map(_recipient, blocks[:MOST_RECIPIENTS]) if each is not None]
    if not recipients:
        return None
    envelope = next((block["original-envelope-id"] for block in blocks if "original-envelope-id" in block), "")
    ids = _original_ids(found) or parts.message_ids(parts.header(message, "in-reply-to"))
    return Report(Form.DSN, tuple(recipients), tuple(ids), _xtext(envelope).strip("<>"), _sent_to(message))


Block = Mapping[str, str]


def _blocks(part: AnyMessage) -> Iterator[Block]:
    """The groups of fields of a delivery-status part, however the parser has taken it apart."""
    inside = parts.children(part)
    if not inside:
        yield from _text_blocks(parts.text(part))
    for each in inside[: MOST_RECIPIENTS + 1]:
        yield {name.lower(): parts.decoded(str(value)) for name, value in each.items()}
        if isinstance(each.get_payload(), str):
            yield from _text_blocks(parts.text(each))


def _text_blocks(text: str) -> Iterator[Block]:
    for group in re.split(r"\n[ \t]*\n", text[:200_000])[: MOST_RECIPIENTS + 1]:
        unfolded = re.sub(r"\n[ \t]+", " ", group)
        yield {
            name.strip().lower(): parts.decoded(value)
            for name, colon, value in (line.partition(":") for line in unfolded.split("\n"))
            if colon
        }


def _recipient(block: Block) -> Recipient | None:
    address = _address(block.get("final-recipient", "")) or _address(block.get("original-recipient", ""))
    if not address:
        return None
    address = _address(block.get("original-recipient", "")) or address
    diagnostic = re.sub(r"^\s*[\w-]+\s*;\s*", "", block.get("diagnostic-code", ""))
    finding = judge_status(diagnostic, status=block.get("status", ""))
    state = _state(block.get("action", ""), finding)
    failed = state in (State.BOUNCED, State.DEFERRED)
    server = _typed(block.get("remote-mta", "") or block.get("reporting-mta", ""))
    return Recipient(
        address, state, finding.cause if failed else None, finding.status, diagnostic[:_DETAIL], server[:200]
    )


def _state(action: str, finding: Finding) -> State:
    word = re.sub(r"\(.*?\)", "", action).strip().lower()
    for beginning, state in _ACTIONS.items():
        if word.startswith(beginning):
            return state
    if finding.status and finding.status.startswith("2"):
        return State.DELIVERED
    return State.BOUNCED if finding.permanent else State.DEFERRED


_ACTIONS: Mapping[str, State] = {
    "delayed": State.DEFERRED,
    "fail": State.BOUNCED,
    "error": State.BOUNCED,
    "delivered": State.DELIVERED,
    "relayed": State.ACCEPTED,  # to a server that sends no such reports
    "expanded": State.ACCEPTED,
}


def _typed(value: str) -> str:
    """The value behind its type (`dns; mx.example`), without comments."""
    return re.sub(r"\([^()]*\)", "", value).rpartition(";")[2].strip()


def _address(value: str) -> str:
    plain = _typed(value).replace("+2B", "+").replace("+3D", "=").strip("<> ")  # what xtext must encode, no more
    return plain if re.fullmatch(r"[^\s@<>]{1,64}@[^\s@<>]{1,255}", plain) else ""


def _xtext(value: str) -> str:
    """Undo xtext (RFC 3461): `+3D` is `=`."""
    return re.sub(r"\+([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), value)


def _arf(message: AnyMessage, found: Sequence[AnyMessage]) -> Report | None:
    part = next((each for each in found if parts.kind_of(each) == "message/feedback-report"), None)
    if part is None:
        return None
    fields: dict[str, list[str]] = {}
    for block in _blocks(part):
        for name, value in block.items():
            fields.setdefault(name, []).append(value)
    said = (fields.get("feedback-type") or [""])[0].strip().lower()
    if said in ("not-spam", "auth-failure", ""):  # a word in our favour, and one about a forger's mail
        return None
    whom = [*parts.headers(_inner(part), "original-rcpt-to"), *fields.get("removal-recipient", [])]
    original = _original(found)
    told = [address for each in whom if (address := _address(each))]
    told = told or [address for _, address in parts.people(original, "to")] if original else told
    people = tuple(Recipient(each, State.COMPLAINED, diagnostic=said[:40]) for each in dict.fromkeys(told))
    if not people:
        return None
    return Report(Form.ARF, people[:MOST_RECIPIENTS], tuple(_original_ids(found)), "", _sent_to(message))


def _inner(part: AnyMessage) -> AnyMessage:
    return next(iter(parts.children(part)), part)


_RETURNED = ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "text/rfc822")


def _original(found: Sequence[AnyMessage]) -> AnyMessage | None:
    """The message a report is about, as far as it was sent back: whole, or its headers."""
    for part in found[1:]:
        kind = parts.kind_of(part)
        if kind.startswith(_RETURNED):
            inside = parts.children(part)
            return inside[0] if inside else parts.parse(parts.content(part))
    return None


def _original_ids(found: Sequence[AnyMessage]) -> list[str]:
    original = _original(found)
    return parts.message_ids(parts.header(original, "message-id")) if original is not None else []


def _sent_to(message: AnyMessage) -> tuple[str, ...]:
    names = ("to", "delivered-to", "x-original-to", "envelope-to")
    return tuple(dict.fromkeys(address for name in names for _, address in parts.people(message, name)))


_DAEMON = re.compile(r"mailer-daemon|postmaster|mail ?delivery|mdaemon|system administrator|bounce", re.IGNORECASE)
_SUBJECT = re.compile(
    r"undeliver|non.?deliver|not be delivered|delivery (?:status|fail|report|problem|has failed|incomplete)|returned to"
    r" sender|returned mail|failure notice|mail delivery|delivery of .* delayed|warning: message .* delayed",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"^[ \t>*]*<?([^\s<>@:;,()\"']{1,64}@[^\s<>@:;,()\"']{1,255}?)>?[ \t]*(?::|$|\.\.\.|\()", re.MULTILINE
)
_COPY = re.compile(
    r"^(?:-{2,}.*(?:copy|original|returned|message).*|.*(?:copy of the message|original message|message headers).*)$",
    re.IGNORECASE | re.MULTILINE,
)


def _plain(message: AnyMessage, found: Sequence[AnyMessage]) -> Report | None:
    """Bounces from before the standard, or beside it: qmail, Exim, Exchange and many home-made ones."""
    if not _is_daemon(message):
        return None
    words = next((parts.text(each) for each in found if parts.kind_of(each) == "text/plain"), "")[:50_000]
    copied = _COPY.search(words)
    said, copy = (words[: copied.start()], words[copied.start() :]) if copied else (words, "")
    failed = [address for _, address in parts.people(message, "x-failed-recipients")]
    people = list(_accused(said, failed))
    if not people:
        return None
    ids = _original_ids(found)
    ids = ids or [each for line in re.findall(r"(?im)^[ >]*message-id:.*", copy) for each in parts.message_ids(line)]
    ids = ids or parts.message_ids(parts.header(message, "in-reply-to"))
    return Report(Form.TEXT, tuple(people[:MOST_RECIPIENTS]), tuple(ids), "", _sent_to(message))


def _is_daemon(message: AnyMessage) -> bool:
    sender = parts.header(message, "from")
    answers = parts.header(message, "auto-submitted").lower().startswith("auto-replied")
    if answers and not parts.header(message, "x-failed-recipients"):  # an absence notice
        return False
    return bool(_DAEMON.search(sender) and _SUBJECT.search(parts.header(message, "subject"))) or bool(
        parts.header(message, "x-failed-recipients")
    )


def _accused(said: str, failed: Sequence[str]) -> Iterator[Recipient]:
    """The addresses a text complains about, each with the words that follow it."""
    places = list(_LINE.finditer(said))[:MOST_RECIPIENTS]
    told: dict[str, str] = {}
    for place, match in enumerate(places):
        end = places[place + 1].start() if place + 1 < len(places) else len(said)
        told.setdefault(match[1], said[match.end() : end].strip())
    for address in failed or told:
        why = told.get(address, said)
        finding = judge_status(why)
        if finding.cause is Cause.UNKNOWN:
            finding = judge_status(said)
        if finding.cause is Cause.UNKNOWN and finding.status is None and not failed:
            continue
        state = State.BOUNCED if finding.permanent else State.DEFERRED
        yield Recipient(address, state, finding.cause, finding.status, " ".join(why.split())[:_DETAIL])
