"""AWS: what STS answers becomes short-lived keys or a refusal, and requests are signed with them."""

import httpx
import pytest

from clew.auth.answers import Grant, Refusal
from clew.auth.aws import read_session
from clew.auth.exchange import Answer
from clew.auth.schemes import AwsKeys, AwsWebIdentity
from clew.core.secret import Secret

SESSION = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/clew</Arn></AssumedRoleUser>
<Credentials><SessionToken>st</SessionToken><SecretAccessKey>sk</SecretAccessKey>
<Expiration>2099-01-01T00:00:00Z</Expiration><AccessKeyId>ASIA1</AccessKeyId></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


def test_a_session_becomes_keys_that_end() -> None:
    grant = read_session(Answer(200, {}, SESSION))
    assert isinstance(grant, Grant)
    assert grant.fields() == {
        "access_token": Secret("st"),
        "access_key_id": Secret("ASIA1"),
        "secret_access_key": Secret("sk"),
    }
    assert grant.expires_at == 4070908800
    assert grant.variables == {"arn": "arn:aws:sts::1:assumed-role/r/clew"}


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (403, b"<E><Error><Code>AccessDenied</Code><Message>no</Message></Error></E>", "misconfigured"),
        (400, b"<E><Code>ExpiredTokenException</Code></E>", "misconfigured"),
        (400, b"<E><Code>IDPCommunicationError</Code></E>", "outage"),
        (503, b"<E/>", "outage"),
        (200, b"<html>", "outage"),
        (200, b"<E/>", "outage"),
        (200, SESSION.replace(b">sk<", b">s k<"), "outage"),
        (200, b'<!DOCTYPE x [<!ENTITY a "b">]>' + SESSION, "outage"),
    ],
)
def test_everything_else_is_a_refusal(status: int, body: bytes, verdict: str) -> None:
    answer = read_session(Answer(status, {}, body))
    assert isinstance(answer, Refusal)
    assert answer.verdict == verdict


def test_requests_are_signed_with_the_keys_and_the_region() -> None:
    values = {"access_key_id": Secret("AKIA1"), "secret_access_key": Secret("sk"), "region": Secret("eu-central-1")}
    request = httpx.Request("GET", "https://queue.eu-central-1.amazonaws.com/?Action=List")
    AwsKeys("sqs").apply(request, values.__getitem__)
    assert "/eu-central-1/sqs/aws4_request" in request.headers["authorization"]
    assert "x-amz-security-token" not in request.headers


def test_a_sessions_token_goes_along() -> None:
    values = {"access_key_id": Secret("ASIA1"), "secret_access_key": Secret("sk"), "access_token": Secret("st")}
    request = httpx.Request("GET", "https://s3.us-east-1.amazonaws.com/")
    AwsWebIdentity(service="s3").apply(request, values.__getitem__)
    assert request.headers["x-amz-security-token"] == "st"
    assert "Credential=ASIA1/" in request.headers["authorization"]
