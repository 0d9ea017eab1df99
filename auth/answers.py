"""What a token endpoint's answer means: a grant, or a refusal with one of four verdicts. No network.

The body decides first, the status last (GitHub and Slack refuse with 200).
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

from clew.auth.endpoints import Paths, TokenAnswer, TokenRule, Unit, Verdict
from clew.auth.schemes import TokenScheme
from clew.core.errors import ConfigurationError
from clew.core.fields import MISSING, look
from clew.core.secret import Secret
from clew.core.values import dataclass

_LONGEST_TOKEN = 32 * 1024
_LONGEST_VALUE = 500
_EPOCH = 1e9


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint gave. Times are UTC seconds; `scopes` is None when the answer does not name them.

    `refresh_at` is when the server advises to refresh. `variables` are the extras that the scheme keeps, `secrets`
    further values to store encrypted, `id_token` OpenID Connect's, good for one look at login and not stored.
    """

    access_token: Secret
    refresh_token: Secret | None = None
    scopes: tuple[str, ...] | None = None
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    refresh_at: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    id_token: Secret | None = None

    def fields(self) -> dict[str, Secret]:
        """The secret fields to store; without a refresh token in the answer the old one stays."""
        found = {"access_token": self.access_token, **self.secrets}
        return found if self.refresh_token is None else {**found, "refresh_token": self.refresh_token}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no grant. `lost` means that the request may have been carried out though its answer never came.

    `retry_after` is in seconds, where the provider asks for a wait.
    """

    verdict: Verdict
    code: str = ""
    message: str = ""
    status: int | None = None
    lost: bool = False
    retry_after: float | None = None


DEFAULT_RULES: Sequence[TokenRule] = (
    TokenRule(
        "outage", code="temporarily_unavailable|server_error|internal_failure|slow_down|rate_limited|ratelimited"
    ),
    TokenRule(
        "dead",
        code="invalid_grant|bad_refresh_token|invalid_refresh_token|BAD_REFRESH_TOKEN|token_revoked|expired_token"
        "|token_expired|refresh_token_expired|refresh_token_revoked|invalid_token",
    ),
    TokenRule("interaction", code="interaction_required|login_required|consent_required|account_selection_required"),
    TokenRule("misconfigured"),
)
"""What the codes of RFC 6749 and their common other spellings mean; a scheme's own rules come first."""


def judge(scheme: TokenScheme, status: int, body: bytes, *, now: float | None = None) -> Grant | Refusal:
    """Read the token endpoint's answer."""
    content = parse(body)
    if content is None:
        # HTML from a proxy, a cut answer, nothing at all: whatever the status, the authorization server did not speak.
        return Refusal("outage", "no_token_answer", status=status)
    code, message = error_of(content, scheme)
    token = _first(content, scheme.answer.access_token)
    if not code and status < 400:
        return _granted(scheme, content, token, status, time.time() if now is None else now)
    away = (TokenRule("outage"),) if status in (408, 429) or status >= 500 else ()
    rules = (*scheme.token_errors, *away, *DEFAULT_RULES)
    verdict: Verdict = next(rule.verdict for rule in rules if rule.fits(status, code, message, content))
    return Refusal(verdict, code, message, status)


def _granted(
    scheme: TokenScheme, content: Mapping[str, Any], token: object, status: int, now: float
) -> Grant | Refusal:
    if not isinstance(token, str) or not is_token(token):
        return Refusal("outage", "no_token_answer", status=status)
    kind = content.get("token_type")
    if scheme.dpop and isinstance(kind, str) and kind.lower() == "bearer":
        return Refusal("misconfigured", "token_not_bound", "the token is not bound to our key (DPoP)", status)
    answer = scheme.answer
    refresh = _first(content, answer.refresh_token)
    identity = content.get("id_token")
    ends = _moment(_first(content, answer.expires), answer.expires_unit, now)
    found = {name: look(content, path) for name, path in answer.secrets.items()}
    return Grant(
        Secret(token),
        Secret(refresh) if isinstance(refresh, str) and is_token(refresh) else None,
        _named(_scopes(_first(content, answer.scope)), answer, offline=refresh is not None),
        ends or (now + scheme.expires_in if scheme.expires_in else None),
        _moment(_first(content, answer.refresh_expires), answer.refresh_expires_unit, now),
        _moment(_first(content, answer.refresh_in), "s", now),
        kept(scheme, content),
        {name: Secret(value) for name, value in found.items() if isinstance(value, str) and is_token(value)},
        Secret(identity) if isinstance(identity, str) and is_token(identity) else None,
    )


