"""The vault under attack, on both engines: rows moved and altered, full disks, wrong keys, kill -9, and canaries."""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC240

import base64
import contextlib
import os
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from pathlib import Path

import pytest

from clew.auth.bundle import export_bundle
from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys, WrongKeyError
from clew.auth.leases import open_leases
from clew.auth.rotation import Rotation
from clew.auth.vault import Vault, open_vault
from clew.core.connection import Connection
from clew.core.database import Database, open_database
from clew.core.errors import AuthRevokedError, InternalError, TransientError
from clew.core.secret import Secret
from clew.servers.sandbox import Sandbox

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]

CANARY = "canary-5f1c9b7e2a"
VICTIMS = [
    Connection("local", "acme", "work"),
    Connection("local", "acme", "home"),
    Connection("local", "github", "work"),
    Connection("globex", "acme", "work"),
]
COLUMNS = ["version", "fence", "facts", "sealed", "created_at", "updated_at"]


def key_file(tmp_path: Path) -> LocalKeys:
    return LocalKeys(tmp_path / "master.key", place="file", environ={}, warn=lambda text: None)


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    yield opened
    await opened.close()


@pytest.fixture
async def vault(database: Database, tmp_path: Path) -> Vault:
    return await open_vault(database, key_file(tmp_path))


def secret_of(connection: Connection) -> str:
    return f"{CANARY} {connection.tenant} {connection.connector} {connection.account}"


async def fill(vault: Vault, connections: Sequence[Connection] = VICTIMS) -> None:
    for each in connections:
        await vault.put(each, {"token": Secret(secret_of(each))}, Facts("bearer", identity=each.account))


async def stored(vault: Vault, connection: Connection) -> str | None:
    record = await vault.get(connection)
    secret = record.secret("token") if record else None
    return secret.reveal() if secret else None


async def cell(database: Database, column: str, at: Connection) -> str | float:
    sql = f"SELECT {column} FROM vault_connections WHERE tenant = ? AND connector = ? AND account = ?"
    row = await database.fetch_one(sql, at.tenant, at.connector, at.account)
    assert row is not None
    value: str | float = row[0]
    return value


async def forge(database: Database, column: str, value: str | float | bytes, at: Connection) -> None:
    sql = f"UPDATE vault_connections SET {column} = ? WHERE tenant = ? AND connector = ? AND account = ?"
    assert await database.execute(sql, value, at.tenant, at.connector, at.account) == 1


@pytest.mark.parametrize(
    "columns", [["sealed"], ["sealed", "facts"], COLUMNS], ids=["sealed", "with facts", "whole row"]
)
async def test_rows_swapped_between_accounts_connectors_and_tenants_never_open(
    vault: Vault, database: Database, columns: list[str]
) -> None:
    await fill(vault)
    rows = {each: {column: await cell(database, column, each) for column in COLUMNS} for each in VICTIMS}
    for source, target in permutations(VICTIMS, 2):
        for column in columns:
            await forge(database, column, rows[source][column], target)
        with pytest.raises(AuthRevokedError) as caught:
            await stored(vault, target)
        assert str(target) in str(caught.value)
        assert f"--account {target.account}" in caught.value.next_step
        assert CANARY not in caught.value.as_text()
        for column in columns:
            await forge(database, column, rows[target][column], target)
        assert await stored(vault, target) == secret_of(target)


async def test_data_keys_swapped_between_tenants_never_open(vault: Vault, database: Database, tmp_path: Path) -> None:
    await fill(vault)
    rows = await database.fetch_all("SELECT tenant, data_key_id, wrapped FROM vault_data_keys ORDER BY tenant")
    (one, one_id, one_key), (two, two_id, two_key) = rows
    for tenant, key in ((one, two_key), (two, one_key)):
        await database.execute("UPDATE vault_data_keys SET wrapped = ? WHERE tenant = ?", key, tenant)
    fresh = await open_vault(database, key_file(tmp_path))
    for victim in VICTIMS:
        with pytest.raises(WrongKeyError, match="Nothing was changed"):
            await stored(fresh, victim)
    for tenant, other_id in ((one, two_id), (two, one_id)):
        await database.execute("UPDATE vault_data_keys SET data_key_id = ? WHERE tenant = ?", other_id, tenant)
    for victim in VICTIMS:
        with pytest.raises((WrongKeyError, AuthRevokedError)):
            await stored(await open_vault(database, key_file(tmp_path)), victim)


