"""Reading and changing a mailbox over IMAP4rev1 (RFC 3501), by UID, with the special folders of RFC 6154.

A session logs in, does its work and leaves. The standard library's client speaks; this module bounds what it takes in.
"""

import base64
import imaplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any

from clew.core.bounds import Bounds
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.errors import OutcomeUnknownError
from clew.core.mail.line import InsecureError, Line, LineError, fault, gone, in_thread
from clew.core.mail.login import no_way_in, sasl
from clew.core.mail.mailbox import Mailbox, RefusedError
from clew.core.mail.names import quoted
from clew.core.mail.servers import Server
from clew.core.response import Response
from clew.core.values import dataclass

LONGEST_LINE = 4_000_000
"""Bytes of one line: the numbers of half a million messages."""

Work = Callable[[Mailbox], Any]


@dataclass(slots=True)
class Session:
    """The `Carrier` that runs `work` on a mailbox; `result` holds what it returned."""

    server: Server
    user: str
    work: Work
    result: Any = field(default=None, init=False)

    async def carry(
        self, credential: Credential | None, *, bounds: Bounds, deadline: Deadline, safe: bool, provider: str
    ) -> Response:
        """Log in, do the work, leave."""
        line = Line(self.server, bounds, deadline)
        try:
            self.result = await in_thread(line, lambda: self._talk(line, credential, safe=safe))
        except RefusedError as refusal:
            if line.left:
                message = f"{provider} did a part of this change and refused the rest."
                raise OutcomeUnknownError(message, provider_message=refusal.text) from refusal
            data = {"code": refusal.code, "message": refusal.text}
            return _response(400, refusal.text, data)
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            raise fault(_plain(error), line, safe=safe, provider=provider) from gone(error)
        return _response(200, "OK", None)

    def _talk(self, line: Line, credential: Credential | None, *, safe: bool) -> Any:
        try:
            client = _Client(line)
            mailbox = Mailbox(client, line, safe=safe)
            if credential is not None:
                _log_in(client, mailbox, self.user, credential)
                mailbox.learn()
            result = self.work(mailbox)
            mailbox.leave()
            return result
        finally:
            line.close()


def _response(status: int, text: str, data: Any) -> Response:
    return Response(status, {}, text.encode(), data, None, "IMAP", "imap:")


def _plain(error: Exception) -> Exception:
    """imaplib's own complaints quote what the server sent: only their kind is kept."""
    return error if isinstance(error, OSError) else LineError("the answer is no IMAP")


class _Client(imaplib.IMAP4):
    """The standard library's client over our line: everything read is counted and timed."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._greeting = b""
        super().__init__(line.server.host, line.server.port)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Connect and encrypt; with STARTTLS before the client has read anything that is not encrypted."""
        self.sock = self._line.connect()
        self._reader = self._line.reader()
        if self._line.server.mode == "starttls":
            self._greeting = self.readline()
            if not self._greeting.upper().startswith(b"* OK"):
                raise InsecureError("it is open before the encryption begins")
            self.send(b"s1 STARTTLS\r\n")
            answer = self.readline()
            while answer.startswith(b"* "):
                answer = self.readline()
            if not answer.upper().startswith(b"S1 OK"):
                raise InsecureError("it offers no encryption")
            self.sock = self._line.secure()
            self._reader = self._line.reader()  # what the other end sent before the encryption is thrown away

    def read(self, size: int) -> bytes:
        """Read a literal of exactly `size` bytes; more than the bound is refused before any memory is taken."""
        self._line.count(size)
        taken = bytearray()
        while len(taken) < size:
            self._line.wait()
            piece = self._reader.read1(min(65536, size - len(taken)))
            if not piece:
                raise LineError("the connection broke")
            taken += piece
        return bytes(taken)

    def readline(self) -> bytes:
        """Read one line."""
        if self._greeting and isinstance(self.sock, ssl.SSLSocket):
            greeting, self._greeting = self._greeting, b""
            return greeting
        self._line.wait()
        line: bytes = self._reader.readline(LONGEST_LINE)
        self._line.count(len(line))
        if not line.endswith(b"\n"):
            raise LineError("the connection broke" if len(line) < LONGEST_LINE else "the answer is no IMAP")
        return line

    def send(self, data: Any) -> None:
        """Send, within the time for writing."""
        self._line.wait(seconds=self._line.bounds.write)
        self.sock.sendall(data)

    def shutdown(self) -> None:
        """Let go of the connection."""
        self._line.close()


def _log_in(client: _Client, mailbox: Mailbox, user: str, credential: Credential) -> None:
    offered = [each.removeprefix("AUTH=") for each in mailbox.capabilities if each.startswith("AUTH=")]
    mechanism, messages = sasl(credential, user, offered)
    if mechanism in ("", "LOGIN") and "password" in credential.fields and "LOGINDISABLED" not in mailbox.capabilities:
        name, password = (credential.fields[each].reveal() for each in ("username", "password"))
        mailbox.run(lambda: client.login(quoted(name).decode(), password))
    elif not mechanism:
        raise no_way_in(" ".join(offered) or "nothing")
    else:
        answers = iter(base64.b64decode(message.reveal()) for message in messages)
        mailbox.run(lambda: _authenticated(client, mechanism, answers))


def _authenticated(client: _Client, mechanism: str, answers: Iterator[bytes]) -> tuple[str, list[Any]]:
    kind, said = client.authenticate(mechanism, lambda challenge: next(answers, b""))
    return kind, [said]
