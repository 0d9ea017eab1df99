"""Deliveries that say where their certificate is: elsewhere, at the provider, of somebody else."""

import json
import re
from dataclasses import replace

import pytest

from clew.core.webhooks import Event, PublicKey, Refusal, Refused, verify

from .webhook_cases import CASES, refused, send
from .webhook_senders import NOW, certificate

FOREIGN = (
    "https://evil.example/SimpleNotificationService-0.pem",
    "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0.pem",
    "https://evil.example/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://evil.example\\@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0.pem",
    "https://evilsns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "https://s3.amazonaws.com/bucket/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com/../x/evil.pem",
    "https://sns.eu-west-1.amazonaws.com/?SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com#/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.com\n/SimpleNotificationService-0.pem",
    "https://sns.eu-west-1.amazonaws.c\u043em/SimpleNotificationService-0.pem",
    "https://[::1]/SimpleNotificationService-0.pem",
    "https://[sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "//sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    "file:///etc/passwd",
    "",
)


@pytest.mark.parametrize("url", FOREIGN)
def test_a_certificate_elsewhere_is_neither_fetched_nor_used(url: str) -> None:
    asked: list[str] = []

    def known(address: str) -> bytes:
        asked.append(address)
        return certificate("ours").encode()

    for case in CASES:
        proof = case.proof
        if isinstance(proof, PublicKey) and proof.certificate is not None:
            sent = send(case)
            place = proof.certificate.place
            if place.startswith("json:"):
                moved = replace(sent, body=json.dumps({**json.loads(sent.body), place[5:]: url}).encode())
            else:
                moved = sent.with_header(place, url)
            held = replace(moved, secrets=moved.secrets[:1]).held()
            found = verify(case.scheme, moved.delivery(), held, now=NOW, known=known)
            assert isinstance(found, Refusal)
            assert found.code in (Refused.FOREIGN_HOST, Refused.MALFORMED)
            assert found.fetch is None
    assert asked == []


def test_a_certificate_of_the_provider_is_asked_for_and_then_used() -> None:
    for case in CASES:
        proof = case.proof
        if isinstance(proof, PublicKey) and proof.certificate is not None:
            sent = replace(send(case), secrets=send(case).secrets[:1])
            found = refused(case, sent)
            assert found.code is Refused.KEY_NEEDED
            assert found.fetch is not None
            assert re.match(r"https://(sns\.eu-west-1\.amazonaws|api\.paypal)\.com/", found.fetch)
            again = verify(
                case.scheme, sent.delivery(), sent.held(), now=NOW, known=lambda url: certificate("ours").encode()
            )
            assert isinstance(again, Event), again.reason
            wrong = verify(
                case.scheme, sent.delivery(), sent.held(), now=NOW, known=lambda url: certificate("theirs").encode()
            )
            assert isinstance(wrong, Refusal)


def test_a_topic_of_somebody_else_is_refused_though_amazon_signed_it() -> None:
    case = next(case for case in CASES if case.scheme.name == "aws-sns")
    sent = send(case)
    found = refused(case, sent, secrets=("arn:aws:sns:eu-west-1:1:another", certificate("ours")))
    assert found.code is Refused.MISMATCH
