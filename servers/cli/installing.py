"""`clew install` and `clew uninstall`: connectors in and out of the configuration of agent hosts."""

import asyncio
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clew.core.errors import ConfigurationError
from clew.servers.cli.output import Cell, emit, emit_json, facts, talk
from clew.servers.cli.output import table as print_table
from clew.servers.cli.start import begin, check_name, stored_name
from clew.servers.hosts import catalog, documents, entries, files
from clew.servers.hosts.catalog import Host
from clew.servers.hosts.entries import Launch

Row = dict[str, Any]


def install(arguments: Namespace) -> int:
    """Write entries, print them, or check what is there; without names list the hosts."""
    begin(tenant=arguments.tenant)
    if not arguments.names and not arguments.all_detected:
        return _list(arguments)
    hosts, names = _hosts(arguments)
    if not names and not arguments.check:
        raise ConfigurationError(f"say which connectors: clew install {hosts[0].name} github. See: clew list")
    launches = _launches(arguments, names)
    if arguments.show or arguments.link:
        return _print(hosts, launches, arguments)
    rows = [_written(host, launches, arguments) for host in hosts] if launches else []
    rows = rows or [_row(host, arguments) for host in hosts]
    if arguments.check and not arguments.dry_run:
        asyncio.run(_check(rows))
    if arguments.json:
        emit_json([{key: value for key, value in row.items() if key != "host"} for row in rows])
    else:
        for row in rows:
            _say(row)
        _hints(rows, launches, arguments.tenant)
    return 0 if all(row["ok"] for row in rows) else 1


def uninstall(arguments: Namespace) -> int:
    """Take entries out."""
    begin()
    hosts, names = _hosts(arguments)
    if not names and not arguments.all:
        raise ConfigurationError(f"say which connectors, or --all: clew uninstall {hosts[0].name} github")
    rows = [_removed(host, names, arguments) for host in hosts]
    if arguments.json:
        emit_json([{key: value for key, value in row.items() if key != "host"} for row in rows])
    else:
        for row in rows:
            _say(row)
    return 0 if all(row["ok"] for row in rows) else 1


def _hosts(arguments: Namespace) -> tuple[list[Host], list[str]]:
    if arguments.all_detected:
        hosts = [host for host in catalog.detected() if arguments.project is None or host.project]
        if not hosts:
            raise ConfigurationError("no host was found here. Name one: clew install cursor github")
        return hosts, list(arguments.names)
    if not arguments.names:
        raise ConfigurationError("say which host. See: clew install")
    return [catalog.named(arguments.names[0])], list(arguments.names[1:])


def _launches(arguments: Namespace, names: list[str]) -> list[Launch]:
    for name in names:
        check_name(name)
    known = [stored_name(name) or name for name in names]
    if arguments.url:
        if not arguments.url.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
            raise ConfigurationError("--url takes an https address, or http on this machine.")
        if len(names) != 1 and not arguments.alias:
            raise ConfigurationError("one address is one server: name one connector, or give --as NAME.")
        return [Launch(arguments.alias or known[0], url=arguments.url)]
    options = [
        *(["--read-only"] if arguments.read_only else []),
        *(["--allow-writes"] if arguments.allow_writes else []),
        *(["--discover"] if arguments.discover else []),
        *(["--tools", arguments.tools] if arguments.tools else []),
        *(["--account", arguments.account] if arguments.account else []),
        *(["--tenant", arguments.tenant] if arguments.tenant else []),
    ]
    words = [str(Path(name).absolute()) if name.endswith(".py") else name for name in names]
    groups = [(arguments.alias, words)] if arguments.alias else [(n, [w]) for n, w in zip(known, words, strict=True)]
    command, env = entries.program(), entries.carried()
    return [Launch(name, command, ("serve", *each, *options), env) for name, each in groups if each]


def _row(host: Host, arguments: Namespace) -> Row:
    folder = Path(arguments.project).absolute() if arguments.project is not None else None
    return {
        "host": host,
        "name": host.name,
        "file": str(host.path(folder)),
        "ok": True,
        "changed": False,
        "entries": [],
    }


