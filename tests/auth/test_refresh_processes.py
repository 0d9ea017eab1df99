"""Real processes meet one expired single-use refresh token; reuse would kill the whole grant."""

# ruff: noqa: ASYNC220

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clew.auth.facts import Facts
from clew.auth.vault import Vault
from clew.core.secret import Secret
from clew.servers.sandbox import Sandbox

from .conftest import MASTER_KEY, WORK

pytestmark = pytest.mark.anyio

CALLER = """
import asyncio, sys
from pathlib import Path
import httpx
from clew.auth.authorizer import VaultAuthorizer
from clew.auth.keys import LocalKeys
from clew.auth.leases import open_leases
from clew.auth.refresh import Refresher
from clew.auth.schemes import OAuth2
from clew.auth.vault import open_vault
from clew.core.connection import Connection
from clew.core.database import open_database

path, base_url, tasks = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
scheme = OAuth2("{base_url}/oauth/authorize", "{base_url}/oauth/token", client_id="clew-demo")

async def call(authorizer: VaultAuthorizer, http: httpx.AsyncClient) -> bool:
    for _ in range(2):
        request = http.build_request("GET", base_url + "/api/me")
        generation = await authorizer.apply(request)
        answer = await http.send(request)
        if answer.status_code != 401:
            return answer.status_code == 200
        await authorizer.renew(generation)
    return False

async def main() -> None:
    database = await open_database(path)
    vault = await open_vault(database, LocalKeys(path.parent / "master.key", place="env"))
    refresher = Refresher(vault, await open_leases(database))
    authorizer = VaultAuthorizer(Connection("local", "acme", "work"), [scheme], vault, refresher, base_url=base_url)
    async with httpx.AsyncClient(verify=False) as http:
        print("ready", flush=True)
        sys.stdin.readline()
        print(sum(await asyncio.gather(*(call(authorizer, http) for _ in range(tasks)))), flush=True)
    await refresher.close()
    await database.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("expired_by", ["the clock", "the provider"])
async def test_processes_that_meet_an_expired_token_refresh_it_exactly_once(
    path: Path, vault: Vault, expired_by: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CLEW_MASTER_KEY": MASTER_KEY}
    with Sandbox(rate_limit=10_000) as sandbox:
        pair = sandbox.log_in()
        found = {name: Secret(str(pair[name])) for name in ("access_token", "refresh_token")}
        expires_at = time.time() + (-1 if expired_by == "the clock" else 3600)
        facts = Facts("oauth2", client_id="clew-demo", obtained_at=0.0, expires_at=expires_at)
        await vault.put(WORK, found, facts)
        if expired_by == "the provider":
            sandbox.fault("expire_token")
        callers = [
            subprocess.Popen(
                [sys.executable, "-c", CALLER, str(path), sandbox.url, "10"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for caller in callers:
            assert caller.stdout is not None
            assert caller.stdout.readline() == "ready\n"
        for caller in callers:
            assert caller.stdin is not None
            caller.stdin.write("go\n")
            caller.stdin.flush()
        answers = [caller.communicate(timeout=60)[0] for caller in callers]
        assert answers == ["10\n"] * 4
        tokens = sandbox.state.tokens
        assert (tokens.refreshed, tokens.reused, tokens.families_revoked) == (1, 0, 0)
