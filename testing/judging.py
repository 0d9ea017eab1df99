"""How a recorded exchange is judged: what the agent would read, and which rule says so."""

import re
import time
from typing import Any

from clew.core.connector import Connector
from clew.core.errors import (
    AuthRevokedError,
    CallError,
    Code,
    ConfigurationError,
    ContractChangedError,
    InternalError,
    InvalidInputError,
    Outcome,
    Retry,
    TransientError,
)
from clew.core.fields import as_object
from clew.core.formats import DecodeError, decode
from clew.core.outcomes import ACCEPTED, OK, decide, explained, lost, mislabelled
from clew.core.response import Response
from clew.testing.recordings import Recording

ALIASES = {
    "microsoft-graph": "microsoft", "graph": "microsoft", "outlook": "microsoft", "ms-graph": "microsoft",
    "gmail": "google", "google-calendar": "google", "google-drive": "google", "google-mail": "google",
    "calendar": "google", "drive": "google", "jira": "atlassian", "confluence": "atlassian",
    "email-smtp-dsn": "smtp", "email": "smtp", "mail": "smtp", "soap-xml": "soap", "xml": "soap",
    "sql-databases": "sql", "postgres": "sql", "postgresql": "sql", "mysql": "sql", "sqlite": "sql", "mssql": "sql",
    "netsuite": "oracle", "fusion": "oracle", "ords": "oracle", "openapi-internal": "generic", "openapi": "generic",
    "internal": "generic",
}  # fmt: skip
"""Other names people use for our connectors."""

_NEVER_LEFT = (
    "dns", "resolve", "resolution", "gaierror", "getaddrinfo", "enotfound", "eainoname", "eaiagain", "connect",
    "refused", "tls", "ssl", "certificate", "handshake", "pool", "unsupportedprotocol", "invalidurl", "proxy",
    "enetunreach", "ehostunreach", "notsent", "neverleft",
)  # fmt: skip
_LEFT = ("reset", "read", "eof", "lost", "abort", "closed", "disconnect", "broken", "dropped")


def judge_recording(recording: Recording, connector: Connector) -> dict[str, Any]:
    """The judgement as data: code, outcome, retry, retry_after, bucket, rule, what the agent reads.

    Raises `ConfigurationError` when the recording has neither a status nor a transport error.
    """
    if recording.token_endpoint:
        return _token(recording, connector)
    if recording.transport_error is not None:
        return _transport(recording, connector)
    response = response_of(recording, connector)
    safe = _safe(recording, connector)
    now = recording.now if recording.now is not None else time.time()
    response = mislabelled(response)
    decision = decide(response, errors=connector.errors, safe=safe)
    error = explained(
        decision, response, errors=connector.errors, safe=safe, provider=connector.title or connector.name,
        now=lambda: now,
    )  # fmt: skip
    bucket = _bucket(response, connector)
    if error is None:
        accepted = decision.verdict.code == ACCEPTED
        return _success(ACCEPTED if accepted else OK, safe, decision.rule, bucket)
    if error.code is Code.RATE_LIMITED and error.retry_after is None:
        error.retry_after, error.retry = 1.0, Retry.AFTER  # what the wire waits when nobody knows better
    rule = decision.rule if not decision.verdict.success else f"body: {response.damage}"
    return _failure(error, rule, bucket)


def response_of(recording: Recording, connector: Connector) -> Response:
    """The answer as the framework would have it. Raises `ConfigurationError` when it has no status."""
    import httpx

    headers = httpx.Headers([(name.encode(), value.encode("utf-8", "replace")) for name, value in recording.headers])
    status, content = recording.status, recording.content
    if status is None:
        status = _status_without(recording, connector)
    data, damage = recording.data, None
    if not recording.decoded:
        try:
            data = decode(content, headers.get("content-type", ""))
        except DecodeError as error:
            damage = str(error)
    return Response(status, headers, content, data, damage, recording.method or "GET", recording.url)


def _status_without(recording: Recording, connector: Connector) -> int:
    """Protocols without HTTP have no status of their own: SMTP begins its text with one, a database has none."""
    begun = re.match(rb"\s*(\d{3})[ -]", recording.content)
    if connector.name == "smtp" and begun:
        return int(begun[1])
    code = (as_object(recording.data) or {}).get("code")
    if connector.name == "smtp" and isinstance(code, int) and 100 <= code <= 599:
        return code
    if connector.name in ("sql", "oracle") and recording.content:
        return 500
    raise ConfigurationError("the recording has neither a status nor a transport_error.")


