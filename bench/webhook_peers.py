"""Our verdicts against those of the providers' own libraries, on vectors that are made while it runs.

    python -m venv peers
    peers/bin/pip install -e . stripe twilio slack_sdk standardwebhooks svix sendgrid discord-interactions \
        hubspot-api-client squareup
    peers/bin/python bench/webhook_peers.py

Prints a line for each library: vectors, agreements, and every disagreement that is not one of the known faults of the
library: it raises instead of refusing, takes an empty secret or any time in the future, or does not look at times.
Ends with 1 when we refuse what a library signed, or accept what it refuses.
"""

import base64
import contextlib
import hashlib
import io
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from clew.connectors.webhooks.catalog import SCHEMES
from clew.core.secret import Secret
from clew.core.webhooks import Delivery, Event, Refusal, verify
from clew.core.webhooks.signing import sign

URL = "https://hooks.example.com/in?a=1&b=%3A"
NOW = int(time.time())
BODIES = (b'{"a":1}', b"{}", '{"t":"日本 é"}'.encode(), b'{"a":  [1, 2]}\r\n', b'{"z":"%3A&=+"}')


@dataclass(frozen=True)
class Vector:
    """One request with its secret."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    secret: str
    url: str = URL

    def __getitem__(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def lower(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers}


def changes(vector: Vector, chance: random.Random) -> Iterator[tuple[str, Vector]]:
    """The vector, and ways in which it goes wrong."""
    yield "valid", vector
    at = chance.randrange(len(vector.body))
    yield "body", replace(vector, body=vector.body[:at] + bytes([vector.body[at] ^ 1]) + vector.body[at + 1 :])
    yield "body+", replace(vector, body=vector.body + b" ")
    yield "not text", replace(vector, body=vector.body + b"\xff")
    yield "wrong secret", replace(vector, secret=other(vector.secret))
    yield "no secret", replace(vector, secret="")
    for number, (name, value) in enumerate(vector.headers):
        if name.lower() in ("content-type",):
            continue
        middle = len(value) // 2
        for kind, changed in (
            ("cut", value[:-1]),
            ("empty", ""),
            ("garbage", "é\x00"),
            ("swapped", value[:middle] + ("0" if value[middle] != "0" else "1") + value[middle + 1 :]),
        ):
            headers = (*vector.headers[:number], (name, changed), *vector.headers[number + 1 :])
            yield f"{name} {kind}", replace(vector, headers=headers)


def other(secret: str) -> str:
    """Another secret of the same form."""
    if secret.startswith("whsec_"):
        return "whsec_" + base64.b64encode(b"x" * 24).decode()
    return secret[:-4] + ("zzzz" if not secret.endswith("zzzz") else "yyyy")


def shared(name: str, secret: str, body: bytes, *, now: int, number: int = 0, **more: Any) -> Vector:
    """Signed by us; the library then judges it."""
    scheme = SCHEMES[name]
    made = sign(scheme, body, secret, now=now, url=URL, proof=scheme.proofs[number], **more)
    return Vector(tuple(made.headers.items()), made.body, secret, made.url)


Judge = Callable[[Vector], Any]


def peers() -> Iterator[tuple[str, str, Callable[[bytes, int], Vector], Judge]]:
    """Name, scheme, who makes a vector, who judges it. Where a library can sign, it makes them."""
    import stripe
    from discord_interactions import verify_key
    from hubspot.utils.signature import Signature
    from nacl.signing import SigningKey
    from sendgrid.helpers.eventwebhook import EventWebhook
    from slack_sdk.signature import SignatureVerifier
    from square.utils.webhooks_helper import verify_signature
    from standardwebhooks.webhooks import Webhook
    from svix.webhooks import Webhook as SvixWebhook
    from twilio.request_validator import RequestValidator

    whsec = "whsec_" + base64.b64encode(b"k" * 24).decode()

    def stripe_made(body: bytes, now: int) -> Vector:
        text = body.decode()
        signature = stripe.WebhookSignature._compute_signature(f"{now}.{text}", "whsec_test")  # pyright: ignore
        return Vector((("Stripe-Signature", f"t={now},v1={signature},v0=x"),), body, "whsec_test")

    yield (
        "stripe",
        "stripe",
        stripe_made,
        lambda v: stripe.WebhookSignature.verify_header(v.body.decode(), v["Stripe-Signature"], v.secret, 300),
    )

    def slack_made(body: bytes, now: int) -> Vector:
        signature = SignatureVerifier("s1gn").generate_signature(timestamp=str(now), body=body)
        return Vector((("X-Slack-Signature", str(signature)), ("X-Slack-Request-Timestamp", str(now))), body, "s1gn")

    yield (
        "slack_sdk",
        "slack",
        slack_made,
        lambda v: SignatureVerifier(v.secret).is_valid(v.body, v["X-Slack-Request-Timestamp"], v["X-Slack-Signature"]),
    )

    def standard(family: str, kind: Any) -> Callable[[bytes, int], Vector]:
        def made(body: bytes, now: int) -> Vector:
            from datetime import UTC, datetime

            signature = kind(whsec).sign("msg_1", datetime.fromtimestamp(now, UTC), body.decode())
            named = {"id": "msg_1", "timestamp": str(now), "signature": f"v1,AAAA {signature}"}
            return Vector(tuple((f"{family}-{name}", value) for name, value in named.items()), body, whsec)

        return made

    yield (
        "standardwebhooks",
        "standard-webhooks",
        standard("webhook", Webhook),
        lambda v: Webhook(v.secret).verify(v.body, v.lower, json_parse=False),
    )
    yield "svix", "svix", standard("svix", SvixWebhook), lambda v: SvixWebhook(v.secret).verify(v.body, v.lower) or True

    def twilio_form(body: bytes, now: int) -> Vector:
        fields = {"To": "+1", "Body": "é & =", "From": hashlib.sha1(body).hexdigest()}
        signature = RequestValidator("token").compute_signature(URL, fields)
        from urllib.parse import urlencode

        headers = (("X-Twilio-Signature", signature), ("Content-Type", "application/x-www-form-urlencoded"))
        return Vector(headers, urlencode(fields).encode(), "token")

    def form(v: Vector) -> dict[str, str]:
        from urllib.parse import parse_qsl

        return dict(parse_qsl(v.body.decode(), keep_blank_values=True))

    yield (
        "twilio, form",
        "twilio",
        twilio_form,
        lambda v: RequestValidator(v.secret).validate(v.url, form(v), v["X-Twilio-Signature"]),
    )

    def twilio_json(body: bytes, now: int) -> Vector:
        url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
        signature = RequestValidator("token").compute_signature(url, {})
        return Vector((("X-Twilio-Signature", signature), ("Content-Type", "application/json")), body, "token", url)

    yield (
        "twilio, JSON",
        "twilio",
        twilio_json,
        lambda v: RequestValidator(v.secret).validate(v.url, v.body.decode(), v["X-Twilio-Signature"]),
    )

    def twilio_key(body: bytes, now: int) -> Vector:
        made = twilio_form(body, now)
        signature = RequestValidator("token").compute_signature(URL, form(made), "HMAC_SHA256")
        settings = ("X-Twilio-Webhooks-Signature-Settings", "key=k,algorithm=HMAC_SHA256")
        return replace(made, headers=(("X-Twilio-Signature", signature), made.headers[1], settings))

    yield (
        "twilio, shared key",
        "twilio",
        twilio_key,
        lambda v: RequestValidator(v.secret).validate(
            v.url,
            form(v),
            v["X-Twilio-Signature"],
            __import__("twilio.request_validator").request_validator.get_signature_algorithm(
                v["X-Twilio-Webhooks-Signature-Settings"]
            ),
        ),
    )

    for version in ("v1", "v2", "v3"):

        def hubspot(body: bytes, now: int, version: str = version) -> Vector:
            stamp = str(now * 1000)
            signature = Signature.get_signature("c1ient", body.decode(), version, URL, "POST", stamp)
            if version == "v3":
                named = (("X-HubSpot-Signature-v3", signature), ("X-HubSpot-Request-Timestamp", stamp))
            else:
                named = (("X-HubSpot-Signature", signature), ("X-HubSpot-Signature-Version", version))
            return Vector(named, body, "c1ient")

        def judge(v: Vector, version: str = version) -> bool:
            header = "X-HubSpot-Signature-v3" if version == "v3" else "X-HubSpot-Signature"
            used = v["X-HubSpot-Signature-Version"] or version
            stamp = v["X-HubSpot-Request-Timestamp"]
            return bool(Signature.is_valid(v[header], v.secret, v.body.decode(), v.url, "POST", used, stamp))

        yield f"hubspot {version}", "hubspot", hubspot, judge

    def square(body: bytes, now: int) -> Vector:
        return shared("square", "square-key", body, now=now)

    yield (
        "squareup",
        "square",
        square,
        lambda v: verify_signature(
            request_body=v.body.decode(),
            signature_header=v["x-square-hmacsha256-signature"],
            signature_key=v.secret,
            notification_url=v.url,
        ),
    )

    signer = SigningKey.generate()

    def discord(body: bytes, now: int) -> Vector:
        signature = signer.sign(str(now).encode() + body).signature.hex()
        named = (("X-Signature-Ed25519", signature), ("X-Signature-Timestamp", str(now)))
        return Vector(named, body, signer.verify_key.encode().hex())

    yield (
        "discord-interactions",
        "discord",
        discord,
        lambda v: verify_key(v.body, v["X-Signature-Ed25519"], v["X-Signature-Timestamp"], v.secret),
    )

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    public = base64.b64encode(
        private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).decode()

    def sendgrid(body: bytes, now: int) -> Vector:
        signature = base64.b64encode(private.sign(str(now).encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
        head = "X-Twilio-Email-Event-Webhook"
        return Vector(((f"{head}-Signature", signature), (f"{head}-Timestamp", str(now))), body, public)

    yield (
        "sendgrid",
        "sendgrid",
        sendgrid,
        lambda v: EventWebhook(v.secret).verify_signature(
            v.body.decode(),
            v["X-Twilio-Email-Event-Webhook-Signature"],
            v["X-Twilio-Email-Event-Webhook-Timestamp"],
        ),
    )


def theirs(judge: Judge, vector: Vector) -> str:
    """`valid`, `invalid`, or `raises`."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found = judge(vector)
    except Exception as error:
        refusal = "Verif" in type(error).__name__ or "Timestamp" in type(error).__name__
        return "invalid" if refusal else "raises"
    return "invalid" if found is False else "valid"


