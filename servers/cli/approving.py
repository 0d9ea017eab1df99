"""`clew approvals`: what waits for a person, and the person's word."""

import asyncio
import contextlib
import sys
import time
from argparse import Namespace
from collections.abc import AsyncGenerator
from typing import Any

from clew.core.approvals import Approval, Approvals, Edit, State, Verdict, closed_to, open_approvals, refused_to
from clew.core.cautions import shown
from clew.core.errors import ConfigurationError
from clew.core.policy import Channel
from clew.servers.cli.arguments import read_arguments
from clew.servers.cli.output import Cell, duration, emit, emit_json, facts, is_terminal, table, talk
from clew.servers.cli.person import local_person
from clew.servers.cli.start import begin
from clew.servers.settings import DATABASE, Settings
from clew.servers.store import open_store


def list_approvals(arguments: Namespace) -> int:
    """What waits, the newest first."""
    settings = begin()
    found = asyncio.run(_list(settings, pending=not arguments.all))
    if arguments.json:
        emit_json([as_dict(each) for each in found])
    elif found:
        table(("ID", "ASKED", "TOOL", "ACCOUNT", "FOR", "STATE"), [_row(each) for each in found])
        talk("clew approvals show ID shows what one would do; then approve, deny, edit or done.")
    else:
        talk("Nothing waits for approval.")
    return 0


def show_approval(arguments: Namespace) -> int:
    """One approval with the object as it was fetched."""
    settings = begin()
    _show(asyncio.run(_get(settings, arguments.id)), json=arguments.json)
    return 0


def approve(arguments: Namespace) -> int:
    """Show it, ask, and record the yes."""
    return _vote(arguments, Verdict.APPROVE)


def deny(arguments: Namespace) -> int:
    """Record a no."""
    return _vote(arguments, Verdict.DENY)


def done(arguments: Namespace) -> int:
    """Record that it was done by hand."""
    return _vote(arguments, Verdict.DONE)


def edit(arguments: Namespace) -> int:
    """Fetch what other arguments would hit, show it, ask, and record the yes to those."""
    return _vote(arguments, Verdict.APPROVE, pairs=arguments.pairs)


def _vote(arguments: Namespace, verdict: Verdict, pairs: list[str] | None = None) -> int:
    settings = begin(http=pairs is not None)
    if verdict is Verdict.APPROVE and not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise ConfigurationError(
            "a yes needs a terminal and somebody at it; there is no option that says it beforehand."
        )
    approval = asyncio.run(_get(settings, arguments.id))
    closed = refused_to(approval, local_person(), Channel.CLI) or closed_to(approval, local_person())
    if closed is not None:  # before a person reads what they cannot decide
        raise closed
    changed = asyncio.run(_edited(settings, approval, pairs)) if pairs else None
    if verdict is Verdict.APPROVE:
        if changed is None and approval.edit is not None:
            talk(f"{approval.by} approved other arguments than were asked for. A yes is to these.", "")
        talk(changed[1] if changed else approval.asks.text)
        print("Approve this? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            talk("Nothing was decided.")
            return 1
    now = asyncio.run(_record(settings, approval, verdict, arguments.note, changed[0] if changed else None))
    if arguments.json:
        emit_json(as_dict(now))
    missing = now.needed - len(now.votes)
    more = f" {missing} more must agree." if now.state is State.PENDING else ""
    talk(f"{now.id}: {now.state.value.replace('_', ' ')}.{more}")
    return 0


async def _list(settings: Settings, *, pending: bool) -> list[Approval]:
    if not settings.database and not (settings.home / DATABASE).is_file():
        return []
    async with _approvals(settings) as approvals:
        return await approvals.list(pending=pending, tenant=settings.tenant or None)


async def _get(settings: Settings, id: str) -> Approval:
    async with _approvals(settings) as approvals:
        found = await approvals.get(id)
    if settings.tenant not in ("", found.question.connection.tenant):
        raise ConfigurationError(f"approval {found.id} is another tenant's.")
    return found


async def _record(
    settings: Settings, approval: Approval, verdict: Verdict, note: str, changed: Edit | None
) -> Approval:
    async with _approvals(settings) as approvals:
        return await approvals.vote(
            approval.id, verdict, approver=local_person(), channel=Channel.CLI, note=note, edit=changed,
            seen=approval.shown if verdict is Verdict.APPROVE else "",
        )  # fmt: skip


async def _edited(settings: Settings, approval: Approval, pairs: list[str]) -> tuple[Edit, str]:
    """The edit, bound to the object that the changed arguments would hit, and the question about it."""
    from clew.servers.runtime import Runtime

    where = approval.question.connection
    async with Runtime.open(settings, [where.connector], tools=[approval.question.tool]) as runtime:
        (bound,) = runtime.tools.values()
        given = dict(approval.asks.arguments)
        names = {pair.partition("=")[0] for pair in pairs}
        kept = {name: value for name, value in given.items() if name not in names}
        arguments = read_arguments(bound.tool, pairs, None, base=kept)
        question = await runtime.question(
            bound.name, arguments, account=where.account, because=approval.question.because, tenant=where.tenant
        )
    return Edit(question.arguments, question.digest, question.preview), question.text


@contextlib.asynccontextmanager
async def _approvals(settings: Settings) -> AsyncGenerator[Approvals]:
    async with open_store(settings) as store:
        yield await open_approvals(store.database, store.sealer)


def as_dict(approval: Approval) -> dict[str, Any]:
    """An approval as JSON says it."""
    question = approval.question
    return {
        "id": approval.id, "state": approval.state.value, "tool": question.tool,
        "connector": question.connection.connector, "account": question.connection.account,
        "tenant": question.connection.tenant, "because": question.because, "arguments": dict(question.arguments),
        "preview": dict(question.preview), "requester": approval.requester, "created": approval.created,
        "ends": approval.ends, "needed": approval.needed, "approvers": list(approval.approvers),
        "channels": [each.value for each in approval.channels],
        "votes": [
            {"approver": vote.approver, "verdict": vote.verdict.value, "channel": vote.channel.value, "at": vote.at,
             "note": vote.note} for vote in approval.votes
        ],
        "edited_arguments": dict(approval.edit.arguments) if approval.edit else None,
        "edited_preview": dict(approval.edit.preview) if approval.edit else None,
    }  # fmt: skip


def _row(approval: Approval) -> list[str | Cell]:
    where = approval.question.connection
    left = approval.ends - time.time()
    state: str | Cell = approval.state.value.replace("_", " ")
    if approval.state is State.PENDING:
        state = Cell(f"waits, {duration(left)} left", "yellow")
    asked = f"{duration(time.time() - approval.created)} ago"
    return [approval.id, asked, f"{where.connector} {approval.question.tool}", where.account, approval.requester, state]


def _show(approval: Approval, *, json: bool) -> None:
    if json:
        emit_json(as_dict(approval))
        return
    facts(
        [
            ("approval", approval.id),
            ("state", approval.state.value.replace("_", " ")),
            ("asked by", approval.requester),
            ("because", approval.question.because),
            ("people needed", str(approval.needed) if approval.needed > 1 else ""),
            ("approvers", ", ".join(approval.approvers)),
            *((vote.verdict.value, f"{vote.approver} {shown(vote.note)}".strip()) for vote in approval.votes),
            ("changed from", shown(dict(approval.question.arguments)) if approval.edit else ""),
        ]
    )
    emit("", *approval.asks.text.splitlines())
