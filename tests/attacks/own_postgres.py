"""A PostgreSQL server of our own, which may be restarted: an attack does to it what nobody may do to the shared one."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def programs() -> Path | None:
    """Where initdb and pg_ctl are: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return known[-1].parent if known else None


class OwnPostgres:
    """One cluster. It refuses to run as root, so root runs it as the user `postgres`."""

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        self._bin, self._folder = bin_folder, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def make(self) -> None:
        """Make the cluster and start it."""
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "--no-sync")
        self._control("start")

    def restart(self, mode: str) -> None:
        """`fast` ends every connection, `immediate` is a crash with recovery. Returns when it answers again."""
        self._control("restart", "-m", mode)

    def stop(self) -> None:
        """End it."""
        self._control("stop", "-m", "immediate")

    def _control(self, *words: str) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, *words)

    def _run(self, program: str, *words: str) -> None:
        more: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
        subprocess.run(
            [self._bin / program, *words], cwd=self._folder, check=True, capture_output=True, timeout=60, **more
        )


@contextmanager
def own_postgres(bin_folder: Path) -> Generator[OwnPostgres]:
    """A fresh cluster in a folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        server = OwnPostgres(bin_folder, Path(folder))
        server.make()
        try:
            yield server
        finally:
            server.stop()
