"""`clew check`: the scorecard, what it ends with, and what it writes."""

import json
from typing import Any

from tests.servers.cli.conftest import Place
from tests.testing.test_plugin import CONNECTOR

from clew.testing.kit import CHECKS


def test_a_connector_of_ours_is_fit(place: Place) -> None:
    ran = place.run("check", "acme", "--json")
    assert ran.code == 0, ran.out
    card: dict[str, Any] = json.loads(ran.out)
    assert card["passed"] is True
    assert {check["name"] for check in card["checks"]} >= {"schemas", "chaos", "paging", "secrets", "errors"}


def test_a_file_without_a_snapshot_is_not_fit_until_it_is_written_down(place: Place) -> None:
    (place.folder / "billing.py").write_text(CONNECTOR)
    file = str(place.folder / "billing.py")
    ran = place.run("check", file)
    assert ran.code == 1
    assert f"billing: not fit yet, {len(CHECKS) - 1} of {len(CHECKS)} checks" in ran.out
    assert f"clew check {file} --update" in ran.out
    written = place.run("check", file, "--update")
    assert written.code == 0, written.out
    assert "tools.json" in written.err
    assert (place.folder / "examples" / "billing" / "tools.json").is_file()
    assert place.run("check", file).code == 0


def test_some_checks_alone_and_advice_as_a_fault(place: Place) -> None:
    file = place.folder / "billing.py"
    file.write_text(CONNECTOR.replace("@billing.read", "@billing.write").replace("get_bill", "send_bill"))
    ran = place.run("check", str(file), "--only", "writes", "--strict")
    assert ran.code == 1
    assert "advice" in ran.out
    assert "send_bill says nothing about doing it twice" in ran.out
    assert place.run("check", str(file), "--only", "writes").code == 0


def test_what_is_wrong_on_the_line_is_said(place: Place) -> None:
    assert "name a connector" in place.run("check").err
    assert "there is no check 'speed'" in place.run("check", "acme", "--only", "speed").err
    assert place.run("check", "acme", "--examples", str(place.folder)).code == 2
