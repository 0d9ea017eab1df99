"""The program itself: help, exit codes, pipes; and the commands about this installation."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from clew import __version__
from clew.servers.cli import line, parser

Place = Any
Sandbox = Any
Remember = Callable[["subprocess.Popen[str]"], "subprocess.Popen[str]"]

HEAVY = ("mcp", "httpx", "httpx2", "starlette", "uvicorn", "authlib", "shtab", "keyring")


def commands(tree: Any, *before: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, each in line.subcommands(tree).items():
        found += commands(each, *before, name) or [(*before, name)]
    return found


def test_clew_alone_prints_its_help(place: Place) -> None:
    ran = place.run()
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == place.run("--help").out == place.run("help").out
    assert "clew demo" in ran.out


@pytest.mark.parametrize("words", commands(parser.build()), ids=" ".join)
def test_every_command_has_an_example_in_its_help(place: Place, words: tuple[str, ...]) -> None:
    ran = place.run(*words, "--help")
    assert ran.code == 0
    assert f"  clew {' '.join(words)}" in ran.out.partition("example")[2].replace('eval "$(', "  ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("lst",), "clew has no command 'lst'. Did you mean list or stats?"),
        (("auth", "lgin"), "clew auth has no command 'lgin'. Did you mean login?"),
        (("zzz",), "clew has no command 'zzz'. There are: list, show"),
        (("--nonsense",), "unrecognised arguments: --nonsense. See: clew --help"),
        (("auth", "--nonsense"), "unrecognised arguments: --nonsense. See: clew auth --help"),
        (("auth", "status", "--nonsense"), "unrecognised arguments: --nonsense. See: clew auth --help"),
        (("list", "--js"), "unrecognised arguments: --js"),
    ],
)
def test_a_wrong_word_is_one_sentence(place: Place, words: tuple[str, ...], why: str) -> None:
    ran = place.run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("words", [("list",), ("auth", "status"), ("config",), ("version",)], ids=" ".join)
def test_a_command_that_does_no_http_imports_no_http(place: Place, connected: Sandbox, words: tuple[str, ...]) -> None:
    report = (
        f"import sys; from clew.servers.cli import main; main({words!r}); "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout
    assert done.stderr.splitlines()[-1].split() == []


def test_nobody_reading_the_output_is_quiet(place: Place) -> None:
    script = f"{sys.executable} -m clew.servers.cli show acme --json | head -c 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == ("{", "")


def test_a_fault_of_ours_is_one_line_with_its_type(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("with details nobody should see")

    monkeypatch.setattr("clew.servers.cli.about.platform.python_version", fail)
    ran = place.run("version")
    assert ran.code == 1
    assert ran.err.startswith("clew: this is a fault of ours (ZeroDivisionError).")
    assert "details" not in ran.err


def test_the_traceback_is_there_at_debug(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEW_LOG_LEVEL", "debug")
    script = "import platform, clew.servers.cli as cli; platform.python_version = None; cli.main(['version'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert "Traceback" in done.stderr
    assert "(TypeError)" in done.stderr


def test_version_is_one_word_for_scripts(place: Place) -> None:
    ran = place.run("version")
    assert ran.out == f"clew {__version__}\n"
    assert json.loads(place.run("version", "--json").out)["clew"] == __version__
    assert place.run("--version").out == ran.out


def test_config_names_the_source_of_every_value(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.configure('deadline = 30\n[connectors.acme]\naccount = "work"\n')
    monkeypatch.setenv("CLEW_READ_ONLY", "true")
    monkeypatch.setenv("CLEW_DEADLNE", "9")
    ran = place.run("config", "--json")
    shown = json.loads(ran.out)
    settings = {each["name"]: (each["value"], each["from"]) for each in shown["settings"]}
    file = str(place.folder / "clew.toml")
    assert settings["deadline"] == (30.0, file)
    assert settings["read_only"] == (True, "CLEW_READ_ONLY")
    assert settings["connectors.acme.account"] == ("work", file)
    assert settings["log_level"] == ("warning", "default")
    assert {each["file"]: each["read"] for each in shown["files"]}[file] is True
    assert "CLEW_DEADLNE" in ran.err
    assert "CLEW_READ_ONLY" in place.run("config").out


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("deadlin = 3\n", "there is no setting 'deadlin'. Did you mean 'deadline'?"),
        ("deadline = \n", "is not valid TOML"),
        ("deadline = 0\n", "deadline must be a number of seconds from 1 to 600"),
        (
            "[connectors.acme]\nbaseurl = 'x'\n",
            "connectors.acme: there is no setting 'baseurl'. Did you mean 'base_url'?",
        ),
    ],
)
@pytest.mark.parametrize("command", [("list",), ("serve", "acme"), ("auth", "status"), ("config",)], ids=" ".join)
def test_a_typo_in_the_configuration_is_one_sentence(
    place: Place, command: tuple[str, ...], text: str, why: str
) -> None:
    place.configure(text)
    ran = place.run(*command)
    assert (ran.code, ran.out) == (2, "")
    assert "clew.toml" in ran.err
    assert why in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("shell", parser.SHELLS)
def test_a_completion_script_asks_us_for_names(place: Place, shell: str) -> None:
    shtab = pytest.importorskip("shtab")
    ran = place.run("completion", shell)
    if shell not in shtab.SUPPORTED_SHELLS:
        assert f"makes no script for {shell}" in ran.err
        return
    assert ran.code == 0
    assert "clew completion --words" in ran.out
    assert "--words WORDS" not in ran.out


def test_completion_in_bash_offers_commands_connectors_and_tools(place: Place) -> None:
    ran = place.run("completion", "bash")
    (place.folder / "clew").write_text(f'#!/bin/sh\nexec {sys.executable} -m clew.servers.cli "$@"\n')
    (place.folder / "clew").chmod(0o755)
    (place.folder / "clew.bash").write_text(ran.out)
    asked = """
        PATH="$PWD:$PATH"; source ./clew.bash
        ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shtab_clew; echo "${COMPREPLY[@]}"; }
        ask clew lis; ask clew show ac; ask clew call acme get_; ask clew auth st
    """
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split("\n")[:4] == ["list", "acme", "get_contact", "status"], done.stderr


def test_completion_without_a_shell_says_which_there_are(place: Place) -> None:
    ran = place.run("completion")
    assert (ran.code, ran.err) == (2, "clew: say which shell: clew completion bash | zsh | tcsh | fish\n")


def test_words_for_a_connector_that_does_not_exist_are_none(place: Place) -> None:
    ran = place.run("completion", "--words", "tools:nope")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_the_sandbox_says_where_it_is_and_ends_at_a_signal(place: Place, processes: Remember) -> None:
    acme = processes(place.start("sandbox", "--port", "0", "--set", "rate_limit=7", "--json"))
    assert acme.stdout is not None
    said = json.loads(acme.stdout.readline())
    place.configure(f'[connectors.acme]\nbase_url = "{said["url"]}"\n')
    assert place.run("auth", "set", "acme", stdin=said["token"]).code == 0
    acme.send_signal(signal.SIGTERM)
    _, err = acme.communicate(timeout=20)
    assert acme.returncode == 0
    assert f"echo {said['token']} | clew auth set acme" in err
    assert f'base_url = "{said["url"]}"' in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--set", "rate_limt=7"), "write NAME=VALUE, with NAME one of access_token_seconds"),
        (("--set", "rate_limit=0"), "rate_limit and rate_window_seconds must be positive"),
        (("--port", "70000"), "--port must be from 0 to 65535"),
        (("--port", "x"), "invalid int value"),
    ],
)
def test_a_sandbox_that_cannot_be_is_one_sentence(place: Place, words: tuple[str, ...], why: str) -> None:
    ran = place.run("sandbox", *words)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err


def test_a_port_of_the_sandbox_in_use_is_one_sentence(place: Place, sandbox: Sandbox) -> None:
    ran = place.run("sandbox", "--port", sandbox.url.rpartition(":")[2])
    assert ran.code == 2
    assert "Address already in use" in ran.err


def test_ctrl_c_ends_the_sandbox_with_130(place: Place, processes: Remember) -> None:
    acme = processes(place.start("sandbox", "--port", "0"))
    assert acme.stdout is not None
    assert acme.stdout.readline().startswith("http://127.0.0.1:")
    acme.send_signal(signal.SIGINT)
    _, err = acme.communicate(timeout=20)
    assert acme.returncode == 130
    assert "Traceback" not in err


@pytest.mark.slow
def test_listing_is_fast(place: Place) -> None:
    def seconds() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "clew.servers.cli", "list"], capture_output=True, check=True)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(7)) < 0.5
