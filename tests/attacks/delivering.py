"""The other side of a receiver: a provider that signs, sends, repeats until it hears 2xx, and never forgives."""

import asyncio
import base64
import contextlib
import hmac
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clew.auth.webhook_secrets import add_secret
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.secret import Secret
from clew.servers.settings import Settings
from clew.servers.store import open_store

HERE = Path(__file__).parent
ACME = Connection(LOCAL_TENANT, "acme", "work")
PATH = "/webhooks/acme/work"


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"


def request(secret: str, event_id: str, body: bytes, *, path: str = PATH, forged: bool = False) -> bytes:
    """One delivery by Standard Webhooks, as the bytes of a request."""
    now = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"{event_id}.{now}.".encode() + body, "sha256")).decode()
    signature = f"{signature[:-6]}AAAAA=" if forged else signature
    head = (
        f"POST {path} HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nwebhook-id: {event_id}\r\nwebhook-timestamp: {now}\r\n"
        f"webhook-signature: v1,{signature}\r\n\r\n"
    )
    return head.encode() + body


def payment(number: int, *, objects: int = 500) -> bytes:
    """The body of event `number`, about one of so many objects."""
    data = {"id": f"pay_{number % objects}", "n": number, "amount": 1000, "note": "x" * 200}
    return json.dumps({"type": "payment.succeeded", "timestamp": "2026-11-22T10:00:00Z", "data": data}).encode()


async def prepare(home: Path, database: str) -> str:
    """A store with a webhook secret for the account; the secret."""
    secret = new_secret()
    async with open_store(Settings(home=home, database=Secret(database), key_provider="file")) as store:
        await add_secret(store.vault, ACME, Secret(secret))
    return secret


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Receiver:
    """One receiver process; `ready` once it listens."""

    def __init__(self, plan: dict[str, object]) -> None:
        command = [sys.executable, str(HERE / "receiver_process.py"), json.dumps(plan)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.ready = threading.Event()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        if self.process.stdout.readline():
            self.ready.set()

    def kill(self) -> None:
        """`kill -9`."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._listening.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Fleet:
    """Receiver processes on one port."""

    home: Path
    database: str
    size: int
    port: int = field(default_factory=free_port)
    lease: float = 2.0
    receivers: list[Receiver] = field(default_factory=list[Receiver])
    killed: int = 0

    def __enter__(self) -> "Fleet":
        self.receivers = [self._start() for _ in range(self.size)]
        assert all(receiver.ready.wait(60) for receiver in self.receivers)
        return self

    def __exit__(self, *exc: object) -> None:
        for receiver in self.receivers:
            receiver.kill()

    def _start(self) -> Receiver:
        return Receiver({"home": str(self.home), "database": self.database, "port": self.port, "lease": self.lease})

    def kill_one(self) -> None:
        """Kill the one that has lived longest, if another one listens, and start one in its place."""
        living = [receiver for receiver in self.receivers if receiver.ready.is_set()]
        if len(living) > 1:
            living[0].kill()
            self.receivers.remove(living[0])
            self.receivers.append(self._start())
            self.killed += 1


@dataclass
class Sender:
    """Sends deliveries over a few connections; each until it is answered with 2xx."""

    port: int
    secret: str
    patience: float = 60.0
    acknowledged: list[int] = field(default_factory=list[int])
    seconds: list[float] = field(default_factory=list[float])
    repeats: int = 0

    async def send(self, numbers: Iterable[int], *, connections: int = 16) -> None:
        """Send all of them."""
        waiting = iter(numbers)
        await asyncio.gather(*(self._one_after_the_other(waiting) for _ in range(connections)))

    async def _one_after_the_other(self, waiting: Iterable[int]) -> None:
        line = _Line(self.port)
        try:
            await self._send_over(line, waiting)
        finally:
            await line.close()

    async def _send_over(self, line: "_Line", waiting: Iterable[int]) -> None:
        for number in waiting:
            give_up_at = time.monotonic() + self.patience
            while True:
                started = time.monotonic()
                status = await line.ask(request(self.secret, f"evt_{number}", payment(number)))
                if status is not None and 200 <= status < 300:
                    self.acknowledged.append(number)
                    self.seconds.append(time.monotonic() - started)
                    break
                assert status is None or status >= 500, f"a good delivery was answered with {status}"
                assert time.monotonic() < give_up_at, f"delivery {number} found nobody"
                self.repeats += 1
                await asyncio.sleep(0.05)


class _Line:
    """One connection, made again when it breaks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, content: bytes) -> int | None:
        """The status of the answer; None when there was none."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(content)
            async with asyncio.timeout(15):
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or b"0"))
            if b"connection: close" in head:
                await self.close()
            return int(head.split()[1])
        except (OSError, EOFError, TimeoutError):
            await self.close()
            return None

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            with contextlib.suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None


def percentile(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class OwnPostgres:
    """A PostgreSQL server of ours, which a test may stop and start."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="clew-postgres-"))
        self.port = free_port()
        self.address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")

    @staticmethod
    def programs() -> Path | None:
        """Where `initdb` and `pg_ctl` are, if they are."""
        found = shutil.which("pg_ctl")
        places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        return next((place for place in places if (place / "initdb").exists()), None)

    def __enter__(self) -> "OwnPostgres":
        self._run("initdb", "-D", str(self._folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync")
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._ctl("stop", "-m", "immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        self._ctl("start", "-l", str(self._folder / "log"), "-o", options)

    def restart(self) -> None:
        """Stopped as by a crash, and started again."""
        self._ctl("stop", "-m", "immediate")
        self.start()

    def _ctl(self, *words: str) -> None:
        self._run("pg_ctl", "-w", "-D", str(self._folder / "data"), *words)

    def _run(self, program: str, *words: str) -> None:
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        command = [*user, str(self._programs / program), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
