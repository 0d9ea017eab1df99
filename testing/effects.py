"""What a tool says it does to the world: its verb, its door, its rights, and what helps against doing it twice."""

import inspect

from clew.core.connector import Effect, Tool
from clew.core.once import Marker
from clew.core.schema import Signature
from clew.testing.kit import Finding, Seen, Subject


def words(text: str) -> frozenset[str]:
    """Words that stand in one text."""
    return frozenset(text.split())


READING = words(
    "get list search find read count check describe query fetch show lookup preview view compare download export "
    "watch wait resolve validate explain summarize estimate"
)
ENDING = words("delete destroy purge erase wipe")
"""Verbs for what cannot be taken back, whatever the object."""
CHANGING = words(
    "create add update set edit change rename move copy send post reply forward schedule upload import attach link "
    "assign unassign open close reopen complete resolve archive unarchive restore publish approve reject accept "
    "decline invite share subscribe unsubscribe enable disable start stop pause resume retry run trigger cancel "
    "remove merge split pay charge refund capture void finalize issue transfer convert sync append insert replace "
    "upsert mark pin unpin react label tag comment follow unfollow join leave log record submit apply acknowledge "
    "escalate snooze rotate reset verify confirm draft save put write patch transition book reserve register "
    "deactivate activate release deploy revert lock unlock execute process note"
)


async def effects_fit_verbs(subject: Subject) -> Seen:
    """A tool called `get_…` reads, one called `delete_…` is destructive; previews are reads with its parameters."""
    seen = Seen()
    for tool in subject.tools:
        seen.count += 1
        verb, where = tool.name.partition("_")[0], subject.at(tool)
        reads = tool.effect is Effect.READ
        if verb in READING - CHANGING and not reads:
            fix = "Declare it with @….read, or call it what it does."
            seen.findings.append(Finding(f"{tool.name} sounds like a read and is a {tool.effect}.", fix, where))
        elif verb in (ENDING | CHANGING) - READING and reads:
            fix = "Declare it with @….write or @….destructive, or call it what it does."
            seen.findings.append(Finding(f"{tool.name} sounds like a change and is a read.", fix, where))
        elif verb in ENDING and tool.effect is Effect.WRITE:
            fix = "Declare it with @….destructive(preview=…)."
            seen.findings.append(Finding(f"{tool.name} cannot be taken back and is a plain write.", fix, where))
        elif verb not in READING | ENDING | CHANGING and not tool.workflow:
            fix = "Begin the name with a common verb: verb_noun."
            seen.findings.append(
                Finding(f"{tool.name}: {verb!r} is no verb that is known here.", fix, where, advice=True)
            )
        _preview(subject, tool, seen)
    return seen


def _preview(subject: Subject, tool: Tool, seen: Seen) -> None:
    if tool.effect is not Effect.DESTRUCTIVE:
        return
    shown = subject.connector.tools.get(getattr(tool.preview, "__name__", ""))
    if tool.preview is None or (shown is not None and shown.effect is not Effect.READ):
        fix = "Give it preview=, a read tool that shows what it will hit."
        seen.findings.append(Finding(f"{tool.name} has no preview.", fix, subject.at(tool)))
    elif not set(Signature(tool.preview, tool.name).parameters) <= set(tool.signature.parameters):
        fix = "Give both the same parameters."
        seen.findings.append(Finding(f"{tool.name}: its preview takes what it does not.", fix, subject.at(tool)))


async def writes_are_declared(subject: Subject) -> Seen:
    """Every write has `once=`, or at least `verify=`; a mark must be looked for by whoever reads it."""
    seen = Seen()
    for tool in subject.tools:
        if tool.effect is Effect.READ or tool.workflow:
            continue
        seen.count += 1
        if tool.once is None and tool.verify is None:
            fix = "Declare once=… or verify=… (docs/writes.md); without either, a lost answer stays unknown."
            what = f"{tool.name} says nothing about doing it twice."
            seen.findings.append(Finding(what, fix, subject.at(tool), advice=True))
        read = tool.verify.read if isinstance(tool.once, Marker) and tool.verify is not None else None
        if read is not None and "marker" not in inspect.signature(read).parameters:
            fix = "Give its verify= the parameter `marker` and search for it."
            seen.findings.append(Finding(f"{tool.name} leaves a mark that nobody looks for.", fix, subject.at(tool)))
    return seen


async def scopes_are_declared(subject: Subject) -> Seen:
    """Where a login asks for scopes, each tool is covered: by its own, or by those the connector always asks for."""
    seen = Seen()
    for scheme in subject.connector.schemes:
        if scheme.kind != "oauth2" or subject.connector.base_url.startswith("mail:"):
            continue  # a mailbox has one right for everything
        if not getattr(scheme, "scope_separator", " "):
            continue  # and some providers know no scopes
        base = set(getattr(scheme, "scopes", ()))
        for tool in subject.tools:
            seen.count += 1
            own = set(tool.asks)
            if not base and not own:
                fix = "Give it scopes=, or the scheme those that every tool needs."
                seen.findings.append(Finding(f"{tool.name} names no right that it needs.", fix, subject.at(tool)))
            if own and own <= base:
                fix = "Leave them to one of the two."
                what = f"{tool.name} asks for {', '.join(sorted(own))}, which the connector always asks for."
                seen.findings.append(Finding(what, fix, subject.at(tool), advice=True))
    return seen
