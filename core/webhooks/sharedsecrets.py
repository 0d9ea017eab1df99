"""Proofs without a signature: a secret that is sent along, a client certificate that a proxy checked."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import field

from clew.core.values import dataclass
from clew.core.webhooks.attempts import Attempt, Proven
from clew.core.webhooks.conditions import Condition
from clew.core.webhooks.delivery import Delivery, Refused, RefusedError, lister, reader, to_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSecret:
    """The secret itself, in a header or in the body; it proves who knows it, not what was sent.

    Where `place` branches (`json:value[*].clientState`) every value must be the secret. `basic`: user and password as
    in HTTP Basic authentication; the secret is `user:password`.
    """

    place: str
    prefix: str = ""
    basic: bool = False
    when: Mapping[str, str] = field(default_factory=dict[str, str])
    _condition: Condition = field(default_factory=Condition, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_condition", Condition.of(self.when))
        lister(self.place)

    @property
    def covers_body(self) -> bool:
        """Never."""
        return False

    @property
    def replayable_for(self) -> float | None:
        """For ever."""
        return None

    def applies(self, delivery: Delivery) -> bool:
        """Is there anything at the place?"""
        return bool(lister(self.place)(delivery)) and self._condition.holds(delivery)

    def prove(self, attempt: Attempt) -> Proven:
        """Compare in constant time. Raises `RefusedError`."""
        texts = attempt.texts()
        found = lister(self.place)(attempt.delivery)
        if not found:
            raise RefusedError(Refused.NO_SIGNATURE, f"there is no {self.place}")
        given = [hashlib.sha256(self._read(each)).digest() for each in found]
        for number, text in enumerate(texts):
            wanted = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
            if False not in [hmac.compare_digest(wanted, each) for each in given]:
                return Proven(number)
        raise RefusedError(Refused.MISMATCH, "the secret is not ours")

    def _read(self, text: str) -> bytes:
        prefix = "Basic " if self.basic else self.prefix
        if text[: len(prefix)].lower() != prefix.lower():
            raise RefusedError(Refused.NO_SIGNATURE, f"{self.place} does not begin with {prefix.strip()}")
        rest = text[len(prefix) :]
        if not self.basic:
            return to_bytes(rest)
        try:
            return base64.b64decode(rest, validate=True)
        except ValueError:
            raise RefusedError(Refused.MALFORMED, f"{self.place} is not base64") from None

    def describe(self) -> str:
        """The way in a few words."""
        return f"HTTP Basic, `{self.place}`" if self.basic else f"the secret itself, `{self.place}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """The subject of a client certificate, as a proxy that checked it forwards it.

    Only behind a proxy that removes these headers from what comes in. `verified` is the place where it says so, and
    `word` what it says. The secrets are subjects: a common name, or parts such as `CN=events.example,O=Example`, all
    of which the certificate must have.
    """

    subject: str
    verified: str
    word: str = "SUCCESS"
    when: Mapping[str, str] = field(default_factory=dict[str, str])
    _condition: Condition = field(default_factory=Condition, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_condition", Condition.of(self.when))
        reader(self.subject)
        reader(self.verified)

    @property
    def covers_body(self) -> bool:
        """TLS does, as far as the proxy."""
        return False

    @property
    def replayable_for(self) -> float | None:
        """TLS admits no copies; a copy would need the certificate."""
        return None

    def applies(self, delivery: Delivery) -> bool:
        """Did the proxy forward a subject?"""
        return reader(self.subject)(delivery) is not None and self._condition.holds(delivery)

    def prove(self, attempt: Attempt) -> Proven:
        """Compare the subject. Raises `RefusedError`."""
        texts = attempt.texts()
        subject = reader(self.subject)(attempt.delivery)
        if subject is None:
            raise RefusedError(Refused.NO_SIGNATURE, f"there is no {self.subject}")
        if reader(self.verified)(attempt.delivery) != self.word:
            raise RefusedError(Refused.MISMATCH, "the proxy did not verify the client certificate")
        has = _names(subject)
        for number, text in enumerate(texts):
            wanted = _names(text if "=" in text else f"CN={text}")
            if wanted and wanted <= has:
                return Proven(number)
        raise RefusedError(Refused.MISMATCH, "the client certificate is somebody else's")

    def describe(self) -> str:
        """The way in a few words."""
        return f"client certificate, `{self.subject}` from the proxy"


def _names(subject: str) -> set[tuple[str, str]]:
    """The parts of a distinguished name, as RFC 2253 (`CN=a,O=b`) or OpenSSL (`/O=b/CN=a`) write it."""
    slashes = subject.startswith("/")
    parts = re.split(r"/(?=[A-Za-z.0-9]+=)" if slashes else r"(?<!\\)[,;]", subject)
    pairs = [each.strip().partition("=") for each in parts if "=" in each]
    return {(name.strip().upper(), value.strip()) for name, _, value in pairs if value.strip()}
