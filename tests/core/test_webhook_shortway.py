"""The short way through verification: the same verdicts as the long one, whatever is sent, and an HMAC that is one."""

import copy
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace

import pytest

from clew.core.secret import Secret
from clew.core.webhooks import BodyHash, Delivery, Event, Hmac, Refusal, Refused, Scheme, Timestamp, verify
from clew.core.webhooks.shortway import LONGEST, mac
from clew.core.webhooks.signing import sign

NOW = 1_790_000_000
KEY, OTHER = "k3y-for-tests", "0ther-for-tests"
URL = "https://hooks.example.com/in?a=1"
STAMP = Timestamp("X-Time")
PACKED = Timestamp("X-Sig", prefix="t=", separator=",")
SECOND = {"X-Kind": "second"}
# One for each turn that the short way can take.
WAYS = {
    "bare": Hmac(signature="X-Sig"),
    "capitals": Hmac(signature="X-Sig", any_case=True, prefix="sha1=", hash="sha1"),
    "listed": Hmac(signature="X-Sig", prefix="v1=", separator=",", any_case=True),
    "stamped": Hmac(signature="X-Sig", prefix="v0=", signed="v0:{ts}:{body}", timestamp=STAMP),
    "packed": Hmac(signature="X-Sig", prefix="v1=", separator=",", signed="{ts}.{body}", timestamp=PACKED),
    "alone in a prefix": Hmac(signature="X-Sig", signed="{ts}{body}", timestamp=Timestamp("X-Time", prefix="at ")),
    "named": Hmac(signature="X-Sig", signed="{id}.{ts}.{body}", id="X-Id", timestamp=STAMP, encoding="base64"),
    "addressed": Hmac(signature="X-Sig", signed="{method}{url}{body}", encoding="base64url", hash="sha512"),
    "ways to write the address": Hmac(signature="X-Sig", signed="{url}{body}", urls=("ports",)),
    "filled": Hmac(signature="X-Sig", signed="{url}{sha256}{ts}", timestamp=STAMP),
    "hash of the body": Hmac(signature="X-Sig", signed="{url}", body_hash=BodyHash("query:h")),
    "plain": Hmac(signature="X-Sig", signed="{secret}{body}", keyed=False),
    "key in hex": Hmac(signature="X-Sig", key="hex", key_prefix="k_"),
}
SECRETS = {"key in hex": ("k_" + "ab" * 20, "k_" + "cd" * 20)}


def longer(scheme: Scheme) -> Scheme:
    """The same scheme without its short ways."""
    assert scheme.short_ways
    found = copy.copy(scheme)
    object.__setattr__(found, "short_ways", ())
    return found


def told(found: Event | Refusal) -> object:
    if isinstance(found, Refusal):
        return found
    return found.secret, found.signed_at, found.covers_body, found.replayable_for


def changes(delivery: Delivery) -> Iterator[Delivery]:
    """The delivery, and ways in which it goes wrong or looks unlike itself."""
    pairs, body, url = list(delivery.headers.items()), delivery.body, delivery.url
    yield delivery
    for changed in (b"", body + b" ", b"\xff" + body, b"x" * (LONGEST + 1)):
        yield Delivery(pairs, changed, url=url)
    yield Delivery([(name.encode(), value.encode()) for name, value in pairs], body, url=url)
    yield Delivery([(name.upper(), value) for name, value in pairs], body, url=url)
    yield Delivery([*pairs, ("Via", "a"), ("via", "b")], body, url=url)
    for changed_url in ("", URL + "&b", "https://hooks.example.com:443/in?a=1", "\ud800", "http://["):
        yield Delivery(pairs, body, url=changed_url)
    for number, (name, value) in enumerate(pairs):
        before, after = pairs[:number], pairs[number + 1 :]
        yield Delivery([*before, *after], body, url=url)
        yield Delivery([*before, (name, value), (name.title(), value), *after], body, url=url)
        for text in (
            "", value[:-1], value.upper(), f"x{value}", f"{value},{value}", f"{value},", "é", "\ud800", "9" * 12,
            f"t=1,{value}", ",".join(["v1=0"] * 60), f"v1={'0' * 64},{value}", "v1=", "v1=,t=1", "sha1=", "v0=", "at 1",
        ):  # fmt: skip
            yield Delivery([*before, (name, text), *after], body, url=url)
        yield Delivery([(key.encode(), b"\xe9") for key, _ in pairs], body, url=url)


