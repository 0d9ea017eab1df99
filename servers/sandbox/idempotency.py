"""Idempotency-Key as Stripe honours it: the first answer is kept and given again."""

import hashlib
from collections.abc import Awaitable, Callable

from starlette.responses import Response

from .gate import Call
from .refusals import RefusalError
from .state import Kept

KEPT_SECONDS = 24 * 3600
_KEY_LIMIT = 255


async def answer_once(call: Call, work: Callable[[], Awaitable[Response]]) -> Response:
    """Do the work, or give the answer that this key got before."""
    key = call.request.headers.get("idempotency-key")
    if key is None:
        await _hold(call)
        return await work()
    if not 0 < len(key) <= _KEY_LIMIT:
        raise RefusalError(422, "invalid_field", "Idempotency-Key has 1 to 255 characters.", field="Idempotency-Key")
    slot = (call.token.grant.subject, key)
    digest = hashlib.sha256(await call.request.body()).hexdigest()
    fingerprint = f"{call.request.method} {call.request.url.path} {digest}"
    kept = call.state.kept.get(slot)
    if kept is not None and kept.at + KEPT_SECONDS > call.state.now():
        return _repeat(kept, fingerprint)
    kept = call.state.kept[slot] = Kept(fingerprint, call.state.now())
    try:
        await _hold(call)
        response = await _finish(work)
    except BaseException:
        call.state.kept.pop(slot, None)
        raise
    kept.answer = (response.status_code, bytes(response.body))
    return response


async def _finish(work: Callable[[], Awaitable[Response]]) -> Response:
    """Run the work; a refusal is an answer to keep, unless the request was not fit to be worked on."""
    try:
        return await work()
    except RefusalError as refusal:
        if refusal.status in (400, 415, 422):
            raise
        return refusal.answer()


def _repeat(kept: Kept, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        message = "This Idempotency-Key was used with other parameters."
        raise RefusalError(422, "idempotency_key_reused", message, field="Idempotency-Key")
    if kept.answer is None:
        message = "The first request with this Idempotency-Key is still running."
        raise RefusalError(409, "idempotency_key_in_use", message, field="Idempotency-Key")
    status, body = kept.answer
    headers = {"Idempotent-Replayed": "true"}
    return Response(body, status, headers=headers, media_type="application/json")


async def _hold(call: Call) -> None:
    """Where the `slow` fault with `when: during` waits: the key is taken, nothing is done."""
    hold: Callable[[], Awaitable[None]] | None = call.request.scope.get("acme.hold")
    if hold is not None:
        await hold()
