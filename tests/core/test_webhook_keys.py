"""Public keys, tokens, keys that are fetched, and handshakes."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from clew.core.secret import Secret
from clew.core.webhooks import (
    Delivery,
    Event,
    Jwt,
    KeyRing,
    KeyUrl,
    PublicKey,
    Refusal,
    Refused,
    Scheme,
    verify,
)
from clew.core.webhooks.delivery import RefusedError
from clew.core.webhooks.publickeys import is_signed_by, public_keys
from clew.core.webhooks.tokens import query_hash

pytestmark = pytest.mark.anyio
NOW = 1_790_000_000.0
RSA = rsa.generate_private_key(65537, 2048)
SMALL = rsa.generate_private_key(65537, 1024)
P256, P384, P521 = (ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))
ED = ed25519.Ed25519PrivateKey.generate()


def pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(serialization.Encoding.PEM, form).decode())


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def token(claims: Any, header: Any = None, key: Any = RSA) -> str:
    head: dict[str, Any] = {"alg": "RS256", **(header or {})}
    content = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{content}.{b64(key.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def jwk(key: Any, **more: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": b64(numbers.n.to_bytes(256)), "e": "AQAB", **more}


def why(found: Any) -> Refused:
    assert isinstance(found, Refusal), found
    return found.code


def accepted(found: Any) -> Event:
    assert isinstance(found, Event), found
    return found


SIGNERS: dict[str, Callable[[bytes], bytes]] = {
    "rsa-sha1": lambda m: RSA.sign(m, padding.PKCS1v15(), hashes.SHA1()),
    "rsa-sha512": lambda m: RSA.sign(m, padding.PKCS1v15(), hashes.SHA512()),
    "rsa-pss-sha256": lambda m: RSA.sign(m, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
    "ecdsa-p256-sha256": lambda m: P256.sign(m, ec.ECDSA(hashes.SHA256())),
    "ecdsa-p384-sha384": lambda m: P384.sign(m, ec.ECDSA(hashes.SHA384())),
    "ed25519": ED.sign,
}
KEYS = {"rsa": RSA, "ecdsa-p256": P256, "ecdsa-p384": P384, "ed25519": ED}


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_signatures_of_every_algorithm(algorithm: str) -> None:
    scheme = Scheme(name="k", proof=PublicKey(signature="X-S", encoding="base64", algorithm=algorithm))
    key = next(key for name, key in KEYS.items() if algorithm.startswith(name))
    delivery = Delivery([("X-S", base64.b64encode(SIGNERS[algorithm](b"b")).decode())], b"b")
    event = accepted(verify(scheme, delivery, [Secret(pem(key))]))
    assert event.secret == 0
    assert accepted(verify(scheme, delivery, [Secret("nonsense"), Secret(pem(key))])).secret == 1
    other = Delivery([("X-S", base64.b64encode(SIGNERS[algorithm](b"c")).decode())], b"b")
    assert why(verify(scheme, other, [Secret(pem(key))])) is Refused.MISMATCH
    assert why(verify(scheme, delivery, [Secret("nonsense")])) is Refused.BAD_SECRET
    assert why(verify(scheme, delivery, [])) is Refused.NO_SECRET
    assert why(verify(scheme, Delivery([("X-S", "!")], b"b"), [Secret(pem(key))])) is Refused.MALFORMED
    assert scheme.proofs[0].describe().startswith(algorithm)


def test_keys_are_read_in_the_forms_that_providers_show() -> None:
    raw = ED.public_key().public_bytes_raw()
    der = P256.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    point = P521.public_key().public_numbers()
    ec_jwk = {"kty": "EC", "crv": "P-521", "x": b64(point.x.to_bytes(66)), "y": b64(point.y.to_bytes(66)), "kid": "e"}
    for text, algorithm in (
        (raw.hex(), "ed25519"), (base64.b64encode(raw).decode(), "ed25519"), (pem(ED), "ed25519"),
        (f"whpk_{base64.b64encode(raw).decode()}", "ed25519"), (json.dumps({"kty": "OKP", "x": b64(raw)}), "ed25519"),
        (base64.b64encode(der).decode(), "ecdsa-p256-sha256"), (json.dumps(ec_jwk), "ecdsa-p521-sha512"),
        (json.dumps({"keys": [{"kty": "RSA"}, {"kty": "oct"}, 5, jwk(RSA, use="enc"), jwk(RSA)]}), "rsa-sha256"),
    ):  # fmt: skip
        assert len(public_keys(text, algorithm)) == 1
    for text, algorithm in (
        (pem(SMALL), "rsa-sha256"), (pem(P256), "ecdsa-p384-sha384"), (pem(RSA), "ed25519"), ("{}", "rsa-sha256"),
        (json.dumps({"keys": None}), "rsa-sha256"), ("{", "rsa-sha256"),
        (json.dumps(jwk(RSA, alg="RS512")), "rsa-sha256"),
        ("-----BEGIN CERTIFICATE-----\nx", "rsa-sha256"), ("é", "ed25519"),
    ):  # fmt: skip
        with pytest.raises(RefusedError):
            public_keys(text, algorithm)


def test_ecdsa_signatures_as_two_numbers() -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(P256.sign(b"m", ec.ECDSA(hashes.SHA256())))
    public = P256.public_key()
    raw = r.to_bytes(32) + s.to_bytes(32)
    assert is_signed_by(public, "ecdsa-p256-sha256", raw, b"m", raw=True)
    assert not is_signed_by(public, "ecdsa-p256-sha256", raw[:-1], b"m", raw=True)
    assert not is_signed_by(public, "ecdsa-p256-sha256", raw, b"m")
    assert not is_signed_by(ED.public_key(), "ed25519", b"short", b"m")
    assert not is_signed_by(ED.public_key(), "ed25519", ED.sign(b"n"), b"m")


def test_a_named_key_of_a_set_is_the_one_that_counts() -> None:
    scheme = Scheme(
        name="n",
        proof=PublicKey(signature="X-S", encoding="base64", algorithm="rsa-sha256", key_id="X-Key"),
    )
    keys = Secret(json.dumps({"keys": [jwk(RSA, kid="a")]}))
    signature = base64.b64encode(RSA.sign(b"", padding.PKCS1v15(), hashes.SHA256())).decode()
    accepted(verify(scheme, Delivery([("X-S", signature), ("X-Key", "a")], b""), [keys]))
    accepted(verify(scheme, Delivery([("X-S", signature)], b""), [keys]))
    assert why(verify(scheme, Delivery([("X-S", signature), ("X-Key", "b")], b""), [keys])) is Refused.MISMATCH
    prefixed = Scheme(name="n", proof=PublicKey(signature="X-S", encoding="base64", key_prefix="whpk_"))
    assert why(verify(prefixed, Delivery([("X-S", signature)], b""), [Secret("YQ==")])) is Refused.BAD_SECRET
    held = [Secret(f"whpk_{base64.b64encode(ED.public_key().public_bytes_raw()).decode()}")]
    event = accepted(verify(prefixed, Delivery([("X-S", base64.b64encode(ED.sign(b"")).decode())], b""), held))
    assert event.body == b""


PUSH = Scheme(
    name="push",
    proof=Jwt(prefix="Bearer ", keys_url="https://id.example/keys", issuer="https://id.example", audience="url",
              claims={"email": "{email}", "kind": "push"}, pins=("email",)),
)  # fmt: skip
CLAIMS = {
    "iss": "https://id.example",
    "aud": "https://h.example/in",
    "exp": NOW + 60,
    "iat": NOW,
    "email": "p@x",
    "kind": "push",
}


def push(
    claims: Any = None, header: Any = None, text: str | None = None, url: str = "https://h.example/in?x=1"
) -> Delivery:
    made = token({**CLAIMS, **(claims or {})}, header) if text is None else text
    return Delivery([("Authorization", f"Bearer {made}")], b"", url=url)


def test_a_token_is_verified_with_given_keys() -> None:
    given = [Secret(json.dumps({"keys": [jwk(RSA, kid="1")]}))]
    event = accepted(verify(PUSH, push(header={"kid": "1"}), given, now=NOW))
    assert event.claims["email"] == "p@x"
    assert event.signed_at == NOW
    assert (
        accepted(verify(PUSH, push({"aud": ["x", "https://h.example/in?x=1"]}), given, now=NOW)).replayable_for is None
    )
    accepted(verify(PUSH, push(), [*given, Secret("p@x")], now=NOW))
    cases: list[Any] = [
        ({}, {"kid": "2"}, Refused.MISMATCH), ({"email": "q@x"}, None, None), ({"aud": "y"}, None, Refused.CLAIM),
        ({"aud": 5}, None, Refused.CLAIM), ({"kind": "x"}, None, Refused.CLAIM), ({"iss": 5}, None, Refused.CLAIM),
        ({"exp": NOW - 11}, None, Refused.TOO_OLD), ({"nbf": NOW + 11}, None, Refused.IN_FUTURE),
        ({"iat": NOW + 100}, None, Refused.IN_FUTURE), ({"exp": "1"}, None, Refused.MALFORMED),
        ({}, {"alg": "HS256"}, Refused.ALGORITHM), ({}, {"crit": []}, Refused.ALGORITHM),
        ({}, {"jku": "https://evil.example/"}, Refused.FOREIGN_HOST), ({}, {"x5u": "https://id.example/k"}, None),
    ]  # fmt: skip
    for claims, header, expected in cases:
        found = verify(PUSH, push(claims, header), given, now=NOW)
        assert (found.code if isinstance(found, Refusal) else None) is expected
    assert why(verify(PUSH, push({"email": "q@x"}), [*given, Secret("p@x")], now=NOW)) is Refused.CLAIM
    assert why(verify(PUSH, push(url=""), given, now=NOW)) is Refused.NO_SECRET
    assert why(verify(PUSH, push({"aud": "z"}), [*given, Secret("their-audience")], now=NOW)) is Refused.CLAIM
    for text in ("a.b", "a.b.c.d", "é.é.é", "W10.W10.AA", "e30.e30.", "x" * 20_000):
        assert why(verify(PUSH, push(text=text), given, now=NOW)) in (Refused.MALFORMED, Refused.ALGORITHM)
    for value in ("", "Bearer ", "Basic x"):
        assert why(verify(PUSH, Delivery([("Authorization", value)], b""), given, now=NOW)) is Refused.NO_SIGNATURE
    assert why(verify(PUSH, Delivery([], b""), given, now=NOW)) is Refused.NO_SIGNATURE
    del_exp = {key: value for key, value in CLAIMS.items() if key != "exp"}
    assert why(verify(PUSH, push(text=token(del_exp)), given, now=NOW)) is Refused.CLAIM


def test_a_token_with_a_secret_and_the_hashes_of_body_and_request() -> None:
    def made(claims: Any, key: bytes = b"k3y") -> str:
        head = b64(b'{"alg":"HS256"}')
        content = f"{head}.{b64(json.dumps(claims).encode())}"
        return f"{content}.{b64(hmac.digest(key, content.encode(), 'sha256'))}"

    proof = Jwt(place="X-T", algorithms=("HS256",), audience="any", require=("iat",), body_hash="h", query_hash="q",
                max_age=60)  # fmt: skip
    scheme = Scheme(name="hs", proof=proof)
    url = "https://h.example/base/p/?b=2&a=%20&b=1&jwt=x"
    base = Delivery([], b"b", url=url)
    settings = Secret('{"base_url": "https://h.example/base"}')
    expected = hashlib.sha256(b"POST&/p&a=%20&b=1,2").hexdigest()
    assert query_hash(base, "https://h.example/base") == expected
    claims = {"iat": NOW, "h": hashlib.sha256(b"b").hexdigest(), "q": expected}
    held = [Secret("wrong"), Secret("k3y"), settings]

    def judged(text: str, held: list[Secret] = held, now: float = NOW, **more: Any) -> Any:
        return verify(scheme, Delivery([("X-T", text)], b"b", url=url), held, now=now, **more)

    event = accepted(judged(made(claims)))
    assert (event.secret, event.covers_body, event.replayable_for) == (1, True, 60)
    assert why(judged(made(claims, b"no"))) is Refused.MISMATCH
    assert why(judged(made({**claims, "h": "é"}))) is Refused.BODY_CHANGED
    assert why(judged(made({**claims, "q": "context-qsh"}))) is Refused.CLAIM
    assert why(judged(made(claims), now=NOW + 61)) is Refused.TOO_OLD
    assert why(judged(made(claims), now=NOW + 61, tolerance=60)) is Refused.TOO_OLD
    accepted(judged(made(claims), now=NOW + 61, tolerance=100))
    assert why(judged(made(claims), [])) is Refused.NO_SECRET
    assert why(judged(made(claims), [Secret('{"keys":[]}')])) is Refused.BAD_SECRET
    assert scheme.proofs[0].applies(Delivery([("X-T", "x")], b""))
    assert "body hash" in scheme.proofs[0].describe()
    nokeys = Scheme(name="no", proof=Jwt(place="X-T"))
    assert why(verify(nokeys, Delivery([("X-T", token({}))], b""), [], now=NOW)) is Refused.NO_SECRET


async def test_published_keys_are_fetched_once_and_again_when_they_change() -> None:
    asked: list[str] = []
    answers: list[Any] = []
    time = [0.0]

    async def fetch(url: str) -> bytes:
        asked.append(url)
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return json.dumps({"keys": [found]}).encode()

    ring = KeyRing(fetch, clock=lambda: time[0])
    held = [Secret("p@x")]
    assert why(await ring.verify(PUSH, push(), [], now=NOW)) is Refused.NO_SECRET
    assert why(await ring.verify(PUSH, push(), [Secret("only-an-audience")], now=NOW)) is Refused.NO_SECRET
    assert asked == []
    settings = [Secret("p@x"), Secret("https://h.example/in")]
    answers[:] = [OSError("down")]
    assert why(await ring.verify(PUSH, push(), settings, now=NOW)) is Refused.KEY_NEEDED
    assert why(await ring.verify(PUSH, push(), settings, now=NOW)) is Refused.KEY_NEEDED
    time[0] = 61
    answers[:] = [jwk(rsa.generate_private_key(65537, 2048), kid="old")]
    assert why(await ring.verify(PUSH, push(), settings, now=NOW)) is Refused.MISMATCH
    time[0] = 122
    answers[:] = [jwk(RSA, kid="new")]
    event = accepted(await ring.verify(PUSH, push(), settings, now=NOW))
    assert event.secret is None
    accepted(await ring.verify(PUSH, push(), settings, now=NOW))
    assert asked == ["https://id.example/keys"] * 3
    forged = push({"kind": "x"})
    assert why(await ring.verify(PUSH, forged, held, now=NOW)) is Refused.CLAIM
    time[0] = 200
    answers[:] = [OSError("down")]
    other = push(text=token(CLAIMS, key=rsa.generate_private_key(65537, 2048)))
    assert why(await ring.verify(PUSH, other, settings, now=NOW)) is Refused.MISMATCH
    accepted(await ring.verify(PUSH, push(), settings, now=NOW))
    time[0] = 200 + 86_401
    assert ring.known("https://id.example/keys") is None


async def test_a_forger_cannot_make_us_flood_a_provider() -> None:
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return pem(RSA).encode()

    time = [0.0]
    proof = Jwt(prefix="Bearer ", keys_url="https://id.example/{kid}", audience="any")
    scheme = Scheme(name="kid", proof=proof)
    ring = KeyRing(fetch, clock=lambda: time[0])
    for number in range(30):
        await ring.verify(scheme, push(header={"kid": f"k{number}"}), [Secret("aud")], now=NOW)
    assert len(asked) == 10
    for number in range(30, 110):
        time[0] += 10
        await ring.verify(scheme, push(header={"kid": f"k{number}"}), [Secret("aud")], now=NOW)
    assert ring.known("https://id.example/k0") is None
    for kid in (None, "../x", 5):
        found = verify(scheme, push(header={"kid": kid}), [Secret("aud")], now=NOW)
        assert why(found) is Refused.MALFORMED


def test_a_certificate_that_the_delivery_names_needs_something_configured() -> None:
    proof = PublicKey(signature="X-S", encoding="base64", algorithm="rsa-sha256", signed="{setting:hook}",
                      text_setting="hook", certificate=KeyUrl(place="X-U", host=r"h\.example"))  # fmt: skip
    scheme = Scheme(name="c", proof=proof)
    signature = base64.b64encode(RSA.sign(b"two", padding.PKCS1v15(), hashes.SHA256())).decode()
    headers = [("X-S", signature), ("X-U", "https://h.example/cert")]
    assert why(verify(scheme, Delivery(headers, b""), [])) is Refused.NO_SECRET
    accepted(verify(scheme, Delivery(headers, b""), [Secret("one"), Secret("two"), Secret(pem(RSA))]))
    accepted(verify(scheme, Delivery(headers, b""), [Secret('{"hook": "two"}'), Secret(pem(RSA))]))
    found = verify(scheme, Delivery(headers, b""), [Secret('{"hook": "two"}')], known=lambda url: pem(RSA).encode())
    assert accepted(found).secret is None
    assert why(verify(scheme, Delivery(headers[:1], b""), [Secret("two")])) is Refused.MALFORMED
