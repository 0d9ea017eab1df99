"""`/oauth/token` and the device flow (RFC 8628): every way to a token ends here."""

import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import html
from .oauth import (
    DEVICE_GRANT,
    AuthorizationServer,
    OAuthError,
    authenticate_client,
    issue,
    read_form,
    read_scopes,
    refresh_grant,
)
from .state import State
from .tokens import DeviceRequest

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_SLOW_DOWN_SECONDS = 5


class TokenEndpoint:
    """Gives out tokens for codes, refresh tokens, client secrets and device codes."""

    def __init__(self, state: State, server: AuthorizationServer) -> None:
        self._state = state
        self._server = server
        self._flows: dict[str, Callable[[dict[str, str], str], Response]] = {
            "authorization_code": self._by_code,
            "refresh_token": lambda form, client_id: refresh_grant(state, form, client_id),
            "client_credentials": self._by_secret,
            DEVICE_GRANT: self._by_device,
        }

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/oauth/token", self.give_token, methods=["POST"]),
            Route("/oauth/device_authorization", self.start_device, methods=["POST"]),
            Route("/device", self.decide_device, methods=["GET", "POST"]),
        ]

    async def give_token(self, request: Request) -> Response:
        """Answer a token, or an error of RFC 6749 §5.2."""
        try:
            form = await read_form(request)
            client_id = authenticate_client(request, form)
            flow = self._flows.get(form.get("grant_type", ""))
            if flow is None:
                raise OAuthError("unsupported_grant_type", "Use one of the grant types of the metadata document.")
            return flow(form, client_id)
        except OAuthError as error:
            return error.answer()

    async def start_device(self, request: Request) -> Response:
        """Answer a device code and the code that the person types."""
        try:
            form = await read_form(request)
            client_id = authenticate_client(request, form)
            scopes = read_scopes(form.get("scope"))
        except OAuthError as error:
            return error.answer()
        settings = self._state.settings
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        device = DeviceRequest(
            f"acme_dc_{secrets.token_urlsafe(24)}",
            f"{letters[:4]}-{letters[4:]}",
            client_id,
            scopes,
            self._state.now() + settings.device_seconds,
            settings.device_interval_seconds,
        )
        self._state.tokens.devices[device.device_code] = device
        page = f"{self._server.issuer(request)}/device"
        return JSONResponse(
            {
                "device_code": device.device_code,
                "user_code": device.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?{urlencode({'user_code': device.user_code})}",
                "expires_in": int(settings.device_seconds),
                "interval": int(settings.device_interval_seconds),
            },
            headers={"Cache-Control": "no-store"},
        )

    async def decide_device(self, request: Request) -> Response:
        """Let the person allow or deny the device whose code they typed."""
        try:
            given = await read_form(request) if request.method == "POST" else dict(request.query_params)
        except OAuthError as error:
            return html.say("This request is broken", str(error), status=400)
        code = given.get("user_code", "").strip().upper()
        buttons = {"1": "Allow", "0": "Deny"}
        if not code:
            return html.ask(
                "Connect a device", [], hidden={}, name="approve", buttons=buttons, field=("user_code", "Code")
            )
        device = next(
            (d for d in self._state.tokens.devices.values() if d.user_code == code and d.approved is None), None
        )
        if device is None or device.expires_at <= self._state.now():
            return html.say("Unknown code", "This code is wrong, used or expired.", status=400)
        if request.method != "POST" or "approve" not in given:
            lines = [f"{device.client_id} wants to: {', '.join(sorted(device.scopes))}.", f"The device shows {code}."]
            return html.ask("Allow this device?", lines, hidden={"user_code": code}, name="approve", buttons=buttons)
        device.approved = given["approve"] == "1"
        return html.say("Done", "You can go back to the device.")

    def _by_code(self, form: dict[str, str], client_id: str) -> Response:
        grant = self._server.redeem_code(form, client_id)
        return issue(self._state, grant, grant.scopes)

    def _by_secret(self, form: dict[str, str], client_id: str) -> Response:
        if client_id == "clew-demo":
            raise OAuthError("unauthorized_client", "A public client has no credentials of its own.")
        grant = self._state.tokens.grant(client_id, client_id, read_scopes(form.get("scope")))
        return issue(self._state, grant, grant.scopes, refreshable=False)

    def _by_device(self, form: dict[str, str], client_id: str) -> Response:
        device, now = self._state.tokens.devices.get(form.get("device_code", "")), self._state.now()
        if device is None or device.client_id != client_id or device.used:
            raise OAuthError("invalid_grant", "The device code is not known.")
        if device.expires_at <= now:
            raise OAuthError("expired_token", "The device code is expired.")
        too_fast = now - device.polled_at < device.interval
        device.polled_at = now
        if too_fast:
            device.interval += _SLOW_DOWN_SECONDS
            raise OAuthError("slow_down", "Ask less often.")
        if device.approved is None:
            raise OAuthError("authorization_pending", "The person has not decided yet.")
        device.used = True
        if not device.approved:
            raise OAuthError("access_denied", "The person said no.")
        grant = self._state.tokens.grant(client_id, "usr_ada", device.scopes)
        return issue(self._state, grant, grant.scopes)
