"""Webhook schemes in the shapes that are left: signed URLs, names beside certificates, words for tables."""

import base64
import hashlib
import hmac
import sys

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from clew.core.secret import Secret
from clew.core.webhooks import (
    BodyHash,
    ClientCertificate,
    Delivery,
    Event,
    Handshake,
    Hmac,
    KeyUrl,
    PublicKey,
    Refusal,
    Refused,
    Scheme,
    SharedSecret,
    answer,
    verify,
)
from clew.core.webhooks.publickeys import is_signed_by
from clew.core.webhooks.signing import sign

KEY = Secret("k3y")
URL = "https://h.example/p?q=%3A"


def mac(content: bytes) -> str:
    return hmac.digest(b"k3y", content, "sha256").hex()


def test_a_signed_url_holds_in_each_way_it_may_be_written() -> None:
    scheme = Scheme(name="u", proof=Hmac(signature="X-S", signed="{url}", urls=("exact", "decoded")))
    for url in (URL, "https://h.example/p?q=:"):
        found = verify(scheme, Delivery([("X-S", mac(url.encode()))], b"", url=URL), [KEY])
        assert isinstance(found, Event)
        assert found.signed_at is None
    unknown = verify(scheme, Delivery([("X-S", mac(b""))], b""), [KEY])
    assert isinstance(unknown, Refusal)
    assert unknown.code is Refused.MALFORMED


def test_a_certificate_may_say_for_whom_it_signs() -> None:
    private = rsa.generate_private_key(65537, 2048)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    proof = PublicKey(
        signature="X-S", encoding="base64", algorithm="rsa-sha256", names="X-Name",
        certificate=KeyUrl(place="X-U", host=r"h\.example"),
    )  # fmt: skip
    scheme = Scheme(name="c", proof=proof)
    signature = base64.b64encode(private.sign(b"", padding.PKCS1v15(), hashes.SHA256())).decode()
    headers = [("X-S", signature), ("X-U", "https://h.example/c"), ("X-Name", "ours")]
    assert isinstance(verify(scheme, Delivery(headers, b""), [Secret("ours"), Secret(public)]), Event)
    assert isinstance(verify(scheme, Delivery(headers, b""), [Secret(public)]), Event)
    for held in ([Secret("theirs"), Secret(public)], [Secret("ours")]):
        assert isinstance(verify(scheme, Delivery(headers, b""), held), Refusal)
    elsewhere = [headers[0], ("X-U", "https://evil.example/c"), headers[2]]
    found = verify(scheme, Delivery(elsewhere, b""), [Secret("ours"), Secret(public)])
    assert isinstance(found, Refusal)
    assert found.code is Refused.FOREIGN_HOST
    nameless = verify(scheme, Delivery([headers[0], headers[2]], b""), [Secret("ours"), Secret(public)])
    assert isinstance(nameless, Refusal)


def test_ed25519_holds_without_libsodium(monkeypatch: pytest.MonkeyPatch) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    for missing in (False, True):
        if missing:
            monkeypatch.setitem(sys.modules, "nacl.bindings", None)
        assert is_signed_by(private.public_key(), "ed25519", private.sign(b"m"), b"m")
        assert not is_signed_by(private.public_key(), "ed25519", private.sign(b"m"), b"n")
        assert not is_signed_by(private.public_key(), "ed25519", b"x" * 63, b"m")


def test_a_body_hash_in_the_url_is_written_by_the_sample() -> None:
    proof = Hmac(signature="X-S", signed="{url}", body_hash=BodyHash("query:h"))
    scheme = Scheme(name="b", proof=proof)
    for url in ("https://h.example/p", URL):
        made = sign(scheme, b"body", "k3y", now=0, url=url)
        assert made.url.endswith(hashlib.sha256(b"body").hexdigest())
        assert isinstance(verify(scheme, made, [KEY]), Event)


def test_an_empty_form_is_the_url_alone() -> None:
    scheme = Scheme(name="f", proof=Hmac(signature="X-S", signed="{url}{sorted_form}"))
    assert isinstance(verify(scheme, Delivery([("X-S", mac(URL.encode()))], b"", url=URL), [KEY]), Event)


def test_of_ways_that_all_fail_the_one_with_the_right_kind_of_secret_speaks() -> None:
    first, second = Hmac(signature="X-A"), Hmac(signature="X-B", key="base64")
    for proof in ((first, second), (second, first)):
        scheme = Scheme(name="w", proof=proof)
        found = verify(scheme, Delivery([("X-A", "00"), ("X-B", "00")], b""), [Secret("k3y!")])
        assert isinstance(found, Refusal)
        assert found.code is Refused.MISMATCH


def test_several_schemes_of_which_none_or_one_is_used() -> None:
    first, second = (Scheme(name=name, proof=SharedSecret(place=f"X-{name}")) for name in ("a", "b"))
    found = verify([first, second], Delivery([("X-b", "k3y")], b""), [KEY])
    assert isinstance(found, Event)
    alone = verify([first], Delivery([], b""), [KEY])
    assert isinstance(alone, Refusal)
    assert alone.code is Refused.NO_SIGNATURE


def test_a_handshake_of_another_scheme_is_passed_over() -> None:
    def scheme(name: str, kind: str) -> Scheme:
        handshake = Handshake(name=name, when={"json:type": kind}, trust="anybody")
        return Scheme(name=name, proof=Hmac(signature="X-S"), handshakes=(handshake,))

    found = answer([scheme("a", "1"), scheme("b", "2")], Delivery([], b'{"type":2}'), [])
    assert found is not None
    assert not isinstance(found, Refusal)
    assert found.handshake == "b"


def test_ways_are_described_in_a_few_words() -> None:
    assert Hmac(signature="X-S", prefix="v1=", signed="{sha256}\n").describe() == (
        "HMAC-SHA-256 hex, `X-S: v1=` over `{sha256}\\n`"
    )
    assert Hmac(signature="X-S", keyed=False, signed="{secret}").describe() == "SHA-256 hex, `X-S` over `{secret}`"
    assert SharedSecret(place="X-S").describe() == "the secret itself, `X-S`"
    assert SharedSecret(place="X-S", basic=True).describe() == "HTTP Basic, `X-S`"
    assert "client certificate" in ClientCertificate(subject="X-S", verified="X-V").describe()
