"""The pages of approvals: what waits, what one would do, other arguments for it, and the person's word."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clew.core.approvals import Approval, Edit, State, Verdict
from clew.core.errors import ClewError, ConflictError, InvalidInputError
from clew.core.fields import as_object
from clew.core.host import Question
from clew.core.policy import Channel
from clew.core.redaction import is_secret
from clew.servers.cli.arguments import read_arguments
from clew.servers.console import view
from clew.servers.console.desk import Desk
from clew.servers.console_address import BASE

_VERDICTS = {"approve": Verdict.APPROVE, "deny": Verdict.DENY, "done": Verdict.DONE}
_DECIDED = 50
_MOST_NOTE = 2000


async def listing(request: Request) -> Response:
    """What waits for this person, and what was decided lately."""
    desk: Desk = request.state.desk
    found = await desk.shown_to(request.state.visitor)
    me = request.state.visitor.person
    waiting = [each for each in found if each.state is State.PENDING and not _voted(each, me)]
    others = [each for each in found if each.state is State.PENDING and _voted(each, me)]
    decided = [each for each in found if each.state is not State.PENDING][:_DECIDED]
    return view.page(request, "approvals.html", waiting=waiting, others=others, decided=decided)


async def waiting(request: Request) -> Response:
    """Which approvals wait, for the script that says when there are new ones."""
    found = await request.state.desk.shown_to(request.state.visitor)
    ids = [each.id for each in found if each.state is State.PENDING]
    return Response(json.dumps(ids), media_type="application/json")


async def one(request: Request) -> Response:
    """One approval with everything it would do."""
    desk: Desk = request.state.desk
    approval = await desk.approval(request.path_params["id"], request.state.visitor)
    return _shown(request, approval)


async def decide(request: Request) -> Response:
    """Record the word of the person: yes, no, or done by hand."""
    desk: Desk = request.state.desk
    form, me = request.state.form, request.state.visitor.person
    verdict = _VERDICTS.get(form.get("verdict", ""))
    if verdict is None:
        raise InvalidInputError("this form says neither yes nor no.")
    approval = await desk.approval(request.path_params["id"], request.state.visitor)
    await desk.approvals.vote(
        approval.id, verdict, approver=me, channel=Channel.CONSOLE, note=_note(form), seen=form.get("seen", "none"),
    )  # fmt: skip
    return RedirectResponse(f"{BASE}/approvals/{approval.id}", 303)


async def edit(request: Request) -> Response:
    """A form with the arguments."""
    desk: Desk = request.state.desk
    approval = await _open(desk, request)
    schema = (await desk.signature(approval)).input_schema
    return _form(request, approval, schema, {})


async def look(request: Request) -> Response:
    """What other arguments would hit, beside what was asked for."""
    desk: Desk = request.state.desk
    approval, form = await _open(desk, request), request.state.form
    try:
        question = await desk.question(approval, await _given(desk, approval, form))
    except ClewError as error:
        schema = (await desk.signature(approval)).input_schema
        return _form(request, approval, schema, form, problem=str(error))
    return _looked(request, approval, question)


async def approve_edited(request: Request) -> Response:
    """Record the yes to other arguments, if they still hit what the person saw."""
    desk: Desk = request.state.desk
    approval, form = await _open(desk, request), request.state.form
    arguments = _whole(approval, _parsed(form.get("arguments", "")))
    question = await desk.question(approval, arguments)
    if question.digest != form.get("digest"):
        return _looked(request, approval, question, problem="The object has changed since you looked. Look again.")
    await desk.approvals.vote(
        approval.id, Verdict.APPROVE, approver=request.state.visitor.person, channel=Channel.CONSOLE,
        note=_note(form), edit=Edit(question.arguments, question.digest, question.preview),
        seen=form.get("seen", "none"),
    )  # fmt: skip
    return RedirectResponse(f"{BASE}/approvals/{approval.id}", 303)


def _shown(request: Request, approval: Approval) -> Response:
    me = request.state.visitor.person
    agreed = sum(vote.verdict is Verdict.APPROVE for vote in approval.votes)
    return view.page(
        request, "approval.html", approval=approval, question=approval.asks, agreed=agreed,
        can_decide=approval.state is State.PENDING and not _voted(approval, me), voted=_voted(approval, me),
        # Once somebody has approved, everybody must approve the same.
        can_edit=agreed == 0, changes=changes(approval.question.arguments, approval.edit.arguments)
        if approval.edit else [],
    )  # fmt: skip


def _form(
    request: Request, approval: Approval, schema: Mapping[str, Any], form: Mapping[str, str], *, problem: str = ""
) -> Response:
    asked = approval.edit.arguments if approval.edit else approval.question.arguments
    fields: list[dict[str, Any]] = []
    for name, about in schema.get("properties", {}).items():
        if is_secret(name) or name == "request_id":
            continue
        now = _text(asked[name]) if name in asked else ""
        fields.append(
            {
                "name": name,
                "text": form.get(f"argument.{name}", now),
                "about": about.get("description", ""),
                "choices": about.get("enum", ()),
                "required": name in schema.get("required", ()),
                "long": len(now) > 60 or "\n" in now,
            }
        )
    status = 400 if problem else 200
    return view.page(
        request, "edit.html", status=status, approval=approval, question=approval.question, fields=fields,
        problem=problem,
    )  # fmt: skip


def _looked(request: Request, approval: Approval, question: Question, *, problem: str = "") -> Response:
    kept = {name: each for name, each in question.arguments.items() if not is_secret(name)}
    return view.page(
        request, "edited.html", status=409 if problem else 200, approval=approval, question=question, problem=problem,
        changes=changes(approval.question.arguments, question.arguments), same=question.digest == approval.digest,
        hits=changes(approval.question.preview, question.preview), arguments=json.dumps(kept),
    )  # fmt: skip


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any, str]]:
    """Name, what was, what is, and `same`, `changed`, `added` or `gone`; in the order of what was."""
    lines: list[tuple[str, Any, Any, str]] = []
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        kind = "same" if was == now else "added" if name not in before else "gone" if name not in after else "changed"
        lines.append((name, was, now, kind))
    return lines


async def _given(desk: Desk, approval: Approval, form: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a form, typed by the tool's schema. What is left empty is left out."""
    where = approval.question.connection
    asked = approval.edit.arguments if approval.edit else approval.question.arguments
    typed = {
        name.removeprefix("argument."): text.replace("\r\n", "\n")
        for name, text in form.items()
        if name.startswith("argument.") and not is_secret(name.removeprefix("argument."))
    }
    # A text that was not touched stays what it was, whatever a browser does to line ends.
    kept = {
        name: each
        for name, each in asked.items()
        if name not in typed or typed[name] == _text(each).replace("\r\n", "\n")
    }
    pairs = [f"{name}={text}" for name, text in typed.items() if name not in kept and text]
    async with desk.tool(where.connector, approval.question.tool) as (_, bound):
        return read_arguments(bound.tool, pairs, None, base=kept)


async def _open(desk: Desk, request: Request) -> Approval:
    """The approval, if this person may still change it."""
    approval = await desk.approval(request.path_params["id"], request.state.visitor)
    if approval.state is not State.PENDING or _voted(approval, request.state.visitor.person):
        raise ConflictError(f"approval {approval.id} is {view.words(approval.state.value)}.")
    return approval


def _whole(approval: Approval, given: Mapping[str, Any]) -> dict[str, Any]:
    """With the secrets that no page shows."""
    return {**{name: each for name, each in approval.question.arguments.items() if is_secret(name)}, **given}


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = as_object(json.loads(text))
    except (ValueError, RecursionError):
        found = None
    if found is None:
        raise InvalidInputError("this form has no arguments.")
    return found


def _text(found: Any) -> str:
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _note(form: Mapping[str, str]) -> str:
    return form.get("note", "").strip()[:_MOST_NOTE]


def _voted(approval: Approval, person: str) -> bool:
    return any(vote.approver == person for vote in approval.votes)
