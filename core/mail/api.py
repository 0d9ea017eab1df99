"""What a tool function is given for mail: sessions on the mailbox of its connection, and submission."""

from collections.abc import Callable
from typing import TypeVar

import httpx

from clew.core.audit import Attempt
from clew.core.carrier import Carrier
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import ConfigurationError, InternalError
from clew.core.exchange import Exchange, Trail
from clew.core.host import Host
from clew.core.mail.compose import Letter
from clew.core.mail.imap import Session
from clew.core.mail.mailbox import Mailbox
from clew.core.mail.servers import Server, servers_of
from clew.core.mail.smtp import Submission, Submitted
from clew.core.wire import Wire

T = TypeVar("T")


class MailApi:
    """The mail of one connection. Every method is one attempt in the record, and raises `CallError`."""

    def __init__(self, wire: Wire, deadline: Deadline, trail: Trail, effect: Effect, host: Host) -> None:
        self._wire = wire
        self._deadline = deadline
        self._trail = trail
        self._effect = effect
        self._host = host

    @property
    def address(self) -> str:
        """The address of this mailbox: the sender of what it sends."""
        address = self._wire.variables.get("address", "")
        if "@" not in address:
            raise ConfigurationError("this account has no address; set it with --set address=ME@HOST.")
        return address

    @property
    def submits_to(self) -> str:
        """The name of the submission server."""
        return self._servers()[1].host

    async def read(self, what: str, work: Callable[[Mailbox], T]) -> T:
        """Run `work`, which only reads, on the mailbox: in a thread, and maybe again. `what` is for records."""
        return await self._session(what, work, safe=True)

    async def change(self, what: str, work: Callable[[Mailbox], T]) -> T:
        """Run `work`, which makes one change, on the mailbox. When its answer is lost it is not run again."""
        if self._effect is Effect.READ:
            raise ConfigurationError("a read tool may not change a mailbox.")
        return await self._session(what, work, safe=False)

    async def submit(self, letter: Letter, *, notify: str = "FAILURE,DELAY") -> Submitted:
        """Hand a letter to the submission server. `notify` lists the delivery reports to ask for (RFC 3461).

        When all recipients are refused nothing was sent. `outcome_unknown` says that the letter may be on its way: look
        for its message id before anything else.
        """
        if self._effect is Effect.READ:
            raise ConfigurationError("a read tool may not send mail.")
        carrier = Submission(self._servers()[1], self.address, letter, notify)
        await self._exchange("SMTP", carrier.server, "submit", carrier, safe=False)
        assert carrier.done is not None
        return carrier.done

    async def _session(self, what: str, work: Callable[[Mailbox], T], *, safe: bool) -> T:
        carrier = Session(self._servers()[0], self.address, work)
        await self._exchange("IMAP", carrier.server, what, carrier, safe=safe)
        result: T = carrier.result
        return result

    async def _exchange(self, method: str, server: Server, route: str, carrier: Carrier, *, safe: bool) -> None:
        writing = None if self._effect is Effect.READ else self._trail.writing
        if writing is not None:
            await writing.depart(safe=safe)
        place = f"{method.lower()}://{server.host}:{server.port}/{route}"
        exchange = Exchange(
            httpx.Request(method, place),
            Attempt(method, route),
            safe,
            self._deadline,
            self._host,
            self._trail,
            carrier=carrier,
        )
        await self._wire.exchange(exchange)

    def _servers(self) -> tuple[Server, Server]:
        try:
            return servers_of(self._wire.variables)
        except ConfigurationError as error:
            raise InternalError(str(error), next_step="Ask the person to connect the account again.") from error
