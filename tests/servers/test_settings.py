"""Where settings come from and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from clew.core.errors import ConfigurationError
from clew.servers import settings as module
from clew.servers.settings import VARIABLES, load_settings, searched_files


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, which is not there yet."""
    path = tmp_path / "user" / "clew.toml"
    path.parent.mkdir()
    monkeypatch.setattr(module, "user_file", lambda: path)
    return path


def project(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    (folder / "clew.toml").write_text(text)
    return folder


def test_without_any_source_there_are_defaults(tmp_path: Path) -> None:
    settings = load_settings({}, tmp_path)
    assert (settings.deadline, settings.read_only, settings.tools, settings.files) == (60.0, False, (), ())
    assert settings.sources == {}


def test_the_nearer_source_wins(tmp_path: Path, user: Path) -> None:
    user.write_text("deadline = 10\nread_only = false\nlog_level = 'error'\n")
    folder = project(tmp_path, "deadline = 20\nread_only = true\n")
    settings = load_settings({"CLEW_DEADLINE": "30"}, folder)
    assert (settings.deadline, settings.read_only, settings.log_level) == (30.0, True, "error")
    file = str(folder / "clew.toml")
    assert settings.sources == {"deadline": "CLEW_DEADLINE", "read_only": file, "log_level": str(user)}
    assert settings.files == (user, folder / "clew.toml")


@pytest.mark.parametrize("line", ["home = 'here'", "database = 'x.db'", "key_provider = 'file'", "rotate = ['data']"])
def test_a_project_cannot_say_where_secrets_lie(tmp_path: Path, user: Path, line: str) -> None:
    folder = project(tmp_path, line)
    with pytest.raises(ConfigurationError, match=r"clew.toml: \w+ cannot be set by a project, only in .*CLEW_"):
        load_settings({}, folder)
    user.write_text(line)
    (folder / "clew.toml").unlink()
    load_settings({}, folder)
    named = tmp_path / "named.toml"
    named.write_text(line)
    load_settings({"CLEW_CONFIG": str(named)}, folder)


def test_a_project_cannot_take_read_only_back(tmp_path: Path, user: Path) -> None:
    user.write_text("read_only = true\n")
    with pytest.raises(ConfigurationError, match="a project cannot take it back"):
        load_settings({}, project(tmp_path, "read_only = false\n"))


def test_files_add_to_one_another_connector_by_connector(tmp_path: Path, user: Path) -> None:
    user.write_text("[connectors.github]\naccount = 'work'\nbase_url = 'https://a.example'\n")
    folder = project(
        tmp_path, "[connectors.github]\nbase_url = 'https://b.example'\n[connectors.acme]\naccount = 'x'\n"
    )
    settings = load_settings({}, folder)
    assert (settings.of("github").account, settings.of("github").base_url) == ("work", "https://b.example")
    assert settings.of("acme").account == "x"
    assert settings.sources["connectors.github.account"] == str(user)
    assert settings.sources["connectors.github.base_url"] == str(folder / "clew.toml")


def test_a_named_file_replaces_both(tmp_path: Path, user: Path) -> None:
    user.write_text("deadline = 10\n")
    named = tmp_path / "other.toml"
    named.write_text("log_level = 'info'\n")
    environment = {"CLEW_CONFIG": str(named)}
    settings = load_settings(environment, project(tmp_path, "deadline = 20\n"))
    assert (settings.deadline, settings.log_level) == (60.0, "info")
    assert searched_files(environment) == [named]


def test_a_connector_nobody_configured_has_empty_settings(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path).of("github").base_url == ""


@pytest.mark.parametrize(
    ("variable", "value", "setting"),
    [
        ("CLEW_TOOLS", "a, b ,", ("a", "b")),
        ("CLEW_READ_ONLY", "Yes", True),
        ("CLEW_READ_ONLY", "0", False),
        ("CLEW_HOME", "/somewhere", Path("/somewhere")),
        ("CLEW_KEY_PROVIDER", "env", "env"),
        ("CLEW_LOG_LEVEL", "debug", "debug"),
    ],
)
def test_a_variable_is_read_as_its_setting_wants(tmp_path: Path, variable: str, value: str, setting: Any) -> None:
    settings = load_settings({variable: value}, tmp_path)
    assert getattr(settings, variable.removeprefix("CLEW_").lower()) == setting
    assert variable in VARIABLES


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    assert load_settings({"CLEW_DEADLINE": ""}, tmp_path).deadline == 60.0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("deadlin = 1", "there is no setting 'deadlin'. Did you mean 'deadline'?"),
        ("sources = 1", "there is no setting 'sources'"),
        ("files = []", "there is no setting 'files'"),
        ("zzz = 1", "There are: home, database"),
        ("deadline = true", "deadline must be a number of seconds"),
        ("deadline = nan", "deadline must be a number of seconds"),
        ("deadline = 601", "deadline must be a number of seconds"),
        ("read_only = 'maybe'", "read_only must be true or false"),
        ("tools = [1]", "tools must be a list of names"),
        ("home = 3", "home must be a text"),
        ("home = '~nobody-of-this-name/x'", "names a user that does not exist"),
        ("key_provider = 'vault'", "key_provider must be one of auto, keyring, file, env"),
        ("log_level = ['info']", "log_level must be one of"),
        ("connectors = 3", "connectors must be tables like"),
        ("connectors.acme = 3", "connectors.acme must be a table"),
        ("connectors.acme.url = 'x'", "there is no setting 'url'"),
        ("connectors.acme.account = 3", "account must be a text"),
        ("connectors.acme.base_url = 'ftp://x'", "base_url must be an http\\(s\\) address"),
        ("deadline = ", "is not valid TOML"),
    ],
)
def test_what_is_not_understood_names_the_file(tmp_path: Path, text: str, why: str) -> None:
    folder = project(tmp_path, text)
    with pytest.raises(ConfigurationError, match=why) as caught:
        load_settings({}, folder)
    assert str(folder / "clew.toml") in str(caught.value)


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CLEW_DEADLINE: deadline must be"):
        load_settings({"CLEW_DEADLINE": "soon"}, tmp_path)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    folder = project(tmp_path, "")
    (folder / "clew.toml").write_bytes(b"home = '\xff'")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        load_settings({}, folder)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path, "")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ConfigurationError, match=r"clew\.toml cannot be read: Permission denied"):
        load_settings({}, folder)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="which is not a file"):
        load_settings({"CLEW_CONFIG": str(tmp_path)}, tmp_path)


def test_a_working_directory_that_is_gone_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load_settings({}).files == ()
