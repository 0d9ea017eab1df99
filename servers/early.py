"""The start of `clew serve`: a host's first questions are answered before anything heavy is imported.

Hosts start every server at every start, and one that is slow to list its tools is missing from the first turn. What the
real server answered to the handshake and to `tools/list` is kept in a manifest, keyed by code, versions, configuration
and command line. The next start answers from it at once, imports the real server when something else is asked or the
host has been quiet for a moment, and replays the questions into it: if its answer to `tools/list` differs now, the host
is told (`list_changed`) and the manifest is written anew (`servers.stdio`). Without a manifest, or with a damaged one,
the start is the usual one.
"""

import contextlib
import gc
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.servers.pipe import Pipe

QUIET_SECONDS = 0.3
"""How long the host may be silent after an answer before the real server is loaded all the same."""
_PATIENCE_SECONDS = 2.0
"""The same before its first word."""
KEPT = ("initialize", "server/discover", "tools/list", "ping")
"""Requests that depend on nothing but the key of the manifest; `tools/list` also on the logins, so it is checked."""
_LARGEST = 8 << 20
_SECRETS = (
    "CLEW_MASTER_KEY", "CLEW_PKCS11_PIN", "CLEW_DATABASE", "CLEW_LIMITS", "CLEW_CONSOLE_CLIENT_SECRET",
    "CLEW_HTTP_CLIENT_SECRET",
)  # fmt: skip
"""Variables that may hold one: no digest is made of them."""
_VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
_MARKS = tuple(f'"{method}"'.encode() for method in KEPT)


class Greeting:
    """The manifest, and what was answered from it."""

    def __init__(self, path: str, answers: dict[str, str]) -> None:
        self.path, self.answers = path, answers
        self.given: list[tuple[bytes, Any, str]] = []
        """The host's lines, their ids and the fingerprints of the questions; None and "" for a notification."""
        self.version = ""

    def answer(self, line: bytes) -> bytes | None:
        """The reply to a line; empty for one that needs none yet; None when only the real server can answer."""
        fingerprint, message = self.recognise(line)
        if fingerprint and fingerprint in self.answers:
            self.given.append((line, message["id"], fingerprint))
            head = f'{{"jsonrpc":"2.0","id":{json.dumps(message["id"])},"result":'
            return f"{head}{self.answers[fingerprint]}}}\n".encode()
        if self.version and b'"notifications/initialized"' in line:
            self.given.append((line, None, ""))
            return b""
        return None

    def recognise(self, line: bytes) -> tuple[str, dict[str, Any]]:
        """The fingerprint of a question whose answer may be kept, and the message; empty for all others."""
        if len(line) > 1 << 16 or not any(mark in line for mark in _MARKS):
            return "", {}
        try:
            message: dict[str, Any] = json.loads(line)
            method: str = message["method"]
            params: dict[str, Any] = message.get("params") or {}
            if method not in KEPT or not isinstance(message["id"], int | str) or isinstance(message["id"], bool):
                return "", {}
            meta: dict[str, Any] = params.get("_meta") or {}
            modern = meta.get(_VERSION_KEY)
            if method == "initialize":
                shape = sorted(key for key in params if key != "_meta")
                self.version = version = str(params["protocolVersion"])
            else:
                shape = sorted(key for key in meta if key != "progressToken") if set(params) <= {"_meta"} else []
                version = str(modern or self.version)
                if not version or (params and set(params) != {"_meta"}):
                    return "", {}
            return json.dumps([method, version, modern is not None, shape]), message
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return "", {}


taken: "Pipe | None" = None
"""The pipe that is open already, when this process was started by a host and answered it."""
greeting: Greeting | None = None
"""The manifest of this process, empty or not, when it was started by a host."""


def main() -> int:
    """The program `clew`."""
    gc.disable()  # a start makes a hundred thousand things and throws none away: looking for those costs a tenth of it
    if _is_for_a_host(sys.argv[1:]) and not _greet():
        return 0
    from clew.servers.cli import main as run

    if sys.argv[1:2] != ["serve"]:
        settle()
    return run()


