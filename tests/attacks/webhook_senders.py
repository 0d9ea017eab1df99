"""Senders of webhooks for every declared proof, with keys of their own; they sign as the providers' documents say."""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from clew.core.secret import Secret
from clew.core.webhooks import ClientCertificate, Delivery, Hmac, Jwt, Proof, PublicKey, Scheme, SharedSecret
from clew.core.webhooks.secrets import Given
from clew.core.webhooks.signing import sign, written
from clew.core.webhooks.tokens import query_hash

NOW = 1_790_000_000.0
URL = "https://hooks.example.com/in?x=1"
FORM = "application/x-www-form-urlencoded"
PLAIN = {"text": "s3cret-for-tests", "base64": "c2VjcmV0LWZvci10ZXN0cw==", "hex": "73656372657400ff"}
OTHER = {"text": "other", "base64": "b3RoZXItc2VjcmV0", "hex": "00ff00ff"}


@dataclass(frozen=True)
class Sent:
    """A delivery that can still be changed, and what verifies it."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    url: str
    secrets: tuple[str, ...]
    others: tuple[str, ...]
    method: str = "POST"
    now: float = NOW

    def delivery(self) -> Delivery:
        return Delivery(self.headers, self.body, method=self.method, url=self.url)

    def held(self) -> list[Secret]:
        return [Secret(each) for each in self.secrets]

    def with_header(self, name: str, value: str) -> "Sent":
        kept = tuple((key, text) for key, text in self.headers if key.lower() != name.lower())
        return replace(self, headers=(*kept, (name, value)))


@dataclass(frozen=True)
class Case:
    """One proof of one scheme, and what its requests need besides."""

    scheme: Scheme
    number: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b'{"id":"evt_1","type":"test","text":"caf\xc3\xa9"}'

    @property
    def proof(self) -> Proof:
        return self.scheme.proofs[self.number]

    def send(self, *, body: bytes | None = None, now: float = NOW) -> Sent:
        content = self.body if body is None else body
        proof = self.proof
        if isinstance(proof, Hmac | SharedSecret):
            return self._shared(proof, content, now)
        if isinstance(proof, PublicKey):
            return self._signed(proof, content, now)
        if isinstance(proof, Jwt):
            return self._token(proof, content, now)
        assert isinstance(proof, ClientCertificate)
        headers = ((proof.subject, "CN=events.example,O=Example"), (proof.verified, proof.word))
        return Sent(headers, content, URL, ("CN=events.example,O=Example",), ("CN=evil.example",))

    def _shared(self, proof: Hmac | SharedSecret, content: bytes, now: float) -> Sent:
        secret, other = ("user:pass word", "user:wrong") if getattr(proof, "basic", False) else ("", "")
        if not secret:
            kind = proof.key if isinstance(proof, Hmac) else "text"
            prefix = proof.key_prefix if isinstance(proof, Hmac) else ""
            secret, other = prefix + PLAIN[kind], prefix + OTHER[kind]
        made = sign(self.scheme, content, secret, now=now, url=URL, headers=self.headers, proof=proof)
        return Sent(tuple(made.headers.items()), made.body, made.url, (secret,), (other,))

    def _signed(self, proof: PublicKey, content: bytes, now: float) -> Sent:
        headers = {"content-type": "application/json", **self.headers}
        assert proof.timestamp is None or isinstance(proof.timestamp.place, str)
        text = ""
        place = "" if proof.timestamp is None else str(proof.timestamp.place)
        if proof.timestamp is not None:
            text = written(proof.timestamp, now)
        if place and not place.startswith("json:"):
            headers[place.lower()] = text
        if proof.id:
            headers[proof.id.lower()] = "msg_1"
        if place.startswith("json:"):
            content = json.dumps({**json.loads(content), place[5:]: text}).encode()
        names = ("WEBHOOK-1",) if proof.text_setting else ("arn:aws:sns:eu-west-1:1:topic",) if proof.names else ()
        settings = {proof.text_setting: "WEBHOOK-1"} if proof.text_setting else {}
        delivery = Delivery(list(headers.items()), content, url=URL)
        signed = proof.contents(delivery, text, Given((), settings))[0]
        signature = encoded(proof, private_sign(proof.algorithm, "ours", signed))
        if proof.signature.startswith("json:"):
            content = json.dumps({**json.loads(content), proof.signature[5:]: signature}).encode()
        else:
            headers[proof.signature.lower()] = proof.prefix + signature
        return Sent(
            tuple(headers.items()),
            content,
            URL,
            (*names, public_text(proof, "ours")),
            (*names, public_text(proof, "theirs")),
        )

    def _token(self, proof: Jwt, content: bytes, now: float) -> Sent:
        url = "https://hooks.example.com/in" if proof.place.startswith("query:") else URL
        claims = claims_for(proof, content, url, now)
        token = make_token(proof.algorithms[0], claims, "ours")
        secrets, others = token_secrets(proof)
        headers = {"content-type": "application/json", **self.headers}
        if proof.place.startswith("query:"):
            url = f"{url}?jwt={token}"
        elif proof.place.startswith("json:"):
            content = json.dumps({**json.loads(content or b"{}"), "validationTokens": [token]}).encode()
        else:
            headers[proof.place.lower()] = proof.prefix + token
        return Sent(tuple(headers.items()), content, url, secrets, others)


def claims_for(proof: Jwt, content: bytes, url: str, now: float) -> dict[str, Any]:
    claims: dict[str, Any] = {"iat": int(now), "exp": int(now) + 600, "aud": "our-app", "iss": "me"}
    if "accounts" in proof.issuer:
        claims |= {"iss": "https://accounts.google.com", "email": "push@p.iam.gserviceaccount.com"}
    elif "windows" in proof.issuer:
        claims |= {"iss": "https://sts.windows.net/0-a/", "appid": "0bf30f3b-4a52-48df-9a82-234910c4a086"}
    elif proof.issuer:
        claims["iss"] = proof.issuer
    if proof.body_hash:
        claims[proof.body_hash] = hashlib.sha256(content).hexdigest()
    if proof.query_hash:
        claims[proof.query_hash] = query_hash(Delivery([], content, url=url))
    return claims


def token_secrets(proof: Jwt) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if proof.symmetric:
        return (PLAIN["text"],), (OTHER["text"],)
    kind = proof.algorithms[0]
    named = ('{"audience": "our-app"}',) if proof.audience != "any" else ()
    return (*named, pem(kind, "ours")), (*named, pem(kind, "theirs"))


def make_token(algorithm: str, claims: Mapping[str, Any], whose: str, header: Mapping[str, Any] | None = None) -> str:
    head = unpadded(json.dumps({"alg": algorithm, "typ": "JWT", **(header or {})}).encode())
    content = f"{head}.{unpadded(json.dumps(dict(claims)).encode())}"
    return f"{content}.{unpadded(token_signature(algorithm, whose, content.encode()))}"


def token_signature(algorithm: str, whose: str, content: bytes) -> bytes:
    import hmac

    if algorithm == "none":
        return b""
    if algorithm.startswith("HS"):
        return hmac.digest((PLAIN if whose == "ours" else OTHER)["text"].encode(), content, "sha256")
    if algorithm.startswith("ES"):
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        r, s = decode_dss_signature(private_sign("ecdsa-p256-sha256", whose, content))
        return r.to_bytes(32) + s.to_bytes(32)
    return private_sign("rsa-sha256", whose, content)


def unpadded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def encoded(proof: PublicKey, signature: bytes) -> str:
    return signature.hex() if proof.encoding == "hex" else base64.b64encode(signature).decode()


@functools.cache
def key(kind: str, whose: str) -> Any:
    """A private key of ours or of somebody else's, made once."""
    del whose
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind.startswith(("ecdsa", "ES")):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


