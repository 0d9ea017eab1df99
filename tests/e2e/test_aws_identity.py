"""Workload identity at AWS, against moto's server: a projected token becomes keys, and the keys work."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from clew.auth.answers import Grant, Refusal
from clew.auth.facts import Facts
from clew.auth.minting import mint
from clew.auth.schemes import AwsWebIdentity
from clew.core.connection import Connection
from clew.core.secret import Secret

from .conftest import unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.testbed]


@pytest.fixture
async def aws() -> AsyncIterator[str]:
    if find_spec("moto") is None:
        unavailable("moto[server] is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while b"Running on" not in (line := await process.stderr.readline()):
                assert line, "moto did not start"
        drain = asyncio.create_task(process.stderr.read())
        yield f"http://127.0.0.1:{port}"
        drain.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


class Held:
    """A workload with its token in a file."""

    fields: tuple[str, ...] = ()
    connection = Connection("local", "aws", "pod")

    def __init__(self, file: Path) -> None:
        variables = {"identity_file": str(file), "role": "arn:aws:iam::123456789012:role/reader"}
        self.facts = Facts("aws_web_identity", variables=variables)

    def secret(self, name: str) -> Secret | None:
        return None


async def test_a_projected_token_becomes_keys_that_sign_requests(aws: str, tmp_path: Path) -> None:
    scheme = AwsWebIdentity(service="sts", token_url="{base_url}/")
    file = tmp_path / "token"
    held = Held(file)
    async with httpx.AsyncClient() as http:
        missing = await mint(http, held, scheme, base_url=aws, seconds=10)
        assert isinstance(missing, Refusal)
        assert missing.code == "identity_file"
        file.write_text("head.body.signature\n", encoding="utf-8")
        grant = await mint(http, held, scheme, base_url=aws, seconds=10)
        assert isinstance(grant, Grant), grant
        assert grant.expires_at is not None
        fields = grant.fields()
        form = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
        request = http.build_request("POST", f"{aws}/", data=form)
        scheme.apply(request, fields.__getitem__)
        answer = await http.send(request)
    assert answer.status_code == 200
    assert "assumed-role/reader/clew" in answer.text
