"""Mail servers on loopback for tests: aiosmtpd for submission, and an IMAP server with one mailbox in memory.

Both speak TLS with a certificate made for the test, and can be told to misbehave.
"""

import asyncio
import base64
import datetime
import ipaddress
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

USER, PASSWORD, TOKEN = "me@home.example", "open sesame", "a-fresh-token"
Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


def make_certificate(folder: Path, name: str = "127.0.0.1") -> ssl.SSLContext:
    """A server's context for 127.0.0.1; `ca.pem` below `folder` makes it trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@dataclass
class Kept:
    """A message in a folder."""

    uid: int
    content: bytes
    flags: set[str] = field(default_factory=set[str])


@dataclass
class ImapServer:
    """IMAP4rev1 as far as the connector speaks it. `on` maps a command to a coroutine function that answers instead."""

    context: ssl.SSLContext | None = None
    capabilities: str = "IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 UIDPLUS MOVE SPECIAL-USE"
    folders: dict[str, list[Kept]] = field(default_factory=lambda: {"INBOX": [], "Sent": [], "Drafts": [], "Trash": []})
    uses: dict[str, str] = field(default_factory=lambda: {"Sent": "\\Sent", "Drafts": "\\Drafts", "Trash": "\\Trash"})
    token: str = TOKEN
    commands: list[str] = field(default_factory=list[str])
    on: dict[str, Callable[[Writer, str], Awaitable[bool]]] = field(
        default_factory=dict[str, Callable[[Writer, str], Awaitable[bool]]]
    )
    greeting: bytes = b"* OK ready\r\n"
    validity: int = 7
    uid: int = 0
    port: int = 0
    transports: list[Any] = field(default_factory=list[Any])

    def put(self, folder: str, content: str | bytes) -> int:
        """Store a message as if it had arrived."""
        self.uid += 1
        raw = content.encode() if isinstance(content, str) else content
        self.folders[folder].append(Kept(self.uid, raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")))
        return self.uid

    async def talk(self, reader: Reader, writer: Writer) -> None:
        self.transports.append(writer.transport)
        writer.write(self.greeting)
        session = _ImapSession(self, reader, writer)
        try:
            while await session.step():
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


@dataclass
class _ImapSession:
    server: ImapServer
    reader: Reader
    writer: Writer
    folder: str = ""

    async def step(self) -> bool:
        line = (await self.reader.readline()).decode("utf-8", "surrogateescape").rstrip("\r\n")
        if not line:
            return False
        while found := re.search(r"\{(\d+)\}$", line):
            self.writer.write(b"+ go on\r\n")
            literal = await self.reader.readexactly(int(found[1]))
            rest = (await self.reader.readline()).decode("utf-8", "surrogateescape").rstrip("\r\n")
            line = line[: found.start()] + "\0" + literal.decode("utf-8", "surrogateescape") + "\0" + rest
        tag, _, command = line.partition(" ")
        words = command.split(" ")
        name = " ".join(words[:2]).upper() if words[0].upper() == "UID" else words[0].upper()
        self.server.commands.append(command)
        hook = self.server.on.get(name)
        if hook is not None and await hook(self.writer, tag):
            return True
        handler = getattr(self, "do_" + name.lower().replace(" ", "_"), None)
        if handler is None:
            self.say(f"{tag} BAD unknown command {name}")
            return True
        rest = command[len(name) :].strip()
        answer = await handler(rest)
        if answer:
            self.say(f"{tag} {answer}")
        return name != "LOGOUT"

    def say(self, text: str) -> None:
        self.writer.write(text.encode("utf-8", "surrogateescape") + b"\r\n")

    async def do_capability(self, rest: str) -> str:
        self.say(f"* CAPABILITY {self.server.capabilities}")
        return "OK done"

    async def do_starttls(self, rest: str) -> str:
        self.say("s1 OK begin")
        await self.writer.drain()
        assert self.server.context is not None
        await self.writer.start_tls(self.server.context)
        return ""  # the answer came before the encryption

    async def do_login(self, rest: str) -> str:
        good = rest == f'"{USER}" "{PASSWORD}"'
        return "OK in" if good else "NO [AUTHENTICATIONFAILED] Invalid credentials"

    async def do_authenticate(self, rest: str) -> str:
        self.say("+ ")
        said = base64.b64decode(await self.reader.readline()).decode()
        if said in (f"\0{USER}\0{PASSWORD}", f"user={USER}\x01auth=Bearer {self.server.token}\x01\x01"):
            return "OK in"
        if rest == "XOAUTH2":
            self.say("+ eyJzdGF0dXMiOiI0MDEifQ==")
            await self.reader.readline()
        return "NO [AUTHENTICATIONFAILED] Invalid credentials"

    async def do_list(self, rest: str) -> str:
        for name in self.server.folders:
            use = self.server.uses.get(name, "")
            self.say(f'* LIST (\\HasNoChildren{" " + use if use else ""}) "/" "{name}"')
        return "OK done"

    async def do_select(self, rest: str) -> str:
        name = rest.strip('"')
        if name not in self.server.folders:
            return "NO [NONEXISTENT] no such mailbox"
        self.folder = name
        self.say(f"* {len(self.server.folders[name])} EXISTS")
        self.say(f"* OK [UIDVALIDITY {self.server.validity}] valid")
        return "OK [READ-WRITE] done"

    do_examine = do_select

    @property
    def kept(self) -> list[Kept]:
        return self.server.folders[self.folder]

    def find(self, numbers: str) -> list[Kept]:
        wanted = set(map(int, numbers.split(",")))
        return [each for each in self.kept if each.uid in wanted]

    async def do_uid_search(self, rest: str) -> str:
        texts = [
            text.encode("utf-8", "surrogateescape").lower()
            for text in re.findall(r'"([^"]*)"|\0([^\0]*)\0', rest)
            for text in text
            if text
        ]
        names = re.findall(r'HEADER "([^"]+)"', rest)
        texts = [text for text in texts if text.decode("utf-8", "replace") not in {name.lower() for name in names}]
        below = re.search(r"UID 1:(\d+)", rest)
        found = [
            each
            for each in self.kept
            if all(text in _searchable(each.content, names) for text in texts)
            and (below is None or each.uid <= int(below[1]))
            and ("UNSEEN" not in rest or "\\Seen" not in each.flags)
        ]
        self.say(f"* SEARCH {' '.join(str(each.uid) for each in found)}".rstrip())
        return "OK done"

    async def do_uid_fetch(self, rest: str) -> str:
        numbers, _, items = rest.partition(" ")
        most = re.search(r"<0\.(\d+)>", items)
        for place, each in enumerate(self.find(numbers), 1):
            head, gap, _ = each.content.partition(b"\r\n\r\n")
            content = head + gap if "HEADER" in items else each.content
            content = content[: int(most[1])] if most else content
            flags = " ".join(sorted(each.flags))
            said = f"* {place} FETCH (UID {each.uid} FLAGS ({flags}) RFC822.SIZE {len(each.content)} BODY[] "
            self.writer.write(f"{said}{{{len(content)}}}\r\n".encode() + content + b")\r\n")
        return "OK done"

    async def do_append(self, rest: str) -> str:
        found = re.match(r'"([^"]*)" \(([^)]*)\) *\0(.*)\0$', rest, re.DOTALL)
        assert found is not None, rest[:100]
        if found[1] not in self.server.folders:
            return "NO [TRYCREATE] no such mailbox"
        uid = self.server.put(found[1], found[3].encode("utf-8", "surrogateescape"))
        self.server.folders[found[1]][-1].flags = set(found[2].split())
        told = f"[APPENDUID {self.server.validity} {uid}] " if "UIDPLUS" in self.server.capabilities else ""
        return f"OK {told}done"

    async def do_uid_move(self, rest: str) -> str:
        numbers, _, target = rest.partition(" ")
        for each in self.find(numbers):
            self.kept.remove(each)
            self.server.folders[target.strip('"')].append(each)
        return "OK done"

    async def do_uid_copy(self, rest: str) -> str:
        numbers, _, target = rest.partition(" ")
        for each in self.find(numbers):
            self.server.put(target.strip('"'), each.content)
        return "OK done"

    async def do_uid_store(self, rest: str) -> str:
        for each in self.find(rest.partition(" ")[0]):
            each.flags.add("\\Deleted")
        return "OK done"

    async def do_uid_expunge(self, rest: str) -> str:
        for each in self.find(rest):
            self.kept.remove(each)
        return "OK done"

    async def do_logout(self, rest: str) -> str:
        self.say("* BYE")
        return "OK done"


def _searchable(content: bytes, names: list[str]) -> bytes:
    if not names:
        return content.lower()
    head = content.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
    return (
        "\n".join(line for line in lines if line.lower().startswith(tuple(f"{name.lower()}:" for name in names)))
        .lower()
        .encode()
    )


@dataclass
class Post:
    """What aiosmtpd asks: who is let in, who is refused, and what happens to a message."""

    refused: dict[str, str] = field(default_factory=dict[str, str])
    end: str = "250 2.0.0 Ok: queued as 1"
    at_end: Callable[[Any], Awaitable[str]] | None = None
    taken: list[tuple[str, list[str], bytes]] = field(default_factory=list[tuple[str, list[str], bytes]])
    options: list[list[str]] = field(default_factory=list[list[str]])
    token: str = TOKEN
    login: str = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        self.options.append(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append((envelope.mail_from, list(envelope.rcpt_tos), bytes(envelope.content)))
        return self.end if self.at_end is None else await self.at_end(server)
