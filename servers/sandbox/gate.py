"""The way every API call goes in: version, token, quota, scope, then the handler."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .refusals import RefusalError
from .state import State
from .tables import Row
from .tokens import Token

OLDEST, CURRENT = "2026-01-01", "2026-07-01"
"""The API versions. The oldest answers who names none, because those callers are the ones who came first."""

_DEPRECATED = {
    "Deprecation": "@1782864000",  # RFC 9745: 2026-07-01T00:00:00Z
    "Sunset": "Fri, 01 Jan 2027 00:00:00 GMT",  # RFC 8594
    "Link": '</docs/versions>; rel="deprecation"',
}


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted API call, as a handler sees it."""

    state: State
    request: Request
    token: Token
    version: str

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters."""
        return self.request.query_params

    @property
    def path_id(self) -> str:
        """The `{id}` of the path."""
        return str(self.request.path_params["id"])

    @property
    def request_id(self) -> str:
        """What `X-Request-Id` will say."""
        return str(self.request.scope.get("acme.request_id", ""))

    def commit(self, resource: str, action: str, row: Row) -> None:
        """Record that this call changed a row."""
        self.state.commit(resource, action, row["id"], self.request_id)

    async def read_json(self) -> Row:
        """Return the body, which must be a JSON object."""
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusalError(415, "unsupported_media_type", "Send application/json.")
        try:
            data = json.loads(await self.request.body())
        except ValueError as error:
            raise RefusalError(400, "invalid_json", "The body is not JSON.") from error
        if not isinstance(data, dict):
            raise RefusalError(400, "invalid_json", "The body must be a JSON object.")
        return cast("Row", data)


Handler = Callable[[Call], Awaitable[Response]]


def api_route(state: State, method: str, path: str, scope: str | None, handler: Handler) -> Route:
    """Return a route of the API whose handler runs only for calls that were let in."""

    async def endpoint(request: Request) -> Response:
        headers: dict[str, str] = {}
        try:
            response = await _let_in(state, request, scope, handler, headers)
        except RefusalError as refusal:
            response = refusal.answer()
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    return Route(path, endpoint, methods=[method], name=handler.__name__)


async def _let_in(
    state: State, request: Request, scope: str | None, handler: Handler, headers: dict[str, str]
) -> Response:
    version = _choose_version(request, headers)
    token = _authenticate(state, request)
    limits = state.limits  # a reset in the meantime brings new ones
    headers |= limits.admit(token.grant.id, state.now())
    try:
        if scope is not None and scope not in token.scopes:
            challenge = {"WWW-Authenticate": f'Bearer realm="acme", error="insufficient_scope", scope="{scope}"'}
            raise RefusalError(403, "insufficient_scope", f"This needs the scope {scope}.", headers=challenge)
        return await handler(Call(state, request, token, version))
    finally:
        limits.leave(token.grant.id)


def _choose_version(request: Request, headers: dict[str, str]) -> str:
    version = request.headers.get("acme-version", OLDEST)
    if version not in (OLDEST, CURRENT):
        message = f"Acme-Version must be {OLDEST} or {CURRENT}."
        raise RefusalError(400, "unsupported_version", message, field="Acme-Version")
    headers["Acme-Version"] = version
    if version == OLDEST:
        headers |= _DEPRECATED
    return version


def _authenticate(state: State, request: Request) -> Token:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if not value or kind.lower() != "bearer":
        # RFC 6750 §3.1: no error code when no token was sent.
        raise RefusalError(
            401, "token_missing", "Send a Bearer token.", headers={"WWW-Authenticate": 'Bearer realm="acme"'}
        )
    token = state.tokens.find(value.strip())
    if token is None or token.kind == "refresh" or token.revoked or token.grant.revoked:
        raise _refuse_token("token_invalid", "The token is not known or was revoked")
    if not token.is_live(state.now()):
        raise _refuse_token("token_expired", "The access token expired")
    return token


def _refuse_token(code: str, text: str) -> RefusalError:
    challenge = f'Bearer realm="acme", error="invalid_token", error_description="{text}"'
    return RefusalError(401, code, f"{text}.", headers={"WWW-Authenticate": challenge})


def no_content() -> Response:
    """Return the answer of a deletion."""
    return Response(status_code=204)


def check_fields(data: Row, allowed: Mapping[str, Callable[[Any], bool]], *, required: tuple[str, ...] = ()) -> None:
    """Refuse fields that are unknown, missing or of the wrong kind; `allowed` maps each name to its check."""
    for name in data:
        if name not in allowed:
            raise RefusalError(422, "unknown_field", f"There is no field {name[:80]!r}.", field=name[:80])
    for name in required:
        if data.get(name) is None:
            raise RefusalError(422, "missing_field", f"{name} is required.", field=name)
    for name, value in data.items():
        if not allowed[name](value):
            raise RefusalError(422, "invalid_field", f"{name} is not valid.", field=name)


def is_text(value: Any) -> bool:
    """Say whether the value is text with something in it, at most 10 000 characters."""
    return isinstance(value, str) and value.strip() != "" and len(value) <= 10_000


def is_optional_text(value: Any) -> bool:
    """Say whether the value is text or null."""
    return value is None or is_text(value)


def is_amount(value: Any) -> bool:
    """Say whether the value is an amount in minor units."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 99_999_999