@pytest.mark.parametrize("name", WAYS)
def test_both_ways_lead_to_the_same_verdict(name: str) -> None:
    way = WAYS[name]
    right, wrong = SECRETS.get(name, (KEY, OTHER))
    scheme = Scheme(name="short", proof=way)
    two = Scheme(name="two", proof=(Hmac(signature="X-Else"), replace(way, when=SECOND), way))
    conditional = Scheme(name="when", proof=replace(way, when=SECOND))
    schemes = [(each, longer(each)) for each in (scheme, two, conditional)]
    odd = [
        [right], [wrong], [], [" ", right], ['{"a":"b"}', right], ["whpk_x", right], ["-----BEGIN", right],
        ["k_zz", right], [right + "\ud800"], ["x" * 200, right],
    ]  # fmt: skip
    accepted = 0
    for age in (0, -299, 299, -301, 301):
        made = sign(scheme, b'{"a":1}', right, now=NOW + age, url=URL)
        for more in ({}, SECOND):
            base = Delivery([*made.headers.items(), *more.items()], made.body, url=made.url)
            for number, delivery in enumerate(changes(base)):
                for texts in ([wrong, right], *odd) if number == 0 else ([wrong, right],):
                    secrets = [Secret(text) for text in texts]
                    for each, long in schemes:
                        short = verify(each, delivery, secrets, now=NOW)
                        assert told(short) == told(verify(long, delivery, secrets, now=NOW))
                        accepted += isinstance(short, Event)
    assert accepted > 40


def test_what_is_sure_is_not_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the long way was taken")

    monkeypatch.setattr(Hmac, "prove", never)
    for name, way in WAYS.items():
        right, wrong = SECRETS.get(name, (KEY, OTHER))
        scheme = Scheme(name="short", proof=way)
        made = sign(scheme, b"{}", right, now=NOW, url=URL)
        assert isinstance(verify(scheme, made, (Secret(wrong), Secret(right)), now=NOW), Event), name
        refused = verify(scheme, made, iter([Secret(wrong)]), now=NOW)
        several = name == "ways to write the address"
        assert isinstance(refused, Refusal)
        assert refused.code is (Refused.INTERNAL if several else Refused.MISMATCH)


def test_what_names_the_delivery_is_checked_on_the_short_way_too() -> None:
    scheme = Scheme(name="short", proof=Hmac(signature="X-Sig"), delivery_id="query:id")
    for url, right in ((f"{URL}&id=1", True), (f"{URL}&id=1&id=2", False)):
        found = verify(scheme, sign(scheme, b"{}", KEY, now=NOW, url=url), [Secret(KEY)], now=NOW)
        assert isinstance(found, Event) is right
        assert right or (isinstance(found, Refusal) and found.code is Refused.AMBIGUOUS)


@pytest.mark.parametrize("way", [
    Hmac(signature="json:s"), Hmac(signature="query:s"), Hmac(signature="X-Sig", suffix="="),
    Hmac(signature="X-Sig", signed="{url}", urls=("no_query",)),
    Hmac(signature="X-Sig", signed="{setting:a}{body}"),
    Hmac(signature="X-Sig", signed="{ts}", timestamp=Timestamp("X-Time", optional=True)),
    Hmac(signature="X-Sig", signed="{ts}", timestamp=Timestamp("X-Time", separator=",", item=0)),
    Hmac(signature="X-Sig", signed="{ts}", timestamp=Timestamp(("X-Time", "X-Else"))),
    Hmac(signature="X-Sig", signed="{id}", id="json:id"), Hmac(signature="body"), Hmac(signature="X-A + X-B"),
])  # fmt: skip
def test_what_is_not_usual_has_no_short_way(way: Hmac) -> None:
    assert way.short is None
    assert Scheme(name="long", proof=(way, Hmac(signature="X-Sig"))).short_ways == ()


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sha384", "sha512"])
def test_the_mac_is_the_standard_librarys(name: str) -> None:
    for size in (0, 1, 20, 63, 64, 65, 127, 128, 129, 300):
        key = hashlib.shake_128(b"key").digest(size)
        for content in (b"", b"x", b"y" * 1000):
            assert mac(name)(key, content) == hmac.digest(key, content, name)