def settle() -> None:
    """The start is over: the collector works again, and looks only at what comes from now on."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def _is_for_a_host(words: list[str]) -> bool:
    if words[:1] != ["serve"] or os.name != "posix" or os.environ.get("CLEW_EARLY_START") == "0":
        return False
    if None in (sys.stdin, sys.stdout, sys.stderr) or sys.stdin.isatty():
        return False
    return not any(word.startswith(("--http", "-h", "--he", "--json")) for word in words)


def _greet() -> bool:
    """Answer from the manifest until the real server is needed. False when the host went away before that."""
    global taken, greeting  # noqa: PLW0603 - one process, one pipe
    greeting = load(sys.argv[2:])
    if not greeting.answers:
        return True
    from clew.servers.pipe import Pipe

    taken = pipe = Pipe(greeting.answer)
    seen = -1
    with pipe.changed:
        while not pipe.waiting and seen != len(greeting.given):
            seen = len(greeting.given)
            pipe.changed.wait(QUIET_SECONDS if seen else _PATIENCE_SECONDS)
        return not (pipe.waiting and pipe.waiting[0] is None)


def load(words: list[str]) -> Greeting:
    """The manifest of this command line; without answers when there is none that can be used."""
    path = os.path.join(_folder(), f"{_key(words)}.json")  # noqa: PTH118 - pathlib costs 10 ms here
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            if os.fstat(stream.fileno()).st_uid != os.getuid():
                return Greeting(path, {})
            found = json.loads(stream.read(_LARGEST))
        if not all(
            isinstance(key, str) and isinstance(found[key], str) and json.loads(found[key]) is not None for key in found
        ):
            return Greeting(path, {})
        return Greeting(path, dict(found))
    except (OSError, ValueError, TypeError, RecursionError):
        return Greeting(path, {})


def save(greeting: Greeting) -> None:
    """Keep what the real server answered; a folder that cannot be written only makes the next start slower."""
    draft = f"{greeting.path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(greeting.path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:  # noqa: PTH123
            json.dump(greeting.answers, stream)
        os.replace(draft, greeting.path)  # noqa: PTH105


def _folder() -> str:
    home = os.environ.get("CLEW_HOME")
    if home:
        return os.path.join(home, "starts")  # noqa: PTH118
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return os.path.join(cache, "clew", "starts")  # noqa: PTH118


def _key(words: list[str]) -> str:
    """A digest of all that the answers depend on, as far as it can be had in a few milliseconds."""
    import hashlib

    digest = hashlib.sha256()
    environment = [
        f"{name}={value}" for name, value in sorted(os.environ.items())
        if name.startswith("CLEW_") and name not in _SECRETS
    ]  # fmt: skip
    folder = "~/Library/Application Support" if sys.platform == "darwin" else "~/.config"
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser(folder)  # noqa: PTH111
    files = ["clew.toml", os.path.join(config, "clew", "clew.toml"), os.environ.get("CLEW_CONFIG", "")]  # noqa: PTH118
    files += [word.removeprefix("openapi:").removeprefix("graphql:").removeprefix("soap:") for word in words]
    packages = [folder for folder in sys.path if folder.endswith("site-packages")]
    # Hosts start a server in whatever project is open: the folder counts only where something in it may be read.
    place = os.getcwd() if os.path.exists(files[0]) or any(map(_is_path, files[2:])) else ""  # noqa: PTH109, PTH110
    facts = [sys.version, sys.executable, place, *words, *environment]
    facts += [_stamp(path) for path in (*files, *packages)]
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    for root in (here, *(os.path.join(here, "..", name) for name in ("core", "auth", "connectors"))):  # noqa: PTH118
        facts += _stamps(root)
    digest.update("\0".join(facts).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _is_path(word: str) -> bool:
    """May it name something in the working directory? A connector's name and an option do not."""
    plain = not word or word.replace("-", "").replace("_", "").replace(",", "").isalnum()
    return not os.path.isabs(word) and (not plain or os.path.exists(word))  # noqa: PTH110, PTH117


def _stamp(path: str) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return f"{path}:none"
    return f"{path}:{found.st_mtime_ns}:{found.st_size}"


def _stamps(root: str) -> list[str]:
    """Every module below a folder, by time and size."""
    found: list[str] = []
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in ("__pycache__", "sandbox"):
                    found += _stamps(entry.path)
            elif entry.name.endswith((".py", ".json")):
                status = entry.stat()
                found.append(f"{entry.name}:{status.st_mtime_ns}:{status.st_size}")
    return sorted(found)
