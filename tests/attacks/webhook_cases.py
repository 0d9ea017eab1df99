"""Every proof of every declared scheme as a case, and how it is judged."""

import json
from dataclasses import replace

import pytest

from clew.connectors.webhooks.catalog import SCHEMES
from clew.core.webhooks import Event, Hmac, Jwt, Refusal, Refused, Scheme, verify

from .webhook_senders import FORM, NOW, Case, Sent

SETTINGS = "X-Twilio-Webhooks-Signature-Settings"
SHA256 = {SETTINGS: "key=k1,algorithm=HMAC_SHA256"}
SNS = {
    "Message": "hi", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:1:topic",
    "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
}  # fmt: skip
UNSENDABLE = {("mailgun", 1)}  # its signature is a field of the form itself; the test below has one


def extras(scheme: Scheme, number: int) -> dict[str, object]:
    """What the requests of some providers need besides a signature."""
    proof = scheme.proofs[number]
    name = scheme.name
    if name.startswith("twilio"):
        sha = getattr(proof, "hash", "") == "sha256"
        form = "form" in getattr(proof, "signed", "")
        return {
            "headers": (SHA256 if sha else {}) | ({"Content-Type": FORM} if form else {}),
            **({"body": b"To=%2B1&Body=caf%C3%A9&To=%2B2"} if form else {}),
        }
    if name == "mandrill":
        return {"headers": {"Content-Type": FORM}, "body": b"mandrill_events=%5B%5D"}
    if name.startswith("hubspot") and isinstance(proof, Hmac) and not proof.keyed:
        return {"headers": {"X-HubSpot-Signature-Version": "v2" if "{url}" in proof.signed else "v1"}}
    if name == "aws-sns":
        notice = number < 2
        kind = "Notification" if notice else "SubscriptionConfirmation"
        more = (
            {"Subject": "s"} if notice else {"SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?a=b", "Token": "t"}
        )
        body = {**SNS, **more, "Type": kind, "SignatureVersion": "12"[number % 2]}
        return {"body": json.dumps(body).encode()}
    if name == "paypal":
        return {"headers": {"PAYPAL-CERT-URL": "https://api.paypal.com/v1/notifications/certs/CERT-1"}}
    if name == "mailgun":
        return {"body": b'{"signature":{"token":"t1"},"event-data":{"event":"opened"}}'}
    if name == "adyen":
        item = {"pspReference": "p", "amount": {"value": 1, "currency": "EUR"}, "success": "true"}
        return {"body": json.dumps({"notificationItems": [{"NotificationRequestItem": item}]}).encode()}
    if name.startswith("microsoft-graph"):
        return {"body": b'{"value":[{"clientState":"s3cret-for-tests"},{"clientState":"s3cret-for-tests"}]}'}
    return {}


CASES = [
    Case(scheme, number, **extras(scheme, number))  # type: ignore[arg-type]
    for scheme in SCHEMES.values()
    for number in range(len(scheme.proofs))
    if (scheme.name, number) not in UNSENDABLE
]


def of(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: f"{case.scheme.name}-{case.number}")


def window(case: Case) -> float | None:
    """Seconds that a delivery is good for."""
    dated = isinstance(case.proof, Jwt) and "exp" in case.proof.require
    return 600 if dated else case.proof.replayable_for


def reads_json(case: Case) -> bool:
    names = ("signed", "signature", "place")
    return case.scheme.name == "linear" or "json" in "".join(str(getattr(case.proof, name, "")) for name in names)


every = of(CASES)


def send(case: Case, *, body: bytes | None = None, now: float = NOW) -> Sent:
    if case.scheme.name == "microsoft-graph" and case.number == 0:
        headers = (("content-type", "application/json"),)
        return Sent(headers, case.body if body is None else body, "https://x.example/", ("s3cret-for-tests",), ("o",))
    if case.scheme.name == "adyen":
        return adyen(case)
    return case.send(body=body, now=now)


def adyen(case: Case) -> Sent:
    proof = case.proof
    assert isinstance(proof, Hmac)
    plain = Sent((), case.body, "", ("73656372657400ff",), ("00ff",))
    document = json.loads(case.body)
    signature = proof.sign(plain.delivery(), "73656372657400ff", "", {})
    document["notificationItems"][0]["NotificationRequestItem"]["additionalData"] = {"hmacSignature": signature}
    return replace(plain, body=json.dumps(document).encode())


def judge(case: Case, sent: Sent, now: float = NOW, secrets: tuple[str, ...] | None = None) -> Event | Refusal:
    held = replace(sent, secrets=sent.secrets if secrets is None else secrets).held()
    found = verify(case.scheme, sent.delivery(), held, now=now)
    assert not (isinstance(found, Refusal) and found.code is Refused.INTERNAL), found.reason
    return found


def refused(case: Case, sent: Sent, now: float = NOW, secrets: tuple[str, ...] | None = None) -> Refusal:
    found = judge(case, sent, now, secrets)
    assert isinstance(found, Refusal), "a false accept"
    return found
