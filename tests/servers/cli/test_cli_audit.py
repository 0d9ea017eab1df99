"""`clew audit` and `clew stats` after real calls."""

import json
import re
from pathlib import Path

import pytest

from clew.servers.sandbox import Sandbox

from .conftest import Place


def call(place: Place, *words: str) -> None:
    place.run("call", "acme", *words)


@pytest.fixture
def used(place: Place, connected: Sandbox) -> Place:
    call(place, "search_contacts", "text=Lovelace", "--task", "T-1")
    call(place, "get_contact", "contact_id=con_9999999", "--task", "T-1")
    return place


def test_before_any_call_there_is_nothing_to_tell(place: Place) -> None:
    ran = place.run("audit")
    assert (ran.code, ran.out, ran.err) == (0, "", "Nothing has been called yet.\n")
    assert place.run("audit", "verify").code == 0
    assert place.run("audit", "export").out == ""
    assert place.run("audit", "--follow").code == 2
    assert "No calls" in place.run("stats").err


def test_calls_are_listed_told_exported_and_verified(used: Place) -> None:
    listed = used.run("audit")
    assert re.search(r"acme +search_contacts +ok ", listed.out)
    assert "Lovelace" not in listed.out
    (failed,) = json.loads(used.run("audit", "--failed", "--json").out)
    assert (failed["tool"], failed["code"], failed["arguments"]) == (
        "get_contact",
        "not_found",
        {"contact_id": "con_9999999"},
    )
    story = used.run("audit", "show", failed["reference"]).out
    for part in ("a person at a terminal called get_contact", "GET /api/contacts/{}: 404", "task T-1"):
        assert part in story
    lines = used.run("audit", "export", "--tool", "search_contacts").out.splitlines()
    assert [json.loads(line)["tool"] for line in lines] == ["search_contacts"]
    verified = json.loads(used.run("audit", "verify", "--json").out)
    assert (verified["ok"], verified["records"]) == (True, 2)


def test_an_error_says_where_its_story_is(used: Place) -> None:
    ran = used.run("call", "acme", "get_contact", "contact_id=con_8888888")
    (reference,) = re.findall(r"its story: clew audit show ([0-9a-f]{16})", ran.err)
    assert "not_found" in used.run("audit", "show", reference).out


def test_a_reference_that_is_not_there_and_a_time_that_is_none_are_usage_errors(used: Place) -> None:
    for words in (("show", "0" * 16), ("--since", "yesterday"), ("--last", "0")):
        assert used.run("audit", *words).code == 2


def test_statistics_come_as_table_json_and_page(used: Place, tmp_path: Path) -> None:
    table = used.run("stats", "--by", "connector").out
    assert re.search(r"acme +2 +50\.0 %", table)
    found = json.loads(used.run("stats", "--json").out)
    assert found["tasks"]["by_steps"] == [{"steps": "2-3", "tasks": 1, "success_rate": 0.0}]
    assert found["failures"] == {"not_found": 1}
    assert used.run("stats", "--html", "stats.html").code == 0
    page = Path("stats.html").read_text()
    assert "<script" not in page
    assert "acme.search_contacts" in page.replace("<wbr>", "")
    assert used.run("stats", "--html", str(tmp_path)).code == 2


def test_tools_are_priced_in_tokens(place: Place) -> None:
    found = json.loads(place.run("show", "acme", "--tokens", "--json").out)
    assert found["total"] == sum(found["tools"].values()) > 100
    assert place.run("show", "acme", "--tokens").out.splitlines()[-1].split() == ["all", str(found["total"])]


def test_prices_are_checked(place: Place) -> None:
    for wrong in ("tokens_in = -1", "colour = 1", 'units = "x"', "currency = 3"):
        place.configure(f"[prices]\n{wrong}\n")
        assert place.run("stats").code == 2


def test_logs_are_json_when_wanted(used: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEW_LOG_LEVEL", "info")
    monkeypatch.setenv("CLEW_LOG_FORMAT", "json")
    ran = used.run("call", "acme", "search_contacts", "text=x")
    (line,) = [json.loads(each) for each in ran.err.splitlines() if each.startswith("{")]
    assert (line["logger"], line["record"]["tool"]) == ("clew.audit", "search_contacts")