def _written(host: Host, launches: list[Launch], arguments: Namespace) -> Row:
    row, did = _row(host, arguments), list[Row]()
    try:
        path = Path(row["file"])
        for launch in launches:
            if launch.url and not host.remote:
                raise ConfigurationError(
                    f"{host.title} takes no address in its file: Settings, Connectors, Add custom connector."
                )

        def edit(text: str) -> str:
            there = documents.entries(text, host.form, host.place)
            did.clear()
            for launch in launches:
                entry, old = host.shape(launch), there.get(launch.name)
                if old is not None and not arguments.replace and not entries.is_ours(old) and old != entry:
                    raise ConfigurationError(
                        f"{host.title} has an entry {launch.name!r} that is not clew's. "
                        "Give this one another name with --as, or --replace that one."
                    )
                did.append({"server": launch.name, "did": _did(old, entry), "entry": entry})
                if old != entry:
                    text = documents.put(text, host.form, host.place, launch.name, entry)
            return text

        return row | _apply(path, edit, arguments) | {"entries": did}
    except ConfigurationError as error:
        return _failed(row, error)


def _removed(host: Host, names: list[str], arguments: Namespace) -> Row:
    row = _row(host, arguments)

    def edit(text: str) -> str:
        there = documents.entries(text, host.form, host.place)
        ours = [name for name, entry in there.items() if entries.is_ours(entry)]
        foreign = [name for name in names if name in there and name not in ours]
        if foreign:
            raise ConfigurationError(f"the entry {foreign[0]!r} of {host.title} is not clew's; it was left alone.")
        gone = ours if arguments.all else [name for name in names if name in ours]
        row["entries"] = [{"server": name, "did": "removed"} for name in gone]
        row["entries"] += [{"server": name, "did": "was not there"} for name in names if name not in there]
        for name in gone:
            text = documents.drop(text, host.form, host.place, name)
        return text

    try:
        return row | _apply(Path(row["file"]), edit, arguments) | {"entries": row["entries"]}
    except ConfigurationError as error:
        return _failed(row, error)


def _apply(path: Path, edit: Any, arguments: Namespace) -> Row:
    if arguments.dry_run:
        text = files.read(path)
        return {"changed": edit(text) != text, "dry_run": True}
    written = files.change(path, edit)
    return {"changed": written.changed, "backup": str(written.backup) if written.backup else None}


def _failed(row: Row, error: ConfigurationError) -> Row:
    if str(error).startswith("it "):
        error = ConfigurationError(f"{row['file']}: {error}. It was left as it is; --print shows the entry.")
    return row | {"ok": False, "error": str(error), "entries": []}


def _did(old: Any, new: Any) -> str:
    return "added" if old is None else "unchanged" if old == new else "changed"


def _print(hosts: list[Host], launches: list[Launch], arguments: Namespace) -> int:
    shown: list[Row] = []
    for host in hosts:
        for launch in launches:
            if arguments.link:
                if host.link is None:
                    raise ConfigurationError(f"{host.title} has no such links; leave out --link.")
                text = host.link(launch)
            else:
                listed = host.form == "yaml" and host.place == ("mcpServers",)
                text = documents.snippet(host.form, host.place, launch.name, host.shape(launch), listed=listed)
            shown.append(
                {"name": host.name, "file": _row(host, arguments)["file"], "server": launch.name, "text": text}
            )
    if arguments.json:
        emit_json(shown)
        return 0
    for each in shown:
        talk(f"# {each['file']}")
        emit(each["text"].rstrip("\n"))
    return 0


async def _check(rows: list[Row]) -> None:
    from clew.servers.hosts import proof

    for row in rows:
        host: Host = row["host"]
        if not row["ok"]:
            continue
        there = documents.entries(files.read(Path(row["file"])), host.form, host.place)
        wanted = [each["server"] for each in row["entries"]]
        ours = {n: e for n, e in there.items() if (n in wanted if wanted else entries.is_ours(e))}
        seen = [await proof.start(name, entry) for name, entry in ours.items()]
        own = await proof.by_host(host, list(ours)) if ours else None
        row["checks"] = [asdict(each) for each in [*seen, *(own or [])]]
        row["host_check"] = "none here" if own is None else "ran"
        missing = set(ours) - {each.server for each in own} if own is not None else set[str]()
        row["checks"] += [
            asdict(proof.Seen(name, False, f"{host.title} does not show it", by=host.title)) for name in sorted(missing)
        ]
        row["ok"] = bool(ours) and all(each["ok"] for each in row["checks"])
        if not ours:
            row["error"] = f"{host.title} has no server of clew. Add one: clew install {host.name} github"


