"""Answering handshakes. Nothing is fetched or stored here: the answer says what the receiver should do."""

import hashlib
import hmac
import html
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence

from clew.core.secret import Secret
from clew.core.values import dataclass
from clew.core.webhooks.attempts import Known, nothing_known
from clew.core.webhooks.delivery import Delivery, Refused, RefusedError, reader
from clew.core.webhooks.event import Refusal
from clew.core.webhooks.handshakes import Handshake
from clew.core.webhooks.keyplaces import is_pinned
from clew.core.webhooks.scheme import Scheme
from clew.core.webhooks.secrets import encoded, sort
from clew.core.webhooks.verifying import verify

_VALUE = re.compile(r"\{(value|hmac)\}")
_PLAIN = re.compile(r"[\x20-\x7e]{1,2000}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer to a handshake, and what to do besides.

    `store` is the secret that the provider sent; `visit` the URL to GET, which confirms the subscription; `event` says
    that the delivery is an event as well and goes on to `verify`.
    """

    handshake: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    store: Secret | None = None
    visit: str | None = None
    event: bool = False


def answer(
    scheme: Scheme | Sequence[Scheme],
    delivery: Delivery,
    secrets: Iterable[Secret],
    *,
    expecting: bool = False,
    now: float | None = None,
    tolerance: float | None = None,
    known: Known = nothing_known,
) -> Answer | Refusal | None:
    """The answer to a handshake, why it is refused, or `None` when the delivery is none.

    `expecting` says that a registration is under way, so that a secret may be taken. Never an exception.
    """
    held = tuple(secrets)
    clock = time.time() if now is None else now
    for each in (scheme,) if isinstance(scheme, Scheme) else scheme:
        for handshake in each.handshakes:
            try:
                if not handshake.fits(delivery):
                    continue
                if handshake.trust == "expected" and not expecting:
                    return Refusal(Refused.NO_SECRET, f"{handshake.name}: no registration is under way")
                if handshake.trust == "signed":
                    found = verify(each, delivery, held, now=clock, tolerance=tolerance, known=known)
                    if isinstance(found, Refusal):
                        return found
                return _answer(handshake, delivery, held)
            except RefusedError as refused:
                return Refusal(refused.code, f"{handshake.name}: {refused.reason}", refused.url)
            except Exception as error:  # fail closed
                return Refusal(Refused.INTERNAL, f"{handshake.name}: {type(error).__name__}")
    return None


def _answer(handshake: Handshake, delivery: Delivery, secrets: tuple[Secret, ...]) -> Answer:
    given = sort(secrets)
    for place, setting in handshake.equals.items():
        wanted, said = given.settings.get(setting, ""), reader(place)(delivery) or ""
        if not wanted:
            raise RefusedError(Refused.NO_SECRET, f"no {setting} is configured")
        if not hmac.compare_digest(wanted.encode("utf-8", "replace"), said.encode("utf-8", "replace")):
            raise RefusedError(Refused.MISMATCH, f"{place} is not the configured {setting}")
    value = handshake.read_value(delivery)
    visit = reader(handshake.visit)(delivery) if handshake.visit else None
    if visit is not None and not is_pinned(visit, handshake.visit_host, r"/.*"):
        raise RefusedError(Refused.FOREIGN_HOST, f"{handshake.visit} is not an address of the provider")
    stored = reader(handshake.store)(delivery) if handshake.store else None
    if handshake.store and not (stored and _PLAIN.fullmatch(stored)):
        raise RefusedError(Refused.MALFORMED, f"there is no {handshake.store}")
    return Answer(
        handshake.name,
        handshake.status,
        _headers(handshake, value),
        _filled(handshake, value, given.texts).encode(),
        Secret(stored) if stored else None,
        visit,
        handshake.event,
    )


def _headers(handshake: Handshake, value: str) -> dict[str, str]:
    headers = {name: text.replace("{value}", value) for name, text in handshake.headers.items()}
    if handshake.body:
        # What somebody sent is echoed: nobody may read it as a page.
        headers |= {"content-type": f"{handshake.media}; charset=utf-8", "x-content-type-options": "nosniff"}
    return headers


def _filled(handshake: Handshake, value: str, texts: tuple[str, ...]) -> str:
    def part(name: str) -> str:
        if name == "value":
            return value
        if not texts:
            raise RefusedError(Refused.NO_SECRET, "no secret is configured")
        digest = hmac.digest(texts[0].encode("utf-8", "surrogatepass"), value.encode(), hashlib.sha256)
        return handshake.hmac_prefix + encoded(digest, handshake.hmac_encoding)

    def written(match: re.Match[str]) -> str:
        text = part(match[1])
        if handshake.media.endswith("json"):
            return json.dumps(text)[1:-1]
        return html.escape(text) if handshake.media == "text/html" else text

    return _VALUE.sub(written, handshake.body)