def mutated(value: str, chance: random.Random) -> str:
    at = chance.randrange(len(value))
    how = chance.choice(["flip", "cut", "drop", "double", "swap"])
    if how == "flip":
        return value[:at] + chr(ord(value[at]) ^ (1 << chance.randrange(6))) + value[at + 1 :]
    return {
        "cut": value[:at],
        "drop": value[:at] + value[at + 1 :],
        "double": value[:at] + value[at] + value[at:],
        "swap": value[at:] + value[:at],
    }[how]


async def attempt(vault: Vault, connection: Connection) -> tuple[str | None, str]:
    """The secret, or the words of the refusal."""
    try:
        return await stored(vault, connection), ""
    except AuthRevokedError as error:
        return None, error.as_text()


async def test_three_hundred_random_changes_give_the_right_secret_or_a_named_refusal(
    vault: Vault, database: Database
) -> None:
    await fill(vault)
    chance = random.Random(7)
    refused = 0
    for _ in range(300):
        victim, column = chance.choice(VICTIMS), chance.choice(["sealed", "facts"])
        before = str(await cell(database, column, victim))
        changed = mutated(before, chance)
        if "\x00" in changed or changed == before:
            continue
        await forge(database, column, changed, victim)
        answer, words = await attempt(vault, victim)
        assert answer in (secret_of(victim), None)
        assert answer is not None or str(victim) in words
        assert CANARY not in words
        refused += answer is None
        await forge(database, column, before, victim)
    assert refused > 250