def _say(row: Row) -> None:
    host: Host = row["host"]
    emit(f"{host.title}  {row['file']}")
    for each in row["entries"]:
        entry = each.get("entry")
        words = " ".join(entries.command_of(entry)[0][1:]) or entries.address_of(entry) if entry else ""
        would = "would be " if row.get("dry_run") and each["did"] in ("added", "changed", "removed") else ""
        facts([(f"  {each['server']}", f"{would}{each['did']}{f': clew {words}' if words else ''}")])
    for check in row.get("checks", ()):
        said = [check["said"]]
        if check["tools"] is not None:
            said.append(f"{check['tools']} tools")
        if check["era"]:
            said.append(f"protocol {check['era']}")
        if check["seconds"] is not None:
            said.append(f"ready after {check['seconds']:.2f} s")
        facts([(f"  {check['server']}", f"{'ok' if check['ok'] else 'FAILED'}, {check['by']}: {', '.join(said)}")])
    if row.get("host_check") == "none here":
        facts([("  note", f"{host.title} has no check of its own that can run here; clew started each as it would.")])
    if row.get("backup"):
        facts([("  before", str(row["backup"]))])
    if row.get("error"):
        talk(f"clew: {row['error']}")
    elif row["changed"] and not row.get("dry_run") and host.after:
        facts([("  next", host.after.format(title=host.title))])


def _connect(launches: list[Launch], tenant: str | None) -> list[str]:
    """The commands that connect an account of the connectors that have none yet."""
    from clew.servers.cli.listing import entry_of

    found = {word: entry_of(word, tenant) for launch in launches for word in launch.args if not word.startswith("-")}
    return [each["detail"] for each in found.values() if each and each["state"] == "not connected"]


def _hints(rows: list[Row], launches: list[Launch], tenant: str | None) -> None:
    command = launches[0].command if launches else ""
    if command and entries.is_fleeting(command):
        talk(
            "clew: this clew stands in a cache that may be cleared; the entry would then break. Install it for good: "
            "pipx install clew"
        )
    for word in _connect(launches, tenant) if any(row["changed"] for row in rows) else ():
        talk(word[0].upper() + word[1:])
    if launches and not any("checks" in row for row in rows) and any(row["ok"] for row in rows):
        talk(f"Prove it: clew install {next(row['name'] for row in rows if row['ok'])} --check")


def _list(arguments: Namespace) -> int:
    """The hosts, whether they are here, and which servers of clew each has."""
    rows: list[Row] = []
    for host in catalog.HOSTS.values():
        if host.manual:
            rows.append(
                {
                    "host": host.name,
                    "title": host.title,
                    "here": False,
                    "file": None,
                    "servers": [],
                    "note": host.manual,
                }
            )
            continue
        path = host.path()
        row: Row = {"host": host.name, "title": host.title, "here": host.is_here(), "file": str(path), "servers": []}
        try:
            there = documents.entries(files.read(path), host.form, host.place)
            row["servers"] = [n for n, e in there.items() if entries.is_ours(e)]
        except ConfigurationError as error:
            row["note"] = str(error)
        rows.append(row)
    if arguments.json:
        emit_json(rows)
        return 0
    cells: list[list[str | Cell]] = []
    for row in rows:
        state = "here" if row["here"] else "by address" if row["file"] is None else ""
        note = Cell(row["note"], "yellow") if row.get("note") and row["file"] else (row["file"] or "")
        cells.append([row["host"], state, ", ".join(row["servers"]), note])
    print_table(("HOST", "FOUND", "SERVERS OF CLEW", "FILE"), cells)
    talk("Add one: clew install cursor github")
    return 0
