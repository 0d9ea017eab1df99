"""Logging in without a browser on this machine (RFC 8628): a short code, typed in anywhere else."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clew.auth.answers import Grant, Refusal, error_of, is_token, parse
from clew.auth.consent import ENDPOINT_SECONDS, LoginError, Plan, keep, plan, refused
from clew.auth.exchange import exchange, send
from clew.auth.facts import Facts
from clew.auth.oauth import DEVICE_GRANT, Client, token_request
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.errors import ConfigurationError, quote
from clew.core.secret import Secret
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx

INTERVAL_SECONDS, SLOWER_SECONDS = 5.0, 5.0
_LONGEST_INTERVAL, _LONGEST_WAIT = 60.0, 1800.0
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the person has to do: open `url` and type `code`, or open `whole_url`, which holds it, within `seconds`."""

    url: str
    code: str
    whole_url: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class _Device:
    prompt: Prompt
    interval: float
    device_code: Secret = field(repr=False)


async def device_login(
    vault: Vault,
    connection: Connection,
    scheme: OAuth2,
    *,
    base_url: str,
    show: Callable[[Prompt], Awaitable[object]],
    progress: Callable[[float], Awaitable[object]] | None = None,
    client: Client | None = None,
    scopes: Sequence[str] | None = None,
    variables: Mapping[str, str] | None = None,
    origin: str | None = None,
    http: "httpx.AsyncClient | None" = None,
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Facts:
    """Log in by device code and store the grant; `progress` hears before each question how many seconds are left.

    Raises `LoginError` when the person declines or the code ends, `ConfigurationError` where there is no such login.
    """
    import httpx

    async with httpx.AsyncClient() as own:
        used = http or own
        planned = await plan(
            vault, connection, scheme, used,
            base_url=base_url, client=client, scopes=scopes, variables=variables, origin=origin,
        )  # fmt: skip
        device = await _begin(planned, used)
        await show(device.prompt)
        grant = await _poll(planned, device, used, progress=progress, sleep=sleep, clock=clock)
    return await keep(vault, planned, grant)


async def _begin(planned: Plan, http: "httpx.AsyncClient") -> _Device:
    scheme = planned.scheme
    if not scheme.device_url:
        raise ConfigurationError(f"{planned.connection.connector} has no login by device code; leave --device out.")
    url = planned.address(scheme.device_url)
    fields = {"scope": scheme.scope_separator.join(planned.scopes)} if planned.scopes else {}
    request = token_request(scheme, url, planned.client, {**fields, **scheme.device_parameters})
    answer = await send(http, request, seconds=ENDPOINT_SECONDS)
    if isinstance(answer, Refusal):
        raise refused(planned, answer)
    content = parse(answer.body) or {}
    code, said = error_of(content, scheme)
    if answer.status >= 400 or "device_code" not in content:
        shown = quote(": ".join(filter(None, (code, said))) or f"status {answer.status}")
        raise LoginError(f'{planned.connection.connector} gives out no device code. It said: "{shown}".')
    return _read(planned, content)


def _read(planned: Plan, content: Mapping[str, Any]) -> _Device:
    """The server's prompt, made fit to show: it ends up on a terminal and in a browser."""
    url = content.get("verification_uri") or content.get("verification_url")
    whole = content.get("verification_uri_complete")
    code, device_code = content.get("user_code"), content.get("device_code")
    fit = isinstance(code, str) and code.isprintable() and 0 < len(code) <= 64
    if not fit or not isinstance(device_code, str) or not is_token(device_code) or not _is_page(url):
        raise LoginError(f"{planned.connection.connector} answered the request for a device code with nonsense.")
    seconds = min(_number(content.get("expires_in"), 900.0), _LONGEST_WAIT)
    interval = min(_number(content.get("interval"), INTERVAL_SECONDS), _LONGEST_INTERVAL)
    prompt = Prompt(str(url), str(code), str(whole) if _is_page(whole) else None, seconds)
    return _Device(prompt, interval, Secret(device_code))


async def _poll(
    planned: Plan,
    device: _Device,
    http: "httpx.AsyncClient",
    *,
    progress: Callable[[float], Awaitable[object]] | None,
    sleep: Sleep,
    clock: Callable[[], float],
) -> Grant:
    interval, ends = device.interval, clock() + device.prompt.seconds
    fields = {"grant_type": DEVICE_GRANT, "device_code": device.device_code.reveal()}
    while (left := ends - clock()) > 0:
        if progress is not None:
            await progress(left)
        await sleep(min(interval, left))
        request = token_request(planned.scheme, planned.token_url, planned.client, fields)
        answer = await exchange(http, planned.scheme, request, seconds=ENDPOINT_SECONDS)
        if isinstance(answer, Grant):
            return answer
        interval = _slower(planned, answer, interval)
    raise LoginError("The code has ended before anybody confirmed it. Run the login again.")


def _slower(planned: Plan, answer: Refusal, interval: float) -> float:
    """How long to wait before the next question. Raises `LoginError` when there is none."""
    match answer.code:
        case "authorization_pending":
            return interval
        case "slow_down":
            return min(interval + SLOWER_SECONDS, _LONGEST_INTERVAL)
        case "access_denied" | "authorization_declined":
            raise LoginError(f"The login at {planned.connection.connector} was declined. Nothing was stored.")
        case "expired_token" | "code_expired":
            raise LoginError("The code has ended before anybody confirmed it. Run the login again.")
        case _ if answer.verdict == "outage":
            return min(interval * 2, _LONGEST_INTERVAL)
        case _:
            raise refused(planned, answer, "device code")


def _number(value: object, otherwise: float) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) else otherwise
    except ValueError:
        return otherwise
    return number if 0 < number < float("inf") else otherwise


def _is_page(value: object) -> bool:
    if not isinstance(value, str) or not value.isprintable() or " " in value or len(value) > 2000:
        return False
    parts = urlsplit(value)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost"))
