"""The page that `clew auth status` prints, at the width of the terminal it is printed on."""

import re
import time
from typing import Any

import pytest

from clew.auth.connections import Status
from clew.servers.cli import statuspage

NOW = 1_700_000_000.0


def line(connector: str, account: str, **facts: Any) -> dict[str, Any]:
    status = Status(
        connector=connector, account=account, tenant="local", kind="oauth2", state="ready", identity=f"{account}@here",
        scopes=(), missing=(), expires_in=None, renewable=True, login_ends_in=None, refreshed=0, refused_at=None,
        refused=None, obtained_at=NOW - 60, origin=None, next_step=None,
    )  # fmt: skip
    return status.as_dict() | {"check": None} | facts


ROWS = [
    line("github", "work", expires_in=7 * 3600.0, refreshed=41, scopes=("repo", "read:org")),
    line("google_calendar", "ada@example.com", scopes=("a" * 40,), missing=("b",), refreshed=1, expires_in=-1.0),
    line("hubspot", "crm", login_ends_in=86400 * 4.0, identity="hub 4711, Lovelace & Partners Consulting GmbH"),
    line("microsoft", "contoso", state="refused", refused_at=NOW - 7201, refused="invalid_grant", next_step="clew X"),
    line("salesforce", "sandbox", state="damaged", kind="damaged", identity=None, next_step="clew Y"),
]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def show(columns: int | None) -> str:
        monkeypatch.setattr(time, "time", lambda: NOW)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns or 80))
        monkeypatch.setattr("sys.stdout.isatty", lambda: columns is not None)
        statuspage.show(ROWS)
        return capsys.readouterr().out

    return show


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_every_width_shows_who_and_how_and_cuts_nothing_but_long_identities(page: Any, columns: int) -> None:
    table = page(columns).split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= columns
    assert [re.sub(r"  +", " | ", row).split(" | ")[:3] for row in table] == [
        ["CONNECTOR", "ACCOUNT", "STATE"],
        ["github", "work", "ready, 7h left"],
        ["google_calendar", "ada@example.com", "ready, renewed at next call"],
        ["hubspot", "crm", "ready, ends in 4d"],
        ["microsoft", "contoso", "refused 2h ago"],
        ["salesforce", "sandbox", "damaged"],
    ]
    assert ("hub 4711, Lovelace & Partners Consulting GmbH" in table[3]) is (columns > 120)
    assert ("41 times" in table[1]) is (columns > 120)


def test_a_file_gets_everything(page: Any) -> None:
    text = page(None)
    assert "Consulting GmbH" in text
    assert "once" in text
    assert "41 times" in text


def test_the_summary_counts_and_the_notes_say_what_to_run(page: Any) -> None:
    text = page(80)
    assert text.startswith("5 accounts: 2 ready, 1 ending soon, 2 to be connected again\n")
    assert "! hubspot (crm) ends in 4d. Before that, run: clew auth login hubspot --account crm" in text
    assert '! microsoft (contoso): the provider refuses it ("invalid_grant"). Repair it with: clew X' in text
    assert "- google_calendar (ada@example.com): asked for and not granted: b." in text
    assert "\x1b" not in text


def test_accounts_of_another_tenant_are_said_to_be_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    statuspage.show([row | {"tenant": "acme"} for row in ROWS[:1]])
    assert capsys.readouterr().out.startswith("1 account of tenant acme: 1 ready\n")
