"""A resource server with tokens of a certified OpenID provider, asked for as RFC 8707 says."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from tests.attacks.http_world import ACME, ALL, world

pytestmark = [pytest.mark.anyio, pytest.mark.testbed]


def command() -> list[str]:
    """How it is started. Skipped with a word where the package is not to be had."""
    own = Path(__file__).resolve().parent.parent.parent / ".cache" / "testbeds"
    folder = Path(os.environ.get("CLEW_TESTBEDS", own))
    modules = folder / "node_modules"
    node = shutil.which("node", path=f"{modules}/node/bin:{os.environ.get('PATH', '')}")
    if node is None or not (modules / "oidc-provider").is_dir():
        pytest.skip("no npm package oidc-provider: see scripts/testbeds, or set CLEW_TESTBEDS")
    return [node, str(Path(__file__).parent / "oidc" / "resources.mjs"), str(folder)]


@contextlib.asynccontextmanager
async def provider() -> AsyncGenerator[str]:
    """Its address."""
    process = await asyncio.create_subprocess_exec(*command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while not (line := await process.stdout.readline()).startswith(b"{"):
                assert line, "the provider did not start"
        yield str(json.loads(line)["issuer"])
    finally:
        process.kill()
        await process.wait()


async def test_its_tokens_open_the_resource_they_were_asked_for(tmp_path: Path) -> None:
    scopes = {"tools:read": ("*:read",), "tools:write": ("*:write", "*:destructive")}
    async with provider() as issuer, world(tmp_path, issuer=issuer, scopes=scopes) as made:
        await made.connect("robot")

        async def token(resource: str, scope: str = "tools:read") -> str:
            form = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.post(f"{issuer}/token", data=form, auth=("robot", "robot-s3cret"))
            assert answer.status_code == 200, answer.text
            return str(answer.json()["access_token"])

        async with made.client(await token(ALL)) as client:
            assert not (await client.call_tool("get_contact", {"contact_id": "con_000001"})).is_error
        assert (await made.post(await token(ACME))).status_code == 401
        assert (await made.post(await token("https://other.example/opaque"))).status_code == 401
        ticket = {"contact_id": "con_000001", "subject": "s", "body": "b"}
        params = {"name": "create_ticket", "arguments": ticket}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        assert (await made.post(await token(ALL), body=call)).status_code == 403
        async with made.client(await token(ALL, "tools:read tools:write")) as client:
            assert not (await client.call_tool("create_ticket", ticket)).is_error
