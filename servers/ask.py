"""Asking a person through the host: one question, both protocol eras, and no way around it.

In the 2026-07-28 era a question is a result, and the call comes back with the answer and our sealed state. An answer
counts only when the sealed state says that we asked exactly this question in this call, and only once; so an answer
nobody asked for, a replay and an answer to another question all count as none. In the older era the question is a
request to the client on the call's own stream.
"""

import hashlib
import json
import secrets
import time
from typing import Any

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError, NoBackChannelError

from clew.core.call import Suspend
from clew.core.errors import AlreadyDoneError, ApprovalRequiredError, Outcome, quote
from clew.core.host import Question, SilentHost
from clew.core.values import dataclass
from clew.servers.origins import principal_of
from clew.servers.rounds import Answers

MODERN = "2026-07-28"
_KEY = "approve"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on its way to the host."""

    params: types.ElicitRequestFormParams | types.ElicitRequestURLParams
    state: dict[str, Any]

    def result(self, round: Suspend) -> types.InputRequiredResult:
        """The result that carries it, and what the next round has to know of this one."""
        state = {**self.state, "call": round.reference, "pending": round.pending}
        return types.InputRequiredResult(
            input_requests={_KEY: types.ElicitRequest(params=self.params)}, request_state=json.dumps(state)
        )


class McpHost:
    """The host at the other end of one `tools/call`. `answers` is shared by all calls of the server."""

    def __init__(
        self, context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams, answers: Answers
    ) -> None:
        self._context = context
        self._params = params
        self._answers = answers
        self._principal = principal_of(context)
        self._reports = 0
        self.asked: Asked | None = None

    own = False

    @property
    def asks(self) -> bool:
        """Did the client declare that it can show a form?"""
        capabilities = self._context.session.client_capabilities
        elicitation = capabilities.elicitation if capabilities else None
        return elicitation is not None and (elicitation.form is not None or elicitation.url is None)

    @property
    def who(self) -> str:
        """The person in front of the client, as far as it is known."""
        return self._principal.name if self._principal else f"the person at {self.program}"

    @property
    def session(self) -> str:
        """What a yes for a session is good for: whoever calls, in the transport's session or their login's. Over a pipe
        that is the pipe. Empty where callers cannot be told from each other, so that no yes outlives its call: names of
        programs are no proof, and in the newer era neither is a header."""
        request, principal = self._context.request, self._principal
        if request is None:
            return self.program
        held = request.headers.get("mcp-session-id", "") if self._context.protocol_version < MODERN else ""
        held = held or (principal.session if principal else "")
        return json.dumps([self.program, held, principal.key if principal else ()]) if held else ""

    @property
    def program(self) -> str:
        """What the client calls itself."""
        known = self._context.session.client_params
        return quote(known.client_info.name, 60) if known else "an MCP host"

    async def confirm(self, question: Question) -> bool:
        """Ask; `False` when the person declines. Raises `ApprovalRequiredError` when nobody can be asked or answers."""
        if not self.asks:
            return await SilentHost().confirm(question)
        params = types.ElicitRequestFormParams(message=question.text, requested_schema=_schema())
        if self._context.protocol_version >= MODERN:
            return self._judged(await self._given(question.digest, params), question)
        try:
            answer = await self._context.session.elicit_form(
                params.message, params.requested_schema, related_request_id=self._context.request_id
            )
        except (NoBackChannelError, MCPError):
            return await SilentHost().confirm(question)
        return self._judged(answer, question)

    async def progress(self, message: str) -> None:
        """A progress notification, when the caller asked for them."""
        self._reports += 1  # every report has to say more than the one before
        await self._context.session.report_progress(self._reports, None, message)

    @property
    def continues(self) -> bool:
        """Does this call come back from the page on which a person confirms its write? The boundary has checked the
        seal. An approval does not count: it is good for one call, and a replay is told so."""
        return self._earlier.get("pending") is True

    @property
    def earlier(self) -> str:
        """The reference of the round that this one answers; empty in the first."""
        return str(self._earlier.get("call", ""))

    @property
    def thought(self) -> float:
        """Seconds that the person took for the answer that this round brings: of the wall clock, for another process
        may have asked."""
        return max(0.0, time.time() - float(self._earlier.get("at", time.time())))

    @property
    def _earlier(self) -> dict[str, Any]:
        return _state(self._params.request_state)

    @property
    def refused(self) -> bool:
        """Does the call come back with a no? It stays one, even if the policy would not ask (any more). A link that
        was not opened is no answer about the call."""
        if self._earlier.get("link") is True:
            return False
        answer = (self._params.input_responses or {}).get(_KEY)
        return isinstance(answer, types.ElicitResult) and answer.action == "decline"

    async def visit(self, url: str, message: str) -> bool:
        """Offer a link to the person (URL mode), where the host can; True when the person has opened it."""
        if not self._can_open():
            return False
        if self._context.protocol_version >= MODERN:
            asked = types.ElicitRequestURLParams(message=message, url=url, elicitation_id=_link_id(url))
            digest = hashlib.sha256(f"visit {url}".encode()).hexdigest()
            return (await self._given(digest, asked)).action == "accept"
        try:
            answer = await self._context.session.elicit_url(
                message, url, _link_id(url), related_request_id=self._context.request_id
            )
        except (NoBackChannelError, MCPError):
            return False
        return answer.action == "accept"

    def _can_open(self) -> bool:
        capabilities = self._context.session.client_capabilities
        elicitation = capabilities.elicitation if capabilities else None
        return elicitation is not None and elicitation.url is not None

    async def _given(
        self, digest: str, params: types.ElicitRequestFormParams | types.ElicitRequestURLParams
    ) -> types.ElicitResult:
        """The answer to the question of this digest, asked by us in an earlier round; else it goes out now."""
        state = _state(self._params.request_state)
        answer = (self._params.input_responses or {}).get(_KEY)
        if state.get("question") == digest and isinstance(answer, types.ElicitResult):
            await self._use(str(state.get("nonce")))
            return answer
        is_link = isinstance(params, types.ElicitRequestURLParams)
        fresh = {"question": digest, "nonce": secrets.token_hex(16), "link": is_link, "at": time.time()}
        self.asked = Asked(params, fresh)
        raise Suspend

    async def _use(self, nonce: str) -> None:
        if not await self._answers.use(nonce):
            raise AlreadyDoneError(
                "this approval was used before; one approval is good for one call.",
                outcome=Outcome.UNKNOWN,  # whoever used it may have died before it acted
                next_step="Read the object to see what happened. To act again, make a new call.",
            )

    @staticmethod
    def _judged(answer: types.ElicitResult, question: Question) -> bool:
        if answer.action == "accept":
            return (answer.content or {}).get(_KEY) is True
        if answer.action == "decline":
            return False
        arguments = " ".join(f"{name}=…" for name in question.arguments)
        raise ApprovalRequiredError(
            f"nobody answered the question whether {question.tool} may run; nothing was changed.",
            next_step=f"Ask the person to answer, or to run: clew call {question.connection.connector} "
            f"{question.tool} {arguments} --account {question.connection.account}",
        )


def _link_id(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:24]


def _schema() -> types.ElicitRequestedSchema:
    return {
        "type": "object",
        "properties": {_KEY: {"type": "boolean", "title": "Go ahead", "default": False}},
        "required": [_KEY],
    }


def _state(sealed: str | None) -> dict[str, Any]:
    """The state we sealed in an earlier round; the boundary has checked the seal, the tool and the arguments."""
    if not sealed:
        return {}
    state: dict[str, Any] = json.loads(sealed)
    return state
