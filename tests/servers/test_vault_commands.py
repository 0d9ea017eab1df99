"""The commands and settings that keep the vault: where it is, its keys, its policy, its bundles."""

import asyncio
import json
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from clew.auth.facts import Facts
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.servers.cli import main
from clew.servers.rotation import keep_policy, rotate_what_is_due
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings, load_settings
from clew.servers.settings_values import shown_database
from clew.servers.store import open_store

CANARY = "canary-5f1c9b7e2a"
WORK = Connection(LOCAL_TENANT, "acme", "work")
ENGINES = ["sqlite", "postgres"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, engine: str) -> Settings:
    for name in [each for each in os.environ if each.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLEW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLEW_KEY_PROVIDER", "file")
    if engine == "postgres":
        monkeypatch.setenv("CLEW_DATABASE", address)
    monkeypatch.chdir(tmp_path)
    return load_settings()


async def put(settings: Settings, **more: str) -> None:
    async with open_store(settings) as store:
        await store.vault.put(WORK, {"token": Secret(CANARY)}, Facts("bearer", identity="ada"))
        for account in more:
            await store.vault.put(Connection(LOCAL_TENANT, "acme", account), {"token": Secret("x")}, Facts("bearer"))


async def token(settings: Settings, account: str = "work") -> str | None:
    async with open_store(settings) as store:
        record = await store.vault.get(Connection(LOCAL_TENANT, "acme", account))
        secret = record.secret("token") if record else None
        return secret.reveal() if secret else None


async def data_keys(settings: Settings) -> list[tuple[object, ...]]:
    async with open_store(settings) as store:
        return await store.database.fetch_all("SELECT data_key_id, key_id FROM vault_data_keys")


def test_rotate_replaces_both_keys_and_says_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(put(settings, home="x"))
    (before,) = asyncio.run(data_keys(settings))
    assert main(["auth", "rotate", "--json"]) == 0
    (after,) = asyncio.run(data_keys(settings))
    assert before[0] != after[0]
    assert before[1] != after[1]
    output = capsys.readouterr()
    done = json.loads(output.out)
    assert (done["keys"]["key_id"], done["data"]["done"]) == (after[1], 2)
    assert "2 records are sealed with new data keys" in output.err
    assert CANARY not in output.out + output.err
    assert asyncio.run(token(settings)) == CANARY


def test_rotate_without_a_key_of_its_own_to_make_still_rotates_the_data(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEW_KEY_PROVIDER", "env")
    monkeypatch.setenv("CLEW_MASTER_KEY", "a2trawtra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
    settings = load_settings()
    asyncio.run(put(settings))
    (before,) = asyncio.run(data_keys(settings))
    assert main(["auth", "rotate"]) == 0
    (after,) = asyncio.run(data_keys(settings))
    assert before[0] != after[0]
    assert before[1] == after[1]
    assert "The wrapping key stays" in capsys.readouterr().err
    assert main(["auth", "rotate", "--keys"]) == 2


def test_rotating_tokens_refreshes_what_can_be_refreshed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sandbox() as sandbox:
        Path("clew.toml").write_text(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n')
        pair = sandbox.log_in()

        async def store_grant() -> None:
            fields = {name: Secret(str(pair[name])) for name in ("access_token", "refresh_token")}
            facts = Facts("oauth2", client_id="clew-demo", expires_at=time.time() + 3600, renewable=True)
            facts = replace(facts, origin=sandbox.url)
            async with open_store(settings) as store:
                await store.vault.put(Connection(LOCAL_TENANT, "acme", "login"), fields, facts)

        asyncio.run(put(settings))
        asyncio.run(store_grant())
        assert main(["auth", "rotate", "--tokens", "--json"]) == 0
        done = {each["account"]: each["did"] for each in json.loads(capsys.readouterr().out)["tokens"]}
        assert done == {"login": "refreshed", "work": "not_renewable"}
        assert sandbox.state.tokens.refreshed == 1


def test_a_bundle_takes_the_accounts_to_another_home(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(put(settings))
    (tmp_path / "pass").write_text("correct horse battery\n")
    bundle = tmp_path / "accounts.clew"
    export = ["auth", "export", str(bundle), "--passphrase-file", str(tmp_path / "pass")]
    assert main(export) == 0
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert CANARY.encode() not in bundle.read_bytes()
    assert main(export) == 2
    assert "exists: choose another name, or give --replace" in capsys.readouterr().err
    assert main([*export, "--replace"]) == 0
    monkeypatch.setenv("CLEW_HOME", str(tmp_path / "second"))
    monkeypatch.delenv("CLEW_DATABASE", raising=False)
    taken = ["auth", "import", str(bundle), "--passphrase-file", str(tmp_path / "pass"), "--json"]
    assert main(taken) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"connector": "acme", "account": "work", "tenant": "local", "did": "imported"}
    ]
    assert asyncio.run(token(load_settings())) == CANARY
    assert main(taken) == 0
    assert json.loads(capsys.readouterr().out)[0]["did"] == "kept"


def test_bundles_that_cannot_be_are_one_sentence(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["auth", "export", str(tmp_path / "x")]) == 2
    assert main(["auth", "import", str(tmp_path / "none")]) == 2
    asyncio.run(put(settings))
    (tmp_path / "pass").write_text("short")
    assert main(["auth", "export", str(tmp_path / "x"), "--passphrase-file", str(tmp_path / "pass")]) == 2
    words = capsys.readouterr().err
    assert "nothing to export" in words
    assert "cannot be read" in words
    assert "at least 12 characters" in words
    assert not (tmp_path / "x").exists()


@pytest.mark.anyio
async def test_the_policy_rotates_what_is_due_once(settings: Settings) -> None:
    await put(settings)
    before = await data_keys(settings)
    async with Runtime.open(settings, ["acme"]) as runtime:
        assert not await rotate_what_is_due(runtime)
        assert await data_keys(settings) == before
        await runtime.store.database.execute("UPDATE vault_data_keys SET created_at = 0")
        watching = asyncio.create_task(keep_policy(runtime, look_every=0.001))
        async with asyncio.timeout(20):
            while await data_keys(settings) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        watching.cancel()
        after = await data_keys(settings)
        assert not await rotate_what_is_due(runtime)
    assert len(after) >= 1
    assert await token(settings) == CANARY


@pytest.mark.anyio
async def test_without_a_policy_nothing_watches(settings: Settings) -> None:
    async with Runtime.open(
        Settings(home=settings.home, key_provider="file", rotate_after=0.0, connectors={"acme": ConnectorSettings()}),
        ["acme"],
    ) as runtime:
        async with asyncio.timeout(5):
            await keep_policy(runtime)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_password_of_a_database_is_never_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for address in (
        f"postgresql://ada:{CANARY}@127.0.0.1:1/clew",
        f"postgresql://ada:@x{CANARY}@127.0.0.1:1/clew",
        f"postgresql://127.0.0.1:1/clew?user=ada&password={CANARY}",
    ):
        monkeypatch.setenv("CLEW_DATABASE", address)
        assert main(["config"]) == 0
        assert main(["config", "--json"]) == 0
        assert main(["auth", "status"]) == 2
        output = capsys.readouterr()
        assert CANARY not in output.out + output.err + repr(load_settings())
        assert "127.0.0.1" in output.out
    assert shown_database(Secret("postgresql://db/clew")) == "postgresql://db/clew"


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('database = "mysql://x"', "must be a path, sqlite:///path or postgresql://"),
        ('key_provider = "hsm:x"', "pkcs11:… or aws-kms:…, not 'hsm'"),
        ('old_key_providers = ["vault"]', "old_key_providers must be one of"),
        ('rotate_after = "72"', 'a time like "72h" or "30d"'),
        ('rotate_after = "5h 3m"', 'a time like "72h"'),
        ('rotate = ["everything"]', "data, keys, tokens"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(
    settings: Settings, tmp_path: Path, line: str, words: str
) -> None:
    (tmp_path / "clew.toml").write_text(line)
    with pytest.raises(ConfigurationError, match=words):
        load_settings({}, tmp_path)


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_settings_of_the_vault_are_read(settings: Settings, tmp_path: Path) -> None:
    named = tmp_path / "named.toml"
    named.write_text(
        'database = "postgresql://db/clew"\nkey_provider = "aws-kms:alias/clew"\nold_key_providers = ["file"]\n'
        'rotate_after = "2d"\nrotate = ["data", "tokens"]\n'
    )
    found = load_settings({"CLEW_CONFIG": str(named), "CLEW_ROTATE_AFTER": "never"})
    assert found.database.reveal() == "postgresql://db/clew"
    assert (found.key_provider, found.old_key_providers) == ("aws-kms:alias/clew", ("file",))
    assert (found.rotate_after, found.rotate) == (0.0, ("data", "tokens"))
    assert load_settings({"CLEW_CONFIG": str(named)}).rotate_after == 2 * 86400
