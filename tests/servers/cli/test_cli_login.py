"""`clew auth login` against Acme's own OAuth server, the person played by an HTTP client."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import httpx

Place = Any
Sandbox = Any
Remember = Callable[["subprocess.Popen[str]"], "subprocess.Popen[str]"]


def decide(url: str, *, approve: bool = True) -> str:
    """Answer the consent page and follow its redirect to clew; the address it ended on."""
    address, _, query = url.partition("?")
    form = dict(urllib.parse.parse_qsl(query)) | {"approve": "1" if approve else "0"}
    with urllib.request.urlopen(address, urllib.parse.urlencode(form).encode()) as page:
        return str(page.url)


def address_from(login: "subprocess.Popen[str]") -> str:
    assert login.stderr is not None
    for line in login.stderr:
        if line.startswith("http"):
            return line.strip()
    raise AssertionError("no address was printed")


def test_a_login_is_stored_under_the_providers_name(place: Place, acme: Sandbox, processes: Remember) -> None:
    login = processes(place.start("auth", "login", "acme", "--no-browser", "--json"))
    decide(address_from(login))
    out, err = login.communicate(timeout=20)
    assert login.returncode == 0, err
    assert json.loads(out)["account"] == "ada@acme.example"
    (status,) = json.loads(place.run("auth", "status", "--json").out)
    assert (status["kind"], status["state"], status["identity"]) == ("oauth2", "ready", "ada@acme.example")
    assert place.run("call", "acme", "list_tickets").code == 0


def test_only_the_scopes_asked_for_are_granted(place: Place, acme: Sandbox, processes: Remember) -> None:
    login = processes(
        place.start("auth", "login", "acme", "--no-browser", "--account", "work", "--scopes", "tickets:read")
    )
    decide(address_from(login))
    login.communicate(timeout=20)
    (status,) = json.loads(place.run("auth", "status", "--json").out)
    assert (status["account"], status["scopes"]) == ("work", ["tickets:read"])


def test_a_person_who_refuses_ends_it_and_nothing_is_stored(place: Place, acme: Sandbox, processes: Remember) -> None:
    login = processes(place.start("auth", "login", "acme", "--no-browser"))
    decide(address_from(login), approve=False)
    _, err = login.communicate(timeout=20)
    assert login.returncode == 1
    assert "did not grant access" in err
    assert "Traceback" not in err
    assert json.loads(place.run("auth", "status", "--json").out) == []


def test_the_last_address_can_be_pasted(place: Place, acme: Sandbox) -> None:
    terminal = place.terminal("auth", "login", "acme", "--no-browser")
    terminal.see("paste the address")
    url = re.search(r"http://\S+/oauth/authorize\S+", terminal.seen)
    assert url is not None
    address, _, query = url[0].partition("?")
    form = dict(urllib.parse.parse_qsl(query)) | {"approve": "1"}
    answer = httpx.post(address, data=form, follow_redirects=False)
    terminal.type(answer.headers["location"])
    terminal.see("account 'ada@acme.example' is connected")
    assert terminal.end() == 0


def test_a_connector_without_a_login_says_what_to_do(place: Place) -> None:
    (place.folder / "mine.py").write_text("")
    ran = place.run("auth", "login", "gihub")
    assert (ran.code, ran.err) == (2, "clew: there is no connector 'gihub'. Did you mean 'github'?\n")
    ran = place.run("auth", "login", "acme", "--token=x")
    assert ran.code == 2
    assert "does not take this (--token)" in ran.err