def _safe(recording: Recording, connector: Connector) -> bool:
    if not recording.method and recording.safe is None and connector.name == "smtp":
        return False  # whoever speaks SMTP sends
    return recording.changes_nothing


def _bucket(response: Response, connector: Connector) -> str | None:
    places = [*connector.errors.buckets]
    places += [each.bucket for each in connector.declared.signals if each.bucket]
    for place in places:
        value = response.headers.get(place.lower()) or (response.field(place) if "-" not in place else None)
        if value:
            return value[:200]
    return None


def _transport(recording: Recording, connector: Connector) -> dict[str, Any]:
    name = recording.transport_error or ""
    left = may_have_left(name)
    provider, safe = connector.title or connector.name, _safe(recording, connector)
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    if "redirect" in word:
        return _failure(ContractChangedError(f"{provider} redirects in circles."), f"transport: {name}", None)
    if "localprotocol" in word:
        error: CallError = InvalidInputError(f"a value does not fit into a header of the request to {provider}.")
        return _failure(error, f"transport: {name}: never left", None)
    error = lost(name[:60].replace("_", " "), left=left, safe=safe, provider=provider)
    proof = "it may have left" if left else "never left"
    return _failure(error, f"transport: {name[:60]}: {proof}", None)


def may_have_left(name: str) -> bool:
    """Does a transport error of this name leave open whether the request arrived? Unknown names do."""
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    # "ConnectionError" is what some clients say of a broken connection too; only its refusal proves anything.
    if any(part in word for part in _LEFT) or ("connection" in word and "refused" not in word):
        return True
    return not any(part in word for part in _NEVER_LEFT)


def _token(recording: Recording, connector: Connector) -> dict[str, Any]:
    """A token endpoint's answer as a refresh: `refreshed`, `dead`, `outage` or `misconfigured`."""
    from clew.auth.oauth import Grant, judge
    from clew.auth.schemes import OAuth2

    scheme = next((each for each in connector.schemes if isinstance(each, OAuth2)), None)
    scheme = scheme or OAuth2(authorize_url="https://localhost/", token_url="https://localhost/")  # noqa: S106
    provider = connector.title or connector.name
    if recording.transport_error is not None:
        error: CallError = TransientError(f"the authorization server of {provider} did not answer.")
        return {"grant": "outage", **_failure(error, f"transport: {recording.transport_error[:60]}", None)}
    if recording.status is None:
        raise ConfigurationError("the recording has neither a status nor a transport_error.")
    answer = judge(scheme, recording.status, recording.content, now=recording.now)
    if isinstance(answer, Grant):
        return {"grant": "refreshed", **_success(OK, False, "token endpoint: a new token", None)}
    said: dict[str, Any] = {"status": answer.status, "provider_code": answer.code, "provider_message": answer.message}
    rule = f"token endpoint: {answer.code or 'no code'}, status {answer.status} → {answer.verdict}"
    if answer.verdict in ("dead", "interaction"):
        error = AuthRevokedError(f"{provider} does not accept the stored login any more.", **said)
        return {"grant": "dead", **_failure(error, rule, None)}
    if answer.verdict == "outage":
        error = TransientError(f"the authorization server of {provider} gives no usable answer now.", **said)
        return {"grant": "outage", **_failure(error, rule, None)}
    error = InternalError(
        f"{provider} does not accept this server's OAuth client or request.",
        next_step="Ask the person who runs the server to check the OAuth client's id and secret. The account is fine.",
        retry=Retry.AFTER_HUMAN,
        **said,
    )
    return {"grant": "misconfigured", **_failure(error, rule, None)}


def _success(code: str, safe: bool, rule: str, bucket: str | None) -> dict[str, Any]:
    outcome = Outcome.NOT_APPLIED if safe else Outcome.APPLIED
    words = "The provider did it." if not safe else "The provider answered."
    if code == ACCEPTED:
        words = "The provider has accepted it; it is not done yet."
    return {
        "code": code, "outcome": outcome.value, "retry": Retry.NO.value, "retry_after": None, "bucket": bucket,
        "rule": rule, "message": words, "text": words,
    }  # fmt: skip


def _failure(error: CallError, rule: str, bucket: str | None) -> dict[str, Any]:
    facts = error.as_dict()
    wait = facts.pop("retry_after_seconds", None)
    return {
        "code": facts.pop("code"),
        "outcome": facts.pop("outcome"),
        "retry": facts.pop("retry"),
        "retry_after": wait,
        "bucket": bucket,
        "rule": rule,
        **facts,
        "text": error.as_text(),
    }
