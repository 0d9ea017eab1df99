"""Acme's authorization server: RFC 6749 with PKCE (7636), metadata (8414), `iss` (9207), revocation (7009)."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from . import html
from .state import State
from .tokens import SCOPES, USERS, Code, Grant, InvalidGrantError, Token

_CLIENTS: dict[str, str | None] = {"clew-demo": None, "acme-service": "acme-service-secret"}
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_AUTHORIZE_FIELDS = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
    "login_hint",
)  # fmt: skip
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class OAuthError(Exception):
    """An error in the form of RFC 6749 §5.2."""

    def __init__(self, error: str, description: str, status: int = 400, headers: dict[str, str] | None = None) -> None:
        super().__init__(description)
        self.error = error
        self.status = status
        self.headers = headers or {}

    def answer(self) -> Response:
        """Return the error as an HTTP answer."""
        content = {"error": self.error, "error_description": str(self)}
        return JSONResponse(content, self.status, headers=_NO_STORE | self.headers)


async def read_form(request: Request) -> dict[str, str]:
    """Return the form fields of a request; a field sent twice is refused (RFC 6749 §3.2)."""
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    return form


def read_scopes(text: str | None, allowed: frozenset[str] = SCOPES) -> frozenset[str]:
    """Return the scopes asked for, all that are allowed when none is named."""
    scopes = frozenset((text or "").split())
    if scopes - allowed:
        raise OAuthError("invalid_scope", f"Not available: {' '.join(sorted(scopes - allowed))[:200]}")
    return scopes or allowed


def authenticate_client(request: Request, form: dict[str, str]) -> str:
    """Return the client's id after checking its secret, from HTTP Basic or the form (RFC 6749 §2.3.1)."""
    header = request.headers.get("authorization", "")
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if header.lower().startswith("basic "):
        client_id, secret = _read_basic(header[6:])
    expected = _CLIENTS.get(client_id)
    wrong = client_id not in _CLIENTS or not hmac.compare_digest(secret.encode(), (expected or "").encode())
    if wrong:
        challenge = {"WWW-Authenticate": 'Basic realm="acme"'} if header else {}
        raise OAuthError("invalid_client", "Unknown client, or its secret is wrong.", 401, challenge)
    return client_id


class AuthorizationServer:
    """The OAuth endpoints over one `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """Return the routes, all but the device flow's."""
        return [
            Route("/.well-known/oauth-authorization-server", self.describe),
            Route("/oauth/authorize", self.authorize, methods=["GET", "POST"]),
            Route("/oauth/revoke", self.revoke, methods=["POST"]),
        ]

    def issuer(self, request: Request) -> str:
        """Return Acme's own address, which is also its issuer name."""
        return self._state.url or str(request.base_url).rstrip("/")

    async def describe(self, request: Request) -> Response:
        """Answer the metadata document."""
        issuer = self.issuer(request)
        methods = ["none", "client_secret_basic", "client_secret_post"]
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/oauth/authorize",
                "token_endpoint": f"{issuer}/oauth/token",
                "revocation_endpoint": f"{issuer}/oauth/revoke",
                "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
                "scopes_supported": sorted(SCOPES),
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", DEVICE_GRANT],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": methods,
                "revocation_endpoint_auth_methods_supported": methods,
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def authorize(self, request: Request) -> Response:
        """Ask the person (GET) and send the browser back with a code or an error (POST)."""
        try:
            given = await read_form(request) if request.method == "POST" else dict(request.query_params)
        except OAuthError as error:
            return html.say("This request is broken", str(error), status=400)
        client_id, redirect_uri = given.get("client_id", ""), given.get("redirect_uri", "")
        if client_id not in _CLIENTS or not _is_loopback(redirect_uri):
            # Never redirect to an address that is not known to be the client's (RFC 6749 §4.1.2.1).
            return html.say("Unknown app", "The client_id or the redirect_uri is not registered at Acme.", status=400)
        try:
            scopes = _check_authorize(given)
        except OAuthError as error:
            return self._send_back(request, given, {"error": error.error, "error_description": str(error)})
        if request.method != "POST" or "approve" not in given:
            return _ask_consent(given, scopes)
        if given["approve"] != "1":
            return self._send_back(
                request, given, {"error": "access_denied", "error_description": "The person said no."}
            )
        code = Code(
            f"acme_code_{secrets.token_urlsafe(24)}", client_id, redirect_uri, given["code_challenge"], scopes,
            _find_user(given), self._state.now() + self._state.settings.code_seconds,
        )  # fmt: skip
        self._state.tokens.codes[code.value] = code
        return self._send_back(request, given, {"code": code.value})

    def _send_back(self, request: Request, given: dict[str, str], result: dict[str, str]) -> Response:
        answer = {**result, "iss": self.issuer(request)}
        if "state" in given:
            answer["state"] = given["state"]
        uri = given["redirect_uri"]
        return RedirectResponse(f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(answer)}", 303)

    def redeem_code(self, form: dict[str, str], client_id: str) -> Grant:
        """Turn a code into a grant; a code used twice revokes what it gave (RFC 6749 §4.1.2)."""
        code = self._state.tokens.codes.get(form.get("code", ""))
        if code is None or code.client_id != client_id:
            raise OAuthError("invalid_grant", "The code is not known.")
        if code.grant is not None:
            self._state.tokens.revoke_family(code.grant)
            raise OAuthError("invalid_grant", "The code was used before; the grant is revoked.")
        verifier = form.get("code_verifier", "")
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if code.expires_at <= self._state.now():
            raise OAuthError("invalid_grant", "The code is expired.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("invalid_grant", "The redirect_uri is not the one of the authorization request.")
        if not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier) or not hmac.compare_digest(challenge, code.challenge):
            raise OAuthError("invalid_grant", "The code_verifier does not match.")
        code.grant = self._state.tokens.grant(client_id, code.subject, code.scopes)
        return code.grant

    async def revoke(self, request: Request) -> Response:
        """Revoke a token; one that is unknown is as good as revoked (RFC 7009 §2.2)."""
        try:
            form = await read_form(request)
            client_id = authenticate_client(request, form)
            if "token" not in form:
                raise OAuthError("invalid_request", "token is missing.")
        except OAuthError as error:
            return error.answer()
        token = self._state.tokens.find(form["token"])
        if token is not None and token.grant.client_id == client_id:
            self._state.tokens.revoke(token)
        return Response(status_code=200, headers=_NO_STORE)


