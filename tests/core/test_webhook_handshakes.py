"""Handshakes: what is answered to whom, and what is never given away. And samples, signed as a provider does."""

import hmac
import json
from typing import Any

import pytest

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.core.webhooks import (
    Answer,
    Delivery,
    Event,
    Handshake,
    Hmac,
    PublicKey,
    Refusal,
    Refused,
    Scheme,
    SharedSecret,
    Timestamp,
    answer,
    verify,
)
from clew.core.webhooks.signing import sign, written

NOW = 1_790_000_000.0


def why(found: Any) -> Refused:
    assert isinstance(found, Refusal), found
    return found.code


def accepted(found: Any) -> Event:
    assert isinstance(found, Event), found
    return found


SIGNED = Hmac(signature="X-S")
KEY = Secret("k3y")


def shake(handshake: Handshake, delivery: Delivery, secrets: Any = (KEY,), **more: Any) -> Any:
    return answer([Scheme(name="h", proof=SIGNED, handshakes=(handshake,))], delivery, secrets, **more)


def test_a_signed_challenge_is_echoed_as_text_nobody_renders() -> None:
    body = b'{"type":"hello","challenge":"abc<b>"}'
    handshake = Handshake(name="hello", when={"json:type": "hello"}, value="json:challenge", body="{value}")
    signature = hmac.digest(b"k3y", body, "sha256").hex()
    found = shake(handshake, Delivery([("X-S", signature)], body))
    assert isinstance(found, Answer)
    assert (found.status, found.body) == (200, b"abc<b>")
    assert found.headers == {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
    assert why(shake(handshake, Delivery([("X-S", "00")], body))) is Refused.MISMATCH
    assert shake(handshake, Delivery([], b"{}")) is None
    assert shake(handshake, Delivery([], body, method="GET")) is None


def test_what_is_echoed_is_written_for_its_media() -> None:
    when = {"query:c": ".+"}
    delivery = Delivery([], b"", url="https://h/?c=%3Ca%3E%22")
    as_json = Handshake(
        name="j", when=when, trust="anybody", value="query:c", body='{"c":"{value}"}', media="application/json"
    )
    as_page = Handshake(name="p", when=when, trust="anybody", value="query:c", body="{value}", media="text/html")
    assert json.loads(shake(as_json, delivery).body) == {"c": '<a>"'}
    assert shake(as_page, delivery).body == b"&lt;a&gt;&quot;"
    bare = Handshake(name="b", when=when, trust="anybody", status=204)
    assert (shake(bare, delivery).headers, shake(bare, delivery).body) == ({}, b"")
    strict = Handshake(name="s", when=when, trust="anybody", value="query:c", pattern="[a-z]+", body="{value}")
    assert why(shake(strict, delivery)) is Refused.MALFORMED


def test_an_hmac_is_answered_with_the_first_secret_only_when_there_is_one() -> None:
    handshake = Handshake(name="crc", method="GET", when={}, trust="anybody", value="query:c", body="{hmac}",
                          hmac_prefix="sha256=")  # fmt: skip
    delivery = Delivery([], b"", method="GET", url="https://h/?c=abc")
    assert shake(handshake, delivery).body.decode() == f"sha256={hmac.digest(b'k3y', b'abc', 'sha256').hex()}"
    assert why(shake(handshake, delivery, ())) is Refused.NO_SECRET


def test_a_secret_is_taken_only_while_it_is_expected() -> None:
    handshake = Handshake(name="take", when={"X-Secret": ".+"}, trust="expected", store="X-Secret", value="X-Secret",
                          headers={"X-Secret": "{value}"})  # fmt: skip
    delivery = Delivery([("X-Secret", "new")], b"")
    assert why(shake(handshake, delivery)) is Refused.NO_SECRET
    found = shake(handshake, delivery, expecting=True)
    assert found.store == Secret("new")
    assert found.headers == {"X-Secret": "new"}
    odd = Handshake(name="odd", when={}, trust="expected", store="json:a")
    assert why(shake(odd, Delivery([], b"{}"), expecting=True)) is Refused.MALFORMED


def test_a_verify_token_must_be_the_configured_one() -> None:
    handshake = Handshake(name="m", method="GET", when={}, trust="anybody", equals={"query:t": "verify_token"})
    right = Delivery([], b"", method="GET", url="https://h/?t=ours")
    held = (KEY, Secret('{"verify_token": "ours"}'))
    assert isinstance(shake(handshake, right, held), Answer)
    assert why(shake(handshake, Delivery([], b"", method="GET", url="https://h/?t=x"), held)) is Refused.MISMATCH
    assert why(shake(handshake, right)) is Refused.NO_SECRET


def test_a_subscription_is_confirmed_at_an_address_of_the_provider_alone() -> None:
    handshake = Handshake(name="v", when={}, trust="anybody", visit="json:u", visit_host=r"h\.example", event=True)
    found = shake(handshake, Delivery([], b'{"u":"https://h.example/y?x"}'))
    assert (found.visit, found.event) == ("https://h.example/y?x", True)
    assert why(shake(handshake, Delivery([], b'{"u":"https://evil.example/y"}'))) is Refused.FOREIGN_HOST


def test_wrong_handshakes_are_the_authors_mistake_and_faults_accept_nothing() -> None:
    wrong: list[Any] = [
        {"trust": "x"},
        {"store": "X", "trust": "anybody"},
        {"visit": "X"},
        {"value": "x y"},
        {"when": {"X": "("}},
    ]
    for bad in wrong:
        with pytest.raises(ConfigurationError):
            Handshake(**dict[str, Any](name="bad", **{"when": {}, **bad}))
    broken: Any = object()
    handshake = Handshake(name="h", when={}, trust="anybody")
    assert why(answer(Scheme(name="h", proof=SIGNED, handshakes=(handshake,)), broken, [])) is Refused.INTERNAL
    twice = Delivery([("X-A", "1"), ("x-a", "2")], b"")
    assert why(shake(Handshake(name="t", when={"X-A": "1"}, trust="anybody"), twice)) is Refused.AMBIGUOUS


def test_samples_are_signed_as_a_provider_signs_them() -> None:
    def checked(scheme: Scheme, body: bytes = b"{}", **more: Any) -> Event:
        made = sign(scheme, body, "k3y", now=NOW, **more)
        return accepted(verify(scheme, made, [KEY, *map(Secret, [json.dumps(more.get("settings", {}))])], now=NOW))

    stamp = Timestamp("X-T", unit="iso")
    checked(Scheme(name="a", proof=Hmac(signature="X-S", signed="{id}{ts}{body}", id="X-I", timestamp=stamp)))
    packed = Timestamp(("X-S",), prefix="t=", separator=",")
    checked(Scheme(name="b", proof=Hmac(signature="X-S", prefix="v=", separator=",", signed="{ts}", timestamp=packed)))
    checked(Scheme(name="c", proof=Hmac(signature="json:a.s", signed="x")))
    checked(
        Scheme(name="d", proof=Hmac(signature="query:s", signed="{setting:n}")), url="https://h/", settings={"n": "1"}
    )
    checked(Scheme(name="e", proof=SharedSecret(place="X-S", prefix="Bearer ")))
    checked(Scheme(name="f", proof=SharedSecret(place="Authorization", basic=True)))
    given = Scheme(name="g", proof=Hmac(signature="X-S", signed="{id}", id="X-I"))
    assert checked(given, headers={"X-I": "mine"}).delivery.header("x-i") == "mine"
    for scheme in (
        Scheme(name="h", proof=PublicKey(signature="X-S")), Scheme(name="i", proof=SharedSecret(place="json:a[*]")),
        Scheme(name="j", proof=Hmac(signature="form:s")), Scheme(name="k", proof=Hmac(signature="json:a[0]")),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError):
            sign(scheme, b"{}", "k3y", now=NOW)
    with pytest.raises(ConfigurationError):
        sign(Scheme(name="l", proof=Hmac(signature="json:a.s", signed="x")), b'{"a":5}', "k3y", now=NOW)
    assert written(Timestamp("X", unit="rfc"), NOW) == "Mon, 21 Sep 2026 14:13:20 GMT"
    assert written(Timestamp("X", unit="us"), NOW) == "1790000000000000"
