"""What a provider wants answered before, or besides, its events: challenges, pings, secrets that arrive once.

As data: when a request is a handshake, what must hold, and the answer as templates. Nothing is fetched or stored here;
the answer says what the receiver should do.
"""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.core.webhooks.conditions import Condition
from clew.core.webhooks.delivery import Delivery, Reader, Refused, RefusedError, reader
from clew.core.webhooks.secrets import Encoding

Trust = Literal["signed", "expected", "anybody"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """One exchange that is no event.

    It is one when the `method` is right and every place of `when` matches its pattern whole. `trust` says what must
    hold: `signed` (the delivery verifies), `expected` (a registration is under way; the secret in it is then taken), or
    `anybody` (nothing is given away). `value` is the place of what is echoed, which must match `pattern` whole. In
    `body` and `headers` `{value}` stands for it, and `{hmac}` for its HMAC-SHA256 with the secret. `equals` maps places
    to settings that they must equal. `store` is the place of the secret to keep. `visit` is the place of a URL to GET,
    on a host that matches `visit_host`. `event` keeps the delivery as an event, too.
    """

    name: str
    when: Mapping[str, str]
    method: str = "POST"
    trust: Trust = "signed"
    status: int = 200
    value: str = ""
    pattern: str = r"[\x21-\x7e]{1,2000}"
    body: str = ""
    media: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hmac_prefix: str = ""
    hmac_encoding: Encoding = "hex"
    equals: Mapping[str, str] = field(default_factory=dict[str, str])
    store: str = ""
    visit: str = ""
    visit_host: str = ""
    event: bool = False
    _condition: Condition = field(default_factory=Condition, init=False, repr=False, compare=False)
    _value: Reader = field(default=lambda delivery: None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.trust not in ("signed", "expected", "anybody"):
            raise ConfigurationError(f"a handshake has no trust {self.trust!r}; use signed, expected or anybody.")
        if self.store and self.trust != "expected":
            raise ConfigurationError(f"handshake {self.name}: a secret is taken only while it is expected.")
        if self.visit and not self.visit_host:
            raise ConfigurationError(f"handshake {self.name}: say on which hosts the URL may be.")
        for place in filter(None, (self.store, self.visit, *self.equals)):
            reader(place)
        object.__setattr__(self, "_condition", Condition.of(self.when))
        if self.value:
            object.__setattr__(self, "_value", reader(self.value))

    def fits(self, delivery: Delivery) -> bool:
        """Is the delivery this handshake?"""
        return delivery.method.upper() == self.method and self._condition.holds(delivery)

    def read_value(self, delivery: Delivery) -> str:
        """What is echoed. Raises `RefusedError` when it is not what the provider sends."""
        if not self.value:
            return ""
        found = self._value(delivery)
        if found is None or not re.fullmatch(self.pattern, found):
            raise RefusedError(Refused.MALFORMED, f"{self.value} is not what such a request holds")
        return found