def kept(scheme: TokenScheme, content: Mapping[str, Any]) -> dict[str, str]:
    """The answer's extras that the scheme keeps. One that does not have the declared form is left out: it would lead
    requests to another place, and for the sake of a fresh token pair the rest of the answer still counts."""
    found: dict[str, str] = {}
    for name, path in scheme.answer.keep.items():
        value = look(content, path)
        if value is MISSING or value is None or isinstance(value, dict | list):
            continue
        text = str(value)
        if not text.isprintable() or len(text) > _LONGEST_VALUE:
            continue
        declared = scheme.variables.get(name)
        try:
            found[name] = declared.check(name, text) if declared else text
        except ConfigurationError:
            continue
    return found


def parse(body: bytes) -> dict[str, Any] | None:
    """An answer's members, from JSON or from a form (GitHub's default); None when it is neither."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return None
    if text.startswith("{"):
        try:
            content: dict[str, Any] = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return content
    form: dict[str, Any] = dict(parse_qsl(text)) if "=" in text and "<" not in text else {}
    return form or None


def error_of(content: Mapping[str, Any], scheme: TokenScheme | None = None) -> tuple[str, str]:
    """Code and description: the scheme's own places, `error`, or `status`/`code` where a provider has its own words."""
    paths = scheme.answer.error if scheme else ()
    error: Any = next((value for path in paths if (value := look(content, path)) not in (MISSING, None, "")), None)
    error = error or content.get("error")
    if isinstance(error, dict):
        content = {**content, **content["error"]}
        error = content.get("code") or content.get("status") or content.get("message")
    if not error and "access_token" not in content and (scheme is None or not _has_token(content, scheme)):
        error = content.get("errorCode") or content.get("status") or content.get("code")
    message = content.get("error_description") or content.get("message") or content.get("errorSummary") or ""
    return str(error or "")[:100], str(message)[:500]


def is_token(value: str) -> bool:
    """May this stand in a header? Anything else is not a token."""
    return 0 < len(value) <= _LONGEST_TOKEN and all(33 <= ord(char) <= 126 for char in value)


def _has_token(content: Mapping[str, Any], scheme: TokenScheme) -> bool:
    return isinstance(_first(content, scheme.answer.access_token), str)


def _first(content: Mapping[str, Any], paths: Paths) -> Any:
    places = (paths,) if isinstance(paths, str) else paths
    return next((value for path in places if (value := look(content, path)) not in (MISSING, None, "")), None)


def _scopes(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    if isinstance(value, list):
        items: list[object] = value  # pyright: ignore[reportUnknownVariableType]
        return tuple(str(item) for item in items)
    return None


def _named(scopes: tuple[str, ...] | None, answer: TokenAnswer, *, offline: bool) -> tuple[str, ...] | None:
    """The scopes by the names under which they are asked for."""
    if scopes is None:
        return None
    more = (answer.offline_scope,) if offline and answer.offline_scope else ()
    return tuple(dict.fromkeys((*(each.removeprefix(answer.scope_prefix) for each in scopes), *more)))


def _moment(value: object, unit: Unit, now: float) -> float | None:
    """The moment a field speaks of; None when it makes no sense, which is the same as not being there."""
    if unit == "date":
        return _date(value) if isinstance(value, str) else None
    number = _positive(value)
    if number is None:
        return None
    seconds = number / 1000 if unit in ("ms", "epoch_ms") else number
    # Nobody means a life of thirty years: a number like that is an epoch, whatever the declaration says.
    moment = seconds if unit in ("epoch_s", "epoch_ms") or seconds > _EPOCH else now + seconds
    return moment if 0 < moment < now + _EPOCH else None


def _date(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _positive(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
