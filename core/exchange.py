"""What one call has done so far, and one of its requests on the way to the provider and back.

Both change as the call goes on: a `Trail` by every request of its call, an `Exchange` by the stages of `core.wire`.
"""

from dataclasses import dataclass, field

import httpx

from clew.core.audit import Attempt
from clew.core.carrier import Carrier
from clew.core.credentials import BARE_BODY, IN_BODY, Credential, InBody
from clew.core.deadline import Deadline
from clew.core.errors import Outcome
from clew.core.host import Host
from clew.core.limiter import Pass
from clew.core.response import Response
from clew.core.secret import Secret
from clew.core.writing import Writing


@dataclass(slots=True)
class Trail:
    """What one call has done so far: its requests, how many of them changed or may have changed the world, and how many
    that may do so are on their way with their end not known yet. Once it is `closed`, nothing leaves for the call.
    `background` work leaves the provider's budgets to calls that somebody waits for. `writing` is the journal's side of
    a write. `marks` are the stages that have ended: name, monotonic time of the beginning, seconds."""

    attempts: list[Attempt] = field(default_factory=list[Attempt])
    changed: int = 0
    in_flight: int = 0
    closed: bool = False
    background: bool = False
    marks: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    writing: Writing | None = None

    def outcome(self) -> Outcome:
        """The outcome if the call ended here without an answer."""
        return Outcome.UNKNOWN if self.changed or self.in_flight else Outcome.NOT_APPLIED


@dataclass(slots=True)
class Exchange:
    """One request and what became of it. `attempt.route` is the path template: what budgets and records go by.

    `safe` says that the request cannot change anything at the provider. `secrets` are the credential's parts as they
    stand on the request, to be taken out of what the provider says about it. With a `carrier` another transport than
    HTTP does what the request names, with the `credential` in hand.
    """

    request: httpx.Request
    attempt: Attempt
    safe: bool
    deadline: Deadline
    host: Host
    trail: Trail
    generation: str = ""
    secrets: tuple[Secret, ...] = ()
    in_flight: bool = False
    response: Response | None = None
    room: Pass | None = None
    carrier: Carrier | None = None
    credential: Credential | None = None
    bare: tuple[httpx.URL, httpx.Headers] = field(init=False)

    def __post_init__(self) -> None:
        self.bare = self.request.url, self.request.headers  # `pin` replaces both, nothing changes them before

    def again(self) -> "Exchange":
        """The same request, fresh: nothing of an earlier attempt stays on it."""
        url, headers = self.bare
        content = self.request.extensions.get(BARE_BODY)
        content = self.request.content if content is None else content
        request = httpx.Request(self.request.method, url, headers=headers, content=content)
        fresh = Attempt(request.method, self.attempt.route)
        return Exchange(request, fresh, self.safe, self.deadline, self.host, self.trail, carrier=self.carrier)

    def write_body(self) -> tuple[Secret, ...]:
        """Have the body sent into which a scheme has written the credential; the answer are the secrets in it."""
        request = self.request
        written = request.extensions.pop(IN_BODY, None)
        if not isinstance(written, InBody):
            return ()
        headers = [pair for pair in request.headers.raw if pair[0].lower() != b"content-length"]
        kept = {**request.extensions, BARE_BODY: request.content}
        self.request = httpx.Request(
            request.method, request.url, headers=headers, content=written.content, extensions=kept
        )
        return written.secrets

    def landed(self, *, changed: bool) -> None:
        """The end of this request is known."""
        if self.in_flight:
            self.in_flight = False
            self.trail.in_flight -= 1
            self.trail.changed += changed

    def hide(self, text: str) -> str:
        """`text` without the credential: some providers repeat a refused key in their answer."""
        for secret in self.secrets:
            text = text.replace(secret.reveal(), "[secret]")
        return text