def issue(state: State, grant: Grant, scopes: frozenset[str], *, refreshable: bool = True) -> Response:
    """Answer a new access token, and the next refresh token of the family."""
    return JSONResponse(token_answer(state, grant, scopes, refreshable=refreshable), headers=_NO_STORE)


def token_answer(state: State, grant: Grant, scopes: frozenset[str], *, refreshable: bool) -> dict[str, str | int]:
    """Make the tokens and return the body of a token answer."""
    seconds = state.settings.access_token_seconds
    access = state.tokens.issue_access(grant, scopes, state.now() + seconds)
    answer: dict[str, str | int] = {
        "access_token": access.value,
        "token_type": "Bearer",
        "expires_in": int(seconds),
        "scope": " ".join(sorted(scopes)),
    }
    if refreshable:
        refresh: Token = state.tokens.issue_refresh(grant, state.now() + state.settings.refresh_token_seconds)
        answer["refresh_token"] = refresh.value
    return answer


def refresh_grant(state: State, form: dict[str, str], client_id: str) -> Response:
    """Rotate a refresh token; `scope` may narrow the access token, never widen it."""
    found = state.tokens.find(form.get("refresh_token", ""))
    # A scope that is refused must not cost the person the refresh token, so it is looked at first.
    scopes = read_scopes(form.get("scope"), found.grant.scopes) if found is not None else frozenset[str]()
    try:
        used = state.tokens.redeem_refresh(form.get("refresh_token", ""), client_id, state.now())
    except InvalidGrantError as error:
        raise OAuthError("invalid_grant", str(error)) from error
    return issue(state, used.grant, scopes)


def _check_authorize(given: dict[str, str]) -> frozenset[str]:
    if given.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "Only response_type=code is supported.")
    if given.get("code_challenge_method") != "S256" or not re.fullmatch(
        r"[A-Za-z0-9_-]{43}", given.get("code_challenge", "")
    ):
        raise OAuthError("invalid_request", "PKCE is required: code_challenge with code_challenge_method=S256.")
    return read_scopes(given.get("scope"))


def _ask_consent(given: dict[str, str], scopes: frozenset[str]) -> Response:
    email, name = USERS[_find_user(given)]
    lines = [f"You are logged in as {name} ({email}).", f"{given['client_id']} wants to: {', '.join(sorted(scopes))}."]
    hidden = {key: given[key] for key in _AUTHORIZE_FIELDS if key in given}
    title = f"Allow {given['client_id']} to use your Acme account?"
    return html.ask(title, lines, hidden=hidden, name="approve", buttons={"1": "Allow", "0": "Deny"})


def _find_user(given: dict[str, str]) -> str:
    hint = given.get("login_hint", "")
    return next((user for user, (email, _) in USERS.items() if email == hint), "usr_ada")


def _is_loopback(uri: str) -> bool:
    """Any port and path of a loopback address is the registered one (RFC 8252 §7.3)."""
    try:
        parts = urlsplit(uri)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and not parts.fragment
    except ValueError:
        return False


def _read_basic(text: str) -> tuple[str, str]:
    try:
        client_id, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote(client_id), unquote(secret)
