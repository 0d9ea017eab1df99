"""A real OpenID provider in a process of its own, and a person who logs in at it."""

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey

from clew.auth.keys import LocalKeys
from clew.auth.leases import Leases, open_leases
from clew.auth.refresh import Refresher
from clew.auth.vault import Vault, open_vault
from clew.core.database import Database, open_database
from clew.core.secret import Secret

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / ".cache" / "oidc"
PACKAGES = {"oidc-provider": "9.13.3", "jose": "6.2.17", "node": "24.21.0"}


def unavailable(why: str) -> None:
    """Skip with a clear word; where everything has to run, fail."""
    if os.environ.get("CLEW_CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_database(tmp_path / "home" / "clew.db")
    yield opened
    await opened.close()


@pytest.fixture
async def vault(database: Database, tmp_path: Path) -> Vault:
    master = base64.b64encode(b"k" * 32).decode()
    return await open_vault(database, LocalKeys(tmp_path / "master.key", environ={"CLEW_MASTER_KEY": master}))


@pytest.fixture
async def leases(database: Database) -> Leases:
    return await open_leases(database)


@pytest.fixture
async def refresher(vault: Vault, leases: Leases) -> AsyncIterator[Refresher]:
    opened = Refresher(vault, leases)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder with the provider's npm packages, installed once."""
    node = FOLDER / "node_modules" / "node" / "bin" / "node"
    if not (FOLDER / "node_modules" / "oidc-provider").is_dir() or not node.exists():
        npm = shutil.which("npm")
        if npm is None:
            unavailable("npm is not here, which installs oidc-provider")
        FOLDER.mkdir(parents=True, exist_ok=True)
        manifest = {"private": True, "dependencies": PACKAGES, "allowScripts": {"node": True}}
        (FOLDER / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        command = [str(npm), "install", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, timeout=600, check=False)
        if done.returncode or not node.exists():
            unavailable(f"npm could not install {', '.join(PACKAGES)}: {done.stderr.decode()[-300:]}")
    return FOLDER


@dataclass(frozen=True, slots=True)
class Oidc:
    """The running provider: its issuer, and the private key (PEM) of its client `keyed`."""

    issuer: str
    key: Secret


@pytest.fixture
async def oidc(modules: Path) -> AsyncIterator[Oidc]:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = RSAKey.import_key(pem).as_dict(private=False) | {"use": "sig", "alg": "RS256"}
    process = await asyncio.create_subprocess_exec(
        str(modules / "node_modules" / "node" / "bin" / "node"),
        str(Path(__file__).parent / "oidc" / "server.mjs"),
        str(modules),
        json.dumps({"key": public}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            issuer = ""
            while not issuer:
                line = await process.stdout.readline()
                assert line, "the provider did not start"
                if line.startswith(b"{"):
                    issuer = json.loads(line)["issuer"]
        yield Oidc(issuer, Secret(pem.decode()))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


class Person:
    """A person with a browser without scripts: fills in the forms that come, until the browser leaves the provider."""

    def __init__(self, name: str = "ada") -> None:
        self.name = name
        self.pages: list[str] = []

    async def consent(self, url: str, *, code: str = "") -> str:
        """Open `url`, log in, agree to everything; the answer is the last page's text."""
        async with httpx.AsyncClient(follow_redirects=True, timeout=20) as http:
            page = await http.get(url)
            for _ in range(8):
                self.pages.append(page.text)
                form = re.search(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", page.text, re.DOTALL)
                if form is None:
                    break
                inputs = re.findall(r"<input[^>]*>", form[2])
                pairs = {_attribute(each, "name"): _attribute(each, "value") for each in inputs}
                fields = {name: value for name, value in pairs.items() if name}
                fields |= {"login": self.name, "password": "any"} if "login" in fields else {}
                fields |= {"user_code": code} if fields.get("user_code") == "" else {}
                page = await http.post(urljoin(str(page.url), unescape(form[1])), data=fields)
        return page.text


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf"\b{name}=\"([^\"]*)\"", tag)
    return unescape(found[1]) if found else ""