def main() -> int:
    """Compare, print, and end with 1 for a disagreement that is ours to explain."""
    chance, wrong = random.Random(1), 0
    for name, scheme, make, judge in peers():
        seen: Counter[str] = Counter()
        for body in BODIES:
            for age in (0, -200, 200, -400, 400, -86400, 86400):
                base = make(body, NOW + age)
                for kind, vector in changes(base, chance):
                    delivery = Delivery(vector.headers, vector.body, url=vector.url)
                    ours = verify(SCHEMES[scheme], delivery, [Secret(vector.secret)], now=NOW)
                    said = theirs(judge, vector)
                    seen["vectors"] += 1
                    mine = "valid" if isinstance(ours, Event) else "invalid"
                    if mine == said or (said == "raises" and mine == "invalid"):
                        seen["raises" if said == "raises" else "agree"] += 1
                        continue
                    why = ours.code.value if isinstance(ours, Refusal) else "accepted"
                    known = why in ("no_secret", "in_future", "too_old", "bad_secret") or (
                        mine == "invalid" and kind != "valid" and said == "valid"
                    )
                    seen[f"they accept: {why}" if mine == "invalid" else "WE ACCEPT"] += 1
                    if not known:
                        wrong += 1
                        print(f"  {name}: {kind}, age {age}, {vector.body!r}: we {mine} ({why}), they {said}")
                    elif why not in ("no_secret", "in_future", "too_old"):
                        print(f"  {name}: {kind}: we refuse ({why}), they accept")
        print(name, dict(seen))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