def family(algorithm: str) -> str:
    return "rsa" if algorithm.startswith(("rsa", "RS")) else "ecdsa" if algorithm[:2] in ("ec", "ES") else "ed25519"


def private_sign(algorithm: str, whose: str, content: bytes) -> bytes:
    private = key(family(algorithm), whose)
    if algorithm == "ed25519":
        return bytes(private.sign(content))
    digest = hashes.SHA1() if algorithm.endswith("sha1") else hashes.SHA256()
    if algorithm.startswith("ecdsa"):
        return bytes(private.sign(content, ec.ECDSA(digest)))
    return bytes(private.sign(content, padding.PKCS1v15(), digest))


def pem(algorithm: str, whose: str) -> str:
    public = key(family(algorithm), whose).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(public.public_bytes(serialization.Encoding.PEM, form).decode())


@functools.cache
def certificate(whose: str) -> str:
    private = key("rsa", whose)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def public_text(proof: PublicKey, whose: str) -> str:
    """The key as the provider shows it."""
    if proof.certificate is not None:
        return certificate(whose)
    public = key(family(proof.algorithm), whose).public_key()
    if proof.algorithm == "ed25519":
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return raw.hex() if proof.encoding == "hex" else proof.key_prefix + base64.b64encode(raw).decode()
    if proof.algorithm.startswith("ecdsa"):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return base64.b64encode(public.public_bytes(serialization.Encoding.DER, form)).decode()
    return pem(proof.algorithm, whose)
