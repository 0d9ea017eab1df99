"""Device codes, client credentials, registrations, refresh, logout and the kill switch, as an operator types them."""

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clew.servers.sandbox import Sandbox

Place = Any
Remember = Callable[["subprocess.Popen[str]"], "subprocess.Popen[str]"]

SERVICE = """
from clew import Api, Connector, schemes

robot = Connector(
    "robot",
    base_url="{url}",
    auth=schemes.ClientCredentials(token_url="{{base_url}}/oauth/token", scopes=("contacts:read",)),
)

@robot.read
async def list_contacts(api: Api) -> list[str]:
    \"\"\"List contacts.\"\"\"
    return [each["id"] for each in (await api.get("/api/contacts"))["data"]]
"""


@pytest.fixture
def quick(place: Place) -> Any:
    """An Acme that lets device codes be asked for every second."""
    with Sandbox(device_interval_seconds=1) as sandbox:
        place.configure(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n')
        yield sandbox


def log_in(place: Place, account: str = "work") -> None:
    """A login in the browser, the person played by an HTTP client."""
    login = place.start("auth", "login", "acme", "--no-browser", "--account", account)
    assert login.stderr is not None
    url = next(line.strip() for line in login.stderr if line.startswith("http"))
    address, _, query = url.partition("?")
    form = dict(urllib.parse.parse_qsl(query)) | {"approve": "1"}
    urllib.request.urlopen(address, urllib.parse.urlencode(form).encode()).close()
    _, err = login.communicate(timeout=20)
    assert login.returncode == 0, err


def test_a_device_login_shows_the_code_and_ends_when_it_is_confirmed(
    place: Place, quick: Sandbox, processes: Remember
) -> None:
    login = processes(place.start("auth", "login", "acme", "--device", "--json"))
    assert login.stderr is not None
    said = ""
    while (found := re.search(r"^    (\S+)$", said, re.MULTILINE)) is None or "yourself" not in said:
        said += login.stderr.readline()
    form = urllib.parse.urlencode({"user_code": found[1], "approve": "1"}).encode()
    urllib.request.urlopen(f"{quick.url}/device", form).close()
    out, err = login.communicate(timeout=30)
    assert login.returncode == 0, said + err
    assert json.loads(out)["identity"] == "ada@acme.example"
    assert "started this login yourself" in said + err


def test_a_declined_device_login_stores_nothing(place: Place, quick: Sandbox, processes: Remember) -> None:
    login = processes(place.start("auth", "login", "acme", "--device"))
    assert login.stderr is not None
    said = ""
    while (found := re.search(r"^    (\S+)$", said, re.MULTILINE)) is None:
        said += login.stderr.readline()
    form = urllib.parse.urlencode({"user_code": found[1], "approve": "0"}).encode()
    urllib.request.urlopen(f"{quick.url}/device", form).close()
    _, err = login.communicate(timeout=30)
    assert (login.returncode, "was declined" in err) == (1, True)
    assert json.loads(place.run("auth", "status", "--json").out) == []


def test_device_and_no_browser_exclude_each_other(place: Place) -> None:
    assert place.run("auth", "login", "acme", "--device", "--no-browser").code == 2


def test_refresh_gets_a_new_token_and_says_how_long_it_lives(place: Place, acme: Sandbox) -> None:
    log_in(place)
    ran = place.run("auth", "refresh", "acme")
    assert (ran.code, "has a new access token. It ends in" in ran.err) == (0, True)
    assert acme.state.tokens.refreshed == 1
    (status,) = json.loads(place.run("auth", "status", "--json").out)
    assert status["refreshed"] == 1


def test_what_was_typed_in_cannot_be_refreshed(place: Place, connected: Sandbox) -> None:
    ran = place.run("auth", "refresh", "acme")
    assert (ran.code, "nothing to refresh" in ran.err) == (2, True)


def test_logging_out_revokes_at_the_provider(place: Place, acme: Sandbox) -> None:
    log_in(place)
    ran = place.run("auth", "logout", "acme", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["told"] == "revoked"
    assert "revoked at the provider and forgotten here" in ran.err
    ours = [each for each in acme.state.tokens.grants if each.client_id == "clew-demo"]
    assert [each.revoked for each in ours] == [True]


def test_logging_out_of_a_typed_in_token_says_that_it_lives_on(place: Place, connected: Sandbox) -> None:
    ran = place.run("auth", "logout", "acme")
    assert ran.code == 0
    assert "forgotten here, but not revoked" in ran.err


def test_a_provider_that_is_away_keeps_the_credential(place: Place, acme: Sandbox) -> None:
    log_in(place)
    place.configure('[connectors.acme]\nbase_url = "http://127.0.0.1:1"\n')
    ran = place.run("auth", "logout", "acme")
    assert ran.code == 1
    assert "To forget it nevertheless: clew auth remove acme --account work" in ran.err
    assert len(json.loads(place.run("auth", "status", "--json").out)) == 1


def test_several_accounts_and_none_named_is_refused_with_the_choices(place: Place, acme: Sandbox) -> None:
    log_in(place, "a")
    log_in(place, "b")
    ran = place.run("auth", "logout", "acme")
    assert (ran.code, "several accounts: a, b" in ran.err) == (2, True)


def test_the_same_persons_other_account_is_named(place: Place, acme: Sandbox) -> None:
    log_in(place, "a")
    log_in(place, "b")
    ran = place.run("auth", "logout", "acme", "--account", "a")
    assert "The same grant stands behind: b." in ran.err


def test_the_kill_switch_tells_the_result_of_each_credential(place: Place, acme: Sandbox) -> None:
    log_in(place, "a")
    place.run("auth", "set", "acme", "--account", "pat", stdin=acme.pat)
    refused = place.run("auth", "revoke", "--all")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    ran = place.run("auth", "revoke", "--all", "--yes", "--json")
    assert ran.code == 0
    assert [(each["account"], each["told"]) for each in json.loads(ran.out)] == [
        ("a", "revoked"),
        ("pat", "impossible"),
    ]
    assert json.loads(place.run("auth", "status", "--json").out) == []


def test_the_kill_switch_asks_on_a_terminal(place: Place, acme: Sandbox) -> None:
    log_in(place)
    terminal = place.terminal("auth", "revoke", "--all")
    terminal.see("Type 'revoke' to go on")
    terminal.type("no")
    assert terminal.end() == 2
    terminal = place.terminal("auth", "revoke", "--all")
    terminal.see("Type 'revoke' to go on")
    terminal.type("revoke")
    assert terminal.end() == 0
    assert json.loads(place.run("auth", "status", "--json").out) == []


def test_the_kill_switch_leaves_other_connectors_alone(place: Place, acme: Sandbox) -> None:
    log_in(place)
    assert place.run("auth", "revoke", "--all", "--yes", "--connector", "github").code == 0
    assert len(json.loads(place.run("auth", "status", "--json").out)) == 1


def test_revoke_wants_all_to_be_said(place: Place) -> None:
    assert place.run("auth", "revoke").code == 2


def test_a_registered_client_is_shown_without_its_secret(place: Place) -> None:
    ran = place.run("auth", "apps", "set", "github", "--client-id", "Iv1.own", stdin="s3cr3t-of-the-app")
    assert ran.code == 0, ran.err
    ran = place.run("auth", "apps", "list")
    assert re.search(r"github +Iv1.own +secret", ran.out)
    assert "s3cr3t" not in place.run("auth", "apps", "list", "--json").out + ran.out
    assert place.run("auth", "apps", "remove", "github").code == 0
    assert place.run("auth", "apps", "remove", "github").code == 2
    assert json.loads(place.run("auth", "apps", "list", "--json").out) == []


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(place: Place) -> None:
    ran = place.run("auth", "apps", "set", "github", "--client-id", "x", "--client-secret=s3cr3t-of-the-app")
    assert (ran.code, "s3cr3t" in ran.err) == (2, False)
    assert "clew auth apps set github" in ran.err


def test_a_login_without_a_client_says_how_to_register_one(place: Place) -> None:
    ran = place.run("auth", "login", "github", "--no-browser")
    assert ran.code == 2
    assert "clew auth apps set github" in ran.err


def test_a_login_uses_the_registered_client(place: Place, acme: Sandbox) -> None:
    place.run("auth", "apps", "set", "acme", "--client-id", "clew-demo", "--public")
    log_in(place)
    assert place.run("auth", "status", "acme", "--check").code == 0


def test_client_credentials_are_tried_and_kept(place: Place, acme: Sandbox) -> None:
    file = Path(place.folder) / "robot.py"
    file.write_text(SERVICE.format(url=acme.url), encoding="utf-8")
    wrong = place.run("auth", "set", str(file), "--set", "client_id=acme-service", stdin="wrong")
    assert (wrong.code, "nothing was stored" in wrong.err) == (4, True)
    ran = place.run(
        *("auth", "set", str(file), "--account", "bot", "--set", "client_id=acme-service", "--json"),
        stdin="acme-service-secret",
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["kind"] == "client_credentials"
    ran = place.run("call", str(file), "list_contacts", "--account", "bot")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("pair", ["nonsense", "=x", "host="])
def test_a_malformed_value_is_one_sentence(place: Place, pair: str) -> None:
    ran = place.run("auth", "login", "acme", "--no-browser", "--set", pair)
    assert (ran.code, "--set wants NAME=VALUE" in ran.err) == (2, True)


def test_an_unknown_value_names_those_that_there_are(place: Place) -> None:
    ran = place.run("auth", "login", "generic", "--no-browser", "--set", "shop=x", "--issuer", "https://id.example")
    assert (ran.code, "It takes: issuer" in ran.err) == (2, True)


def test_a_generic_login_wants_an_issuer(place: Place) -> None:
    ran = place.run("auth", "login", "generic", "--no-browser")
    assert (ran.code, "needs a issuer" in ran.err) == (2, True)


def test_the_status_page_is_aligned_and_says_what_to_do(place: Place, acme: Sandbox) -> None:
    log_in(place)
    token = acme.mint_pat()
    place.run("auth", "set", "acme", "--account", "ci", stdin=token)
    ran = place.run("auth", "status")
    summary, empty, *lines = ran.out.splitlines()
    assert (summary, empty) == ("2 accounts: 2 ready", "")
    assert lines[0].split() == ["CONNECTOR", "ACCOUNT", "STATE", "IDENTITY", "KIND", "SCOPES"]
    starts = [lines[0].index(word) for word in ("ACCOUNT", "STATE", "IDENTITY", "KIND")]
    for line in lines[1:3]:
        assert all(line[start - 1] == " " and line[start] != " " for start in starts)
    assert re.search(r"ready, \d+[hms].* left", ran.out)


def test_a_login_that_is_made_during_a_logout_is_kept_and_named(place: Place, acme: Sandbox) -> None:
    log_in(place)
    acme.fault("slow", path="/oauth/revoke", seconds=4, when="after")
    leaving = place.start("auth", "revoke", "--all", "--yes", "--json")
    give_up_at = time.monotonic() + 30
    while not acme.state.requests["POST /oauth/revoke"] and time.monotonic() < give_up_at:
        time.sleep(0.01)
    place.run("auth", "set", "acme", "--account", "work", stdin=acme.pat)
    out, err = leaving.communicate(timeout=60)
    assert leaving.returncode == 1
    assert "1 of 1 could not be revoked and are kept" in err
    (ending,) = json.loads(out)
    assert (ending["told"], ending["forgotten"], ending["newer"]) == ("revoked", False, True)
    (status,) = json.loads(place.run("auth", "status", "--json").out)
    assert status["kind"] == "bearer"
    ran = place.run("auth", "logout", "acme")
    assert (ran.code, "forgotten here, but not revoked" in ran.err) == (0, True)
