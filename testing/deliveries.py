"""Webhooks: what is signed verifies, and fails when anything about it changes.

Recorded deliveries stand in `examples/NAME/deliveries.jsonl`, one JSON object a line: `headers`, `body`, `url`,
`secrets`, `now`, and `valid` (true unless it says otherwise).
"""

import json
from collections.abc import Mapping
from typing import Any

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.core.webhooks import Delivery, Event, Refusal, Scheme, verify
from clew.core.webhooks.delivery import RefusedError
from clew.core.webhooks.signing import sign
from clew.testing.kit import Finding, Seen, Subject
from clew.testing.places import shown
from clew.testing.recordings import read_headers, read_now

FILE = "deliveries.jsonl"
_NOW = 1_780_000_000.0
_SECRETS = (  # as text, base64 and hexadecimal digits; nobody's
    ("clew-check-clew-check-clew", "other-check-other-check-oth"),
    ("whsec_Y2xldy1jaGVjay1jbGV3LWNoZWNr", "whsec_b3RoZXItb3RoZXItb3RoZXItb3Ro"),
    ("Y2xldy1jaGVjay1jbGV3LWNoZWNr", "b3RoZXItb3RoZXItb3RoZXItb3Ro"),
    ("636c65772d636865636b2d636c65772d", "6f746865722d6f746865722d6f746865"),
)
_BODY = b'{"id":"evt_1","type":"clew.check","data":{"id":"obj_1"}}'
_URL = "https://hooks.example.com/webhooks/clew"


async def deliveries_verify(subject: Subject) -> Seen:
    """Recorded deliveries, and one that we sign ourselves wherever that can be done without the provider."""
    seen = Seen()
    for scheme in subject.connector.webhook_schemes:
        _signed(scheme, seen, subject)
    _recorded(subject, seen)
    return seen


def _signed(scheme: Scheme, seen: Seen, subject: Subject) -> None:
    where = shown(subject.files[0]) if subject.files else ""
    made = _made(scheme, seen)
    if made is None:
        return
    delivery, secret, other = made
    seen.count += 1
    body = delivery.body.replace(b"clew.check", b"clew.forge")
    forged = Delivery(list(delivery.headers.items()), body, method=delivery.method, url=delivery.url)
    cases: list[tuple[str, bool, Event | Refusal]] = [
        ("a delivery signed with the secret", True, verify(scheme, delivery, [Secret(secret)], now=_NOW)),
        ("a delivery signed with another secret", False, verify(scheme, delivery, [Secret(other)], now=_NOW)),
        ("a delivery without a secret to check it with", False, verify(scheme, delivery, [], now=_NOW)),
    ]
    if scheme.covers_body:
        cases.append(("a delivery whose body was changed", False, verify(scheme, forged, [Secret(secret)], now=_NOW)))
    for what, good, found in cases:
        if isinstance(found, Event) is not good:
            word = "is refused" if good else "is accepted"
            reason = f": {found.reason}" if isinstance(found, Refusal) else ""
            seen.findings.append(Finding(f"{scheme.name}: {what} {word}{reason}.", "Correct the scheme.", where))


def _made(scheme: Scheme, seen: Seen) -> tuple[Delivery, str, str] | None:
    """A signed delivery, the secret that signed it and another; None where only the provider could make one."""
    why = ""
    for secret, other in _SECRETS:
        try:
            return sign(scheme, _BODY, secret, now=_NOW, url=_URL, headers=_named(scheme)), secret, other
        except ConfigurationError as error:
            why = str(error)
        except RefusedError as error:  # the secret has another form
            why = error.reason
    seen.skipped.append(f"{scheme.name}: {why}")
    return None


def _named(scheme: Scheme) -> dict[str, str]:
    """The headers in which this provider names the event and the delivery."""
    places = ((scheme.event_type, "clew.check"), (scheme.delivery_id, "dlv-1"))
    firsts = ((listed if isinstance(listed, str) else next(iter(listed), ""), value) for listed, value in places)
    return {place: value for place, value in firsts if place and ":" not in place}


def _recorded(subject: Subject, seen: Seen) -> None:
    file = subject.examples / FILE if subject.examples is not None else None
    if file is None or not file.is_file():
        return
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{shown(file)}:{number}"
        seen.count += 1
        try:
            document: Mapping[str, Any] = json.loads(line)
            found = _verified(subject, document)
        except (ValueError, KeyError, AttributeError) as error:
            seen.findings.append(Finding(f"cannot be read: {type(error).__name__}.", "See docs/publishing.md.", where))
            continue
        if isinstance(found, Event) is not (document.get("valid", True) is True):
            reason = f" ({found.reason})" if isinstance(found, Refusal) else ""
            word = "accepted" if isinstance(found, Event) else "refused"
            seen.findings.append(Finding(f"the delivery is {word}{reason}.", "Correct the scheme or the line.", where))


def _verified(subject: Subject, document: Mapping[str, Any]) -> Event | Refusal:
    delivery = Delivery(
        read_headers(document["headers"]),
        str(document["body"]).encode(),
        method=str(document.get("method", "POST")),
        url=str(document.get("url", "")),
    )
    secrets = [Secret(str(each)) for each in document.get("secrets", [])]
    return verify(subject.connector.webhook_schemes, delivery, secrets, now=read_now(document.get("now")))
