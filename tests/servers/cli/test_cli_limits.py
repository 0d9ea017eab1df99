"""`clew limits`: what is left of the budgets, for people and for programs."""

import asyncio
import json
import signal
from typing import Any

from clew.core.budgets import CIRCUIT, LEARNED, TRIPS, Level, Terms
from clew.core.limit_sqlite import SqliteStore
from clew.core.limit_store import Ask, Wish

Place = Any


def fill(place: Place) -> None:
    async def work() -> None:
        store = SqliteStore.open(place.home / "limits.db")
        bucket = Ask("acme|points|local/work|", Terms("bucket", 100, 1000.0, 100), 40)
        slots = Ask("acme|slots||", Terms("concurrency", 5))
        await store.take([bucket, slots], Wish(60.0, 0.0, "token"))

        def learned(level: Level, now: float) -> bool:
            level.left, level.ends, level.peak, level.span, level.pace = 0, now + 100, 5000, 3600.0, 2.0
            return True

        def refused(level: Level, now: float) -> bool:
            level.stop = now + 9.9
            return True

        def down(level: Level, now: float) -> bool:
            level.left, level.opens = TRIPS, now + 0.9
            return True

        await store.change("github|learned core|local/work|", LEARNED, learned)
        await store.change("github|circuit||api.github.com", CIRCUIT, down)
        await store.change("github|circuit||other.example", CIRCUIT, lambda level, now: True)
        await store.change("github|learned|local/work|", LEARNED, lambda level, now: True)
        await store.change("acme|refused|tenant%7Cb/work|7", Terms("sliding", 5, 1.0, 0), refused)
        await store.close()

    asyncio.run(work())


def test_nothing_called_yet_is_said_and_nothing_is_created(place: Place) -> None:
    ran = place.run("limits")
    assert (ran.code, "Nothing has been called" in ran.err) == (0, True)
    assert not place.home.exists()
    assert json.loads(place.run("limits", "--json").out) == {"budgets": []}


def test_the_table_names_budget_account_what_is_left_and_when_the_next_call_goes(place: Place) -> None:
    fill(place)
    lines = place.run("limits").out.splitlines()
    assert [line.split()[0] for line in lines] == ["CONNECTOR", "acme", "acme", "acme", "github", "github"]
    text = "\n".join(lines)
    for part in (
        "100 per 16m 40s",
        "60",
        "5 at once",
        "tenant|b/work",
        "refused",
        "in 9",
        "host api.github.com",
        "down",
    ):
        assert part in text
    assert "5000 per 1h" in text
    assert "in 1m 40s" in text
    assert "slowed" in text
    assert "other.example" not in text


def test_one_connector_and_json(place: Place) -> None:
    fill(place)
    budgets = json.loads(place.run("limits", "github", "--json").out)["budgets"]
    assert {each["connector"] for each in budgets} == {"github"}
    assert {each["state"] for each in budgets} == {"down", "slowed"}
    assert place.run("limits", "nobody").code == 2


def test_a_live_view_needs_a_terminal(place: Place) -> None:
    ran = place.run("limits", "--watch")
    assert ran.code == 2
    assert "terminal" in ran.err


def test_a_live_view_shows_the_table_until_it_is_interrupted(place: Place) -> None:
    fill(place)
    terminal = place.terminal("limits", "--watch")
    terminal.see("Ctrl-C ends this.")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "host api.github.com" in terminal.seen


def test_a_password_of_the_server_is_neither_shown_nor_taken_from_a_file(place: Place, monkeypatch: Any) -> None:
    place.configure('limits = "redis://:hunter2@127.0.0.1:1/0"')
    ran = place.run("config")
    assert (ran.code, "CLEW_LIMITS" in ran.err, "hunter2" in ran.err) == (2, True, False)
    place.configure("")
    monkeypatch.setenv("CLEW_LIMITS", "redis://:hunter2@127.0.0.1:1/0")
    ran = place.run("config")
    assert "redis://***@127.0.0.1:1/0" in ran.out
    assert "hunter2" not in ran.out + ran.err
    monkeypatch.setenv("CLEW_LIMITS", "localhost")
    assert place.run("config").code == 2
