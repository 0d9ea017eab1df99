"""Schemes as plain data, and whatever may be sent to them: nothing raises."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.core.webhooks import (
    ClientCertificate,
    Delivery,
    Event,
    Hmac,
    Jwt,
    KeyUrl,
    PublicKey,
    Refusal,
    Refused,
    Scheme,
    SharedSecret,
    Timestamp,
    declare,
    verify,
)

NOW = 1_790_000_000.0
KEY = Secret("k3y-for-tests")
PLAIN = Scheme(name="plain", proof=Hmac(signature="X-Sig"))


def sig(body: bytes) -> str:
    return hmac.digest(b"k3y-for-tests", body, hashlib.sha256).hex()


def accepted(found: Event | Refusal) -> Event:
    assert isinstance(found, Event), found
    return found


def test_schemes_are_declared_as_data() -> None:
    body = b'{"id":"1"}'
    text = "1790000000"
    data = {
        "name": "mine", "signature": "X-S", "prefix": "v1=", "separator": ",", "signed": "{ts}.{body}",
        "timestamp": {"place": "X-T", "tolerance": 60}, "delivery_id": ["json:id"], "urls": "exact",
        "handshakes": [{"name": "ping", "when": {"X-Ping": "1"}}],
    }  # fmt: skip
    scheme = declare(json.loads(json.dumps(data)))
    accepted(verify(scheme, Delivery([("X-S", f"v1={sig(f'{text}.'.encode() + body)}"), ("X-T", text)], body), [KEY],
                    now=NOW))  # fmt: skip
    several = declare({"proof": [{"signature": "X-A"}, {"kind": "shared_secret", "place": "X-B"}]}, name="two")
    assert [type(each) for each in several.proofs] == [Hmac, SharedSecret]
    one = declare({"proof": {"kind": "public_key", "signature": "X", "algorithm": "ed25519", "certificate":
                             {"place": "X-U", "host": "h"}}})  # fmt: skip
    assert isinstance(one.proofs[0], PublicKey)
    assert isinstance(declare({"kind": "jwt", "body_hash": "sha256", "max_age": 5}).proofs[0], Jwt)
    assert declare({"signature": "X", "timestamp": "X-T"}).proofs[0].replayable_for == 300
    body_hash = declare({"signature": "X", "body_hash": {"place": "X-D"}, "keyed": True}).proofs[0]
    assert isinstance(body_hash, Hmac)


@pytest.mark.parametrize(
    "bad",
    [
        None, [], "x", 5, {}, {"signatur": "X"}, {"kind": "magic"}, {"signature": 5}, {"signature": "X", "hash": "crc"},
        {"signature": "X", "timestamp": {"place": "T", "tolerance": "5"}}, {"signature": "X", "when": {"X": 1}},
        {"signature": "X", "when": []}, {"kind": "shared_secret"}, {"proof": [5]}, {"proof": [], "name": "x"},
        {"proof": {"signature": "X"}, "signature": "X"}, {"signature": "X", "urls": [5]},
        {"signature": "X", "keyed": 1},
        {"signature": "X", "handshakes": [5]}, {"signature": "X", "any_field_at_all": 1}, {"signature": "X", "urls": 7},
        {"signature": "X", "name": 5}, {"signature": "X", "delivery_id": {"a": 1}}, {"signature": "X", "timestamp": 5},
        {"signature": "X", "signed": ["a"]},
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_named(bad: Any) -> None:
    with pytest.raises(ConfigurationError):
        declare(bad)


TEXTS = st.text(max_size=40) | st.sampled_from(
    ["v1=00", "t=1,v1=00", "1790000000", "Bearer a.b.c", "JWT e30.e30.", "Basic !", "sha256=" + "0" * 64, "é", "\x00"]
)
ALL = [
    PLAIN,
    Scheme(name="a", proof=Hmac(signature="X-S", prefix="v1=", separator=",", signed="{ts}{url}{sorted_form}{json:a}",
                                timestamp=Timestamp(("X-T", "json:t"), unit="iso"))),
    Scheme(name="b", proof=PublicKey(signature="X-S", signed="{ts}{body}", timestamp=Timestamp("X-T"))),
    Scheme(name="c", proof=Jwt(place="X-S", prefix="Bearer ", algorithms=("RS256", "ES256"), query_hash="qsh")),
    Scheme(name="d", proof=Jwt(place="json:t[*]", algorithms=("HS256",), audience="any", body_hash="h")),
    Scheme(name="e", proof=(SharedSecret(place="json:v[*].s"), SharedSecret(place="X-S", basic=True))),
    Scheme(name="f", proof=PublicKey(signature="X-S", algorithm="rsa-sha256", encoding="base64", signed="{body}",
                                     certificate=KeyUrl(place="X-T", host=r".*"), names="json:topic")),
    Scheme(name="g", proof=ClientCertificate(subject="X-S", verified="X-T")),
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    scheme=st.sampled_from(ALL),
    headers=st.lists(st.tuples(st.sampled_from(["X-S", "x-t", "X-Sig", "Content-Type", "Ü"]), TEXTS), max_size=4),
    body=st.binary(max_size=60) | st.sampled_from([b'{"t":["a.b.c"],"v":[{}]}', b"a=1&a=2", b"[" * 9999]),
    url=TEXTS | st.sampled_from(["https://[::", "https://h:99999/", "https://h/?a=%ff"]),
    secrets=st.lists(
        TEXTS | st.sampled_from(['{"keys":[{"kty":"RSA"}]}', "-----BEGIN CERTIFICATE-----", "{}", "[" * 9999])
    ),
    now=st.floats() | st.none(),
    tolerance=st.floats() | st.none(),
)
def test_nothing_that_is_sent_raises_or_is_accepted(
    scheme: Scheme, headers: Any, body: bytes, url: str, secrets: list[str], now: Any, tolerance: Any
) -> None:
    held = [Secret(each) for each in secrets]
    found = verify(scheme, Delivery(headers, body, url=url), held, now=now, tolerance=tolerance)
    if isinstance(found, Refusal):
        assert found.code is not Refused.INTERNAL, found.reason
        return
    shared = [value for name, value in headers if name == "X-S"]
    assert scheme.name in ("e", "g"), "only a guessed secret can be right"
    assert shared or b"v" in body
