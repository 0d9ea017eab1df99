"""AWS: requests signed with Signature Version 4, and short-lived keys for an identity token of this workload."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx

from clew.auth.answers import Grant, Refusal, is_token
from clew.auth.endpoints import Verdict, expand
from clew.auth.exchange import Answer, send
from clew.auth.oauth import TokenRequest
from clew.auth.workload import identity_token
from clew.core.secret import Secret

if TYPE_CHECKING:
    from clew.auth.clients import Material
    from clew.auth.schemes import AwsWebIdentity

_PERSON = ("AccessDenied", "InvalidIdentityToken", "ExpiredTokenException", "IDPRejectedClaim")
_AWAY = ("IDPCommunicationError", "Throttling", "InternalFailure", "ServiceUnavailable", "RequestExpired")


async def assume_role(
    http: httpx.AsyncClient, record: "Material", scheme: "AwsWebIdentity", *, base_url: str, seconds: float
) -> Grant | Refusal:
    """AssumeRoleWithWebIdentity: keys that live for `session_seconds`, for the role in the variable `role`.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    """
    variables = record.facts.variables
    token = await identity_token(http, variables, seconds=seconds)
    if isinstance(token, Refusal):
        return token
    regional = {"region": scheme.region, **variables}
    url = expand(scheme.token_url, base_url=base_url, variables=regional, declared=scheme.variables)
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": variables.get("role", ""),
        "RoleSessionName": variables.get("session_name", "clew"),
        "DurationSeconds": str(scheme.session_seconds),
        "WebIdentityToken": token.reveal(),
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/xml"}
    answer = await send(http, TokenRequest(url, headers, urlencode(form).encode()), seconds=seconds)
    return answer if isinstance(answer, Refusal) else read_session(answer)


def read_session(answer: Answer) -> Grant | Refusal:
    """The keys in STS's answer, which is XML; an answer with a document type is refused unread."""
    try:
        if b"<!" in answer.body:
            raise ElementTree.ParseError
        root = ElementTree.fromstring(answer.body)  # noqa: S314 - no document type, so no entity, and at most 64 KiB
    except ElementTree.ParseError:
        return Refusal("outage", "no_token_answer", status=answer.status)
    found = {each.tag.rpartition("}")[2]: (each.text or "").strip() for each in root.iter()}
    if answer.status >= 400:
        code = found.get("Code", "")
        away = code in _AWAY or answer.status >= 500 or answer.status == 429
        verdict: Verdict = "outage" if away else "misconfigured"
        return Refusal(verdict, code, found.get("Message", "")[:500], answer.status)
    names = {"access_token": "SessionToken", "access_key_id": "AccessKeyId", "secret_access_key": "SecretAccessKey"}
    keys = {ours: found.get(theirs, "") for ours, theirs in names.items()}
    if not all(map(is_token, keys.values())):
        return Refusal("outage", "no_token_answer", status=answer.status)
    ends = _moment(found.get("Expiration", ""))
    session = Secret(keys.pop("access_token"))
    secrets = {name: Secret(value) for name, value in keys.items()}
    role = found.get("Arn", "")
    return Grant(session, expires_at=ends, secrets=secrets, variables={"arn": role} if role else {})


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
    return moment if moment > time.time() else None


def sign_request(
    request: "httpx.Request",
    secret: Callable[[str], Secret],
    *,
    service: str,
    region: str | None,
    session: bool = False,
) -> None:
    """Sign one request; with `session` the keys are short-lived and their token goes along."""
    from clew.auth.sigv4 import AwsCredentials, sign

    token = secret("access_token") if session else None
    keys = AwsCredentials(secret("access_key_id").reveal(), secret("secret_access_key"), token)
    where = region or secret("region").reveal()
    request.headers.update(sign(request, keys, region=where, service=service, now=datetime.now(UTC)))