async def test_a_wrong_key_is_a_clear_error_for_every_command_and_nothing_is_overwritten(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    await fill(vault)
    before = [await database.fetch_all(f"SELECT * FROM {name}") for name in ("vault_connections", "vault_data_keys")]
    file = tmp_path / "other.key"
    wrong = LocalKeys(file, place="file", environ={}, warn=lambda text: None)
    await wrong.choose()
    blind = await open_vault(database, wrong)
    rotation = Rotation(database, wrong, await open_leases(database))
    content = file.read_text()
    for attempt in (
        stored(blind, VICTIMS[0]),
        fill(blind),
        export_bundle(blind, Secret("correct horse battery"), tenant="local"),
        rotation.rotate_keys(),
        rotation.rotate_data(),
    ):
        with pytest.raises(WrongKeyError, match=r"sealed with the key [0-9a-f]{16}.*Nothing was changed"):
            await attempt
    assert before == [await database.fetch_all(f"SELECT * FROM {n}") for n in ("vault_connections", "vault_data_keys")]
    assert file.read_text() == content


FULL = """
import asyncio, resource, sys
from pathlib import Path
from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys
from clew.auth.vault import open_vault
from clew.core.connection import Connection
from clew.core.database import open_database
from clew.core.errors import InternalError
from clew.core.secret import Secret

async def main() -> None:
    database = await open_database(sys.argv[1])
    vault = await open_vault(database, LocalKeys(Path(sys.argv[2]), place="file", environ={}))
    log = Path(sys.argv[1] + "-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 10_000,) * 2)
    try:
        for n in range(200):
            await vault.put(Connection("local", "acme", "work"), {"token": Secret("n" * 2000)}, Facts("bearer"),
                            expect_version=int(sys.argv[3]) + n)
            print(n, flush=True)
    except InternalError as error:
        print(error, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_file_that_cannot_grow_leaves_the_last_pair_that_was_confirmed(
    address: str, vault: Vault, tmp_path: Path
) -> None:
    await fill(vault)
    record = await vault.get(VICTIMS[0])
    assert record is not None
    done = subprocess.run(
        [sys.executable, "-c", FULL, address, str(tmp_path / "master.key"), str(record.version)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    *confirmed, words = done.stdout.splitlines()
    assert "nothing was written" in words, done.stderr
    assert len(confirmed) < 50
    assert await stored(vault, VICTIMS[0]) == ("n" * 2000 if confirmed else secret_of(VICTIMS[0]))
    after = await vault.get(VICTIMS[0])
    assert after is not None
    assert after.version == record.version + len(confirmed)
    assert [await stored(vault, each) for each in VICTIMS[1:]] == [secret_of(each) for each in VICTIMS[1:]]


async def fill_the_disk(database: Database, engine: str) -> None:
    if engine == "sqlite":
        async with database.transaction() as tx:
            await tx.fetch_one("PRAGMA max_page_count = 1")
        return
    await database.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$"
    )
    await database.execute(
        "CREATE TRIGGER full_disk BEFORE UPDATE ON vault_connections FOR EACH ROW EXECUTE FUNCTION full_disk()"
    )


async def test_on_a_full_disk_the_old_pair_stays_and_no_dump_of_the_error_shows_the_new_one(
    vault: Vault, database: Database, engine: str
) -> None:
    await fill(vault)
    await fill_the_disk(database, engine)
    big = {"token": Secret(CANARY * 20_000), "refresh_token": Secret(CANARY)}
    with pytest.raises(InternalError, match="is full; nothing was written") as caught:
        await vault.put(VICTIMS[0], big, Facts("bearer"))
    assert CANARY not in dumped(caught.value)
    assert [await stored(vault, each) for each in VICTIMS] == [secret_of(each) for each in VICTIMS]


def dumped(error: BaseException) -> str:
    """Everything a zealous error reporter would take: the chain, with the locals of every frame of ours."""
    text = ""
    while True:
        text += repr(error) + str(error) + repr(getattr(error, "__dict__", ""))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                text += "".join(f"{name} = {value!r}\n" for name, value in frame.f_locals.items())
        following = error.__cause__ or error.__context__
        if following is None:
            return text
        error = following


async def damage(database: Database) -> None:
    await forge(database, "version", 1, VICTIMS[0])


async def test_no_dump_of_a_vaults_error_shows_a_secret_or_the_key(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    await fill(vault)
    master = (tmp_path / "master.key").read_text().strip()
    raw = repr(base64.b64decode(master))
    errors: list[BaseException] = []

    async def collect(attempt: object) -> None:
        try:
            await attempt  # type: ignore[misc]  # pyright: ignore
        except Exception as error:
            errors.append(error)

    record = await vault.get(VICTIMS[1])
    assert record is not None
    await damage(database)
    await collect(stored(vault, VICTIMS[0]))
    await collect(export_bundle(vault, Secret("short " + CANARY[:3]), tenant="local"))
    await database.execute("UPDATE vault_data_keys SET wrapped = ?", b"x" * 60)
    await collect(stored(await open_vault(database, key_file(tmp_path)), VICTIMS[1]))
    await collect(vault.put(VICTIMS[1], {"token": Secret(CANARY)}, record.facts, expect_version=5))
    await database.execute("ALTER TABLE vault_connections RENAME TO gone")
    await collect(stored(vault, VICTIMS[1]))
    await collect(vault.put(VICTIMS[1], {"token": Secret(CANARY)}, record.facts))
    assert len(errors) == 6
    for error in errors:
        text = dumped(error)
        for spelling in (CANARY, base64.b64encode(CANARY.encode()).decode(), master, raw[2:-1]):
            assert spelling not in text, f"{type(error).__name__} shows it"


SCENE = """
import asyncio, faulthandler, logging, os, sys, traceback
from pathlib import Path
faulthandler.enable()
from clew.servers.cli import main

def shown(*arguments: str) -> None:
    print("$", *arguments, main(list(arguments)), flush=True)

shown("auth", "status", "--json")
shown("auth", "status", "--check")
shown("call", "acme", "get_contact", "contact_id=con_000001", "--json")
shown("call", "acme", "get_contact", "contact_id=con_nothing")
shown("call", "acme", "get_contact", "contact_id=con_000001", "--account", "wrong")
shown("auth", "rotate")
shown("auth", "export", "bundle.clew", "--passphrase-file", "pass.txt")
shown("auth", "import", "bundle.clew", "--passphrase-file", "pass.txt", "--replace")
shown("config")
print(Path("/proc/self/cmdline").read_bytes(), flush=True)
faulthandler.dump_traceback(all_threads=True)
"""


async def test_planted_canaries_appear_nowhere_but_at_the_provider(
    address: str, engine: str, tmp_path: Path, database: Database
) -> None:
    with Sandbox() as sandbox:
        canaries = {"right": sandbox.pat, "wrong": "acme_pat_" + CANARY, "passphrase": CANARY + "-passphrase"}
        (tmp_path / "pass.txt").write_text(canaries["passphrase"])
        (tmp_path / "clew.toml").write_text(f'[connectors.acme]\nbase_url = "{sandbox.url}"\naccount = "right"\n')
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")} | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "CLEW_HOME": str(tmp_path / "home"),
            "CLEW_KEY_PROVIDER": "file",
            "CLEW_LOG_LEVEL": "debug",
            "CLEW_DATABASE": address,
        }
        shown = ""

        def run(*command: str, stdin: str = "") -> None:
            nonlocal shown
            done = subprocess.run(
                [sys.executable, *command],
                input=stdin, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
            shown += done.stdout + done.stderr

        cli = ["-m", "clew.servers.cli"]
        run(*cli, "auth", "set", "acme", "--kind", "bearer", "--account", "right", stdin=canaries["right"] + "\n")
        opened = await open_vault(database, key_file(tmp_path / "home"))
        refused = Connection("local", "acme", "wrong")
        await opened.put(refused, {"token": Secret(canaries["wrong"])}, Facts("bearer", origin=sandbox.url))
        run("-c", SCENE)
    # The scene has really happened: it was read, refused, rotated, exported and taken back.
    for words in ("ready", "Ada", "not_found", "auth_revoked", "sealed with new data keys", "acme (right): replaced"):
        assert words in shown, shown
    (tmp_path / "shown.txt").write_text(shown)
    content = {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    content.pop("pass.txt")
    content |= await pages(database, engine, address)
    assert any(name.startswith(("clew.db", "heap")) for name in content)
    for canary in canaries.values():
        spellings = [canary, base64.b64encode(canary.encode()).decode()[:-4], canary.encode().hex(), canary[::-1]]
        for name, bytes_ in content.items():
            for spelling in spellings:
                assert spelling.encode() not in bytes_, f"{name} holds a canary"


async def pages(database: Database, engine: str, address: str) -> dict[str, bytes]:
    """The pages of our tables in PostgreSQL, dead rows included; SQLite's are among the files."""
    if engine == "sqlite":
        return {}
    tables = await database.fetch_all(
        "SELECT oid::regclass::text, pg_relation_filepath(oid) FROM pg_class WHERE relname LIKE 'vault%' "
        "AND pg_table_is_visible(oid) AND relkind IN ('r', 'i')"
    )
    import psycopg

    try:
        with psycopg.connect(address, autocommit=True) as admin:
            admin.execute("CHECKPOINT")  # the pages reach the files
            return {
                f"heap {name}": admin.execute("SELECT pg_read_binary_file(%s)", [path]).fetchall()[0][0]
                for name, path in tables
            }
    except psycopg.errors.InsufficientPrivilege:
        if os.environ.get("CLEW_CI"):
            raise
        pytest.skip("this PostgreSQL user may not read the server's files")


ROTATE = """
import asyncio, sys
from pathlib import Path
from clew.auth.keys import LocalKeys
from clew.auth.leases import open_leases
from clew.auth.rotation import Rotation
from clew.core.database import open_database

async def main() -> None:
    database = await open_database(sys.argv[1])
    keys = LocalKeys(Path(sys.argv[2]), place="file", environ={})
    rotation = Rotation(database, keys, await open_leases(database))
    print("ready", flush=True)
    while True:
        await rotation.rotate_keys()
        await rotation.rotate_data()

asyncio.run(main())
"""


async def kill_rotations(address: str, vault: Vault, database: Database, tmp_path: Path, rounds: int) -> None:
    """Kill a rotating process at a random moment, again and again; a writer goes on all the while."""
    chance = random.Random(11)
    many = [Connection(tenant, "acme", f"a{n:03}") for n in range(60) for tenant in ("local", "globex")]
    await fill(vault, many)
    written: dict[Connection, str] = {each: secret_of(each) for each in many}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for number in range(rounds):
        rotator = subprocess.Popen(
            [sys.executable, "-c", ROTATE, address, str(tmp_path / "master.key")],
            env=environment,
            stdout=subprocess.PIPE,
        )
        assert rotator.stdout is not None
        assert rotator.stdout.readline() == b"ready\n"
        for _ in range(chance.randrange(1, 25)):
            victim = chance.choice(many)
            record = await vault.get(victim)
            assert record is not None
            with contextlib.suppress(TransientError):
                await vault.amend(record, record.facts, {"token": Secret(f"new {number} {victim}")})
                written[victim] = f"new {number} {victim}"
        rotator.send_signal(signal.SIGKILL)
        rotator.wait()
        rotator.stdout.close()
        assert {each: await stored(vault, each) for each in many} == written
        # Nobody waits for the lease of the dead in this test; what that costs is known: its end.
        await database.execute("UPDATE leases SET ends = 0")
    rotation = Rotation(database, key_file(tmp_path), await open_leases(database))
    for _ in range(2):
        await rotation.rotate_keys()
        assert not (await rotation.rotate_data()).damaged
    fresh = await open_vault(database, key_file(tmp_path))
    assert {each: await stored(fresh, each) for each in many} == written
    keys = await database.fetch_all("SELECT tenant, key_id FROM vault_data_keys")
    assert len(keys) == 2, "former data keys are gone"
    assert len({key_id for _, key_id in keys}) == 1


async def test_a_rotation_killed_at_random_points_loses_nothing(
    address: str, vault: Vault, database: Database, tmp_path: Path
) -> None:
    await kill_rotations(address, vault, database, tmp_path, rounds=6)


@pytest.mark.slow
async def test_a_rotation_killed_three_hundred_times_loses_nothing(
    address: str, vault: Vault, database: Database, tmp_path: Path
) -> None:
    await kill_rotations(address, vault, database, tmp_path, rounds=300)
