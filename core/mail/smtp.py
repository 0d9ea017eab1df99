"""Handing a message to a submission server (RFC 6409), with an honest answer for every recipient.

Until the dot that ends the message is sent, the server has taken nothing (RFC 5321 4.1.1.4); from then until its answer
nobody knows; then it has. Delivery reports are asked for where the server can (RFC 3461), with the headers only.
"""

import contextlib
import re
import smtplib
import socket
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from clew.core.bounds import Bounds
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.mail.compose import Letter
from clew.core.mail.line import InsecureError, Line, LineError, fault, gone, in_thread
from clew.core.mail.login import no_way_in, sasl
from clew.core.mail.servers import Server
from clew.core.response import Response
from clew.core.values import dataclass

LONGEST_REPLY = 20_000


@dataclass(frozen=True, slots=True)
class Submitted:
    """A message that a server took. `refused` are the recipients it did not take, each with its reply."""

    message_id: str
    accepted: tuple[str, ...]
    refused: Mapping[str, str]
    reply: str


class _RefusedError(Exception):
    """The server said no: its reply, and what it said about single recipients."""

    def __init__(self, code: int, text: str, refused: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.refused = refused or {}


@dataclass(slots=True)
class Submission:
    """The `Carrier` that submits one letter; `done` holds what became of it. `wanted` is told in `NOTIFY=`."""

    server: Server
    user: str
    letter: Letter
    wanted: str = "FAILURE,DELAY"
    done: Submitted | None = field(default=None, init=False)

    async def carry(
        self, credential: Credential | None, *, bounds: Bounds, deadline: Deadline, safe: bool, provider: str
    ) -> Response:
        """Submit the letter over a connection of its own."""
        line = Line(self.server, bounds, deadline)
        try:
            return await in_thread(line, lambda: self._talk(line, credential))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise fault(error, line, safe=safe, provider=provider) from gone(error)

    def _talk(self, line: Line, credential: Credential | None) -> Response:
        try:
            client = _Client(line)
            client.begin()
            if credential is not None:
                sasl_smtp(client, self.user, credential)
            return self._submit(client, line)
        except _RefusedError as refusal:
            return _response(refusal.code, refusal.text, {"refused": dict(refusal.refused)})
        finally:
            line.close()

    def _submit(self, client: "_Client", line: Line) -> Response:
        letter, reports = self.letter, client.has_extn("dsn")
        options = [f"SIZE={len(letter.content)}"] if client.has_extn("size") else []
        options += ["BODY=8BITMIME"] if client.has_extn("8bitmime") else []
        options += ["RET=HDRS", f"ENVID={xtext(letter.message_id.strip('<>'))}"] if reports else []
        client.expect(client.mail(letter.sender, options), 250)
        accepted: list[str] = []
        refused: dict[str, tuple[int, str]] = {}
        for address in letter.recipients:
            asked = [f"NOTIFY={self.wanted}", f"ORCPT=rfc822;{xtext(address)}"] if reports else []
            code, text = client.rcpt(address, asked)
            if code in (250, 251):
                accepted.append(address)
                continue
            refused[address] = code, _text(text)
            if code == 421:
                raise _RefusedError(code, _text(text))
        told = {address: f"{code} {text}" for address, (code, text) in refused.items()}
        if not accepted:
            raise _RefusedError(*max(refused.values()), told)  # a lasting refusal says more than a passing one
        code, said = client.message(letter.content)
        if not 200 <= code < 300:
            raise _RefusedError(code, said, told)
        self.done = Submitted(letter.message_id, tuple(accepted), told, said[:200])
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.docmd("QUIT")
        return _response(code, said, None)


def _response(code: int, text: str, data: Any) -> Response:
    return Response(code, {}, f"{code} {text}".encode(), data, None, "SMTP", "smtp:")


class _Client(smtplib.SMTP):
    """The standard library's client over our line: replies bounded, the end of a message marked."""

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__(local_hostname="[127.0.0.1]", timeout=line.bounds.read)

    def begin(self) -> None:
        """Connect, encrypt, and learn what the server can."""
        code, text = self.connect(self._line.server.host, self._line.server.port)
        self.expect((code, text), 220)
        self.expect(self.ehlo(), 250)
        if self._line.server.mode == "starttls":
            if not self.has_extn("starttls"):
                raise InsecureError("it offers no encryption")
            self.expect(self.docmd("STARTTLS"), 220)
            self.sock = self._line.secure()
            self.file = None  # what the other end sent before the encryption is thrown away
            self.helo_resp = self.ehlo_resp = None
            self.esmtp_features = {}
            self.expect(self.ehlo(), 250)

    def expect(self, reply: tuple[int, bytes], code: int) -> None:
        """Raise the refusal unless the reply is the one that lets us go on."""
        if reply[0] != code:
            raise _RefusedError(reply[0], _text(reply[1]))

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._line.connect()

    def send(self, s: "Any") -> None:
        """Send, within the time for writing."""
        self._line.wait(seconds=self._line.bounds.write)
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply of bounded length."""
        texts: list[bytes] = []
        if self.file is None:
            self.file = self._line.reader()
        while True:
            self._line.wait()
            read: bytes = self.file.readline(2000)
            self._line.count(len(read))
            if not re.match(rb"[2-5]\d\d[ -]?", read) or not read.endswith(b"\n"):
                raise LineError("the connection broke" if not read else "the answer is no SMTP")
            if sum(map(len, texts)) < LONGEST_REPLY:
                texts.append(read[4:].strip())
            if read[3:4] != b"-":
                return int(read[:3]), b"\n".join(texts)

    def message(self, content: bytes) -> tuple[int, str]:
        """Send the message after the recipients. The line has `left` from the moment its last dot may be on the way."""
        code, text = self.docmd("DATA")
        if code != 354:
            return (code if code >= 400 else 554), _text(text)
        lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
        self.send(re.sub(rb"(?m)^\.", b"..", lines))
        self._line.left = True
        self.send(b".\r\n" if lines.endswith(b"\r\n") else b"\r\n.\r\n")
        code, text = self.getreply()
        return code, _text(text)


def sasl_smtp(client: _Client, user: str, credential: Credential) -> None:
    """Log in by what the server offers and the credential is good for."""
    offered = client.esmtp_features.get("auth", "").upper().split()
    mechanism, messages = sasl(credential, user, offered)
    if not mechanism:
        raise no_way_in(client.esmtp_features.get("auth", "nothing"))
    first, *rest = messages
    code, text = client.docmd("AUTH", f"{mechanism} {first.reveal()}")
    for answer in rest:  # for XOAUTH2 the reason of a refusal comes as a challenge, and its end after an answer
        if code == 334:
            code, text = client.docmd(answer.reveal())
    if code not in (235, 503):
        raise _RefusedError(code, _text(text))


def xtext(value: str) -> str:
    """Encode what a parameter of MAIL and RCPT cannot hold (RFC 3461 4)."""
    return "".join(char if "!" <= char <= "~" and char not in "+=" else f"+{ord(char) & 255:02X}" for char in value)


def _text(reply: bytes) -> str:
    return " ".join(reply.decode("utf-8", "replace").split())[:2000]
