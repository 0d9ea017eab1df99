"""What people call teams, states, labels, persons and projects, turned into ids. Several fit: an error."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clew import Api, errors

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FIELDS = {
    "state": ("states: WorkflowStateFilter", "workflowStates(filter: $states, first: 10) { nodes { id name } }"),
    "labels": ("labels: IssueLabelFilter", "issueLabels(filter: $labels, first: 100) { nodes { id name } }"),
    "assignee": ("users: UserFilter", "users(filter: $users, first: 10) { nodes { id displayName email } }"),
    "project": ("projects: ProjectFilter", "projects(filter: $projects, first: 10) { nodes { id name } }"),
}
_WHERE = {
    "state": "list_teams shows the states of a team.",
    "labels": "Use a label that the team or the workspace has; search_issues and get_issue show them.",
    "assignee": 'Give the e-mail address, or "me".',
    "project": "list_projects shows the projects; give the id of one.",
}


def is_id(text: str) -> bool:
    """Is it an id of Linear's, and no name?"""
    return _ID.fullmatch(text) is not None


def person(text: str) -> dict[str, Any]:
    """A filter for one person."""
    if text == "me":
        return {"isMe": {"eq": True}}
    if is_id(text):
        return {"id": {"eq": text}}
    if "@" in text:
        return {"email": {"eqIgnoreCase": text}}
    return {"or": [{"displayName": {"eqIgnoreCase": text}}, {"name": {"eqIgnoreCase": text}}]}


async def team_id(api: Api, team: str) -> str:
    """The id of the team with this key, name or id."""
    if is_id(team):
        return team
    query = "query Team($filter: TeamFilter) { teams(filter: $filter, first: 10) { nodes { id key name } } }"
    wanted = {"or": [{"key": {"eqIgnoreCase": team}}, {"name": {"eqIgnoreCase": team}}]}
    found = await api.graphql(query, into=list[dict[str, Any]], at="teams.nodes", variables={"filter": wanted})
    keyed = [each for each in found if str(each.get("key")).casefold() == team.casefold()]
    return _one("team", keyed or found, "list_teams shows the teams.")


async def ids_of(
    api: Api,
    team: str,
    *,
    state: str | None,
    assignee: str | None,
    project: str | None,
    labels: Sequence[str],
) -> dict[str, Any]:
    """The ids of what is called so in the team: `state`, `assignee` and `project` one each, `labels` by name."""
    plain = {"state": state, "assignee": assignee, "project": project}
    found: dict[str, Any] = {name: text for name, text in plain.items() if text is not None and is_id(text)}
    found["labels"] = {label: label for label in labels if is_id(label)}
    filters = _filters(team, {name: text for name, text in plain.items() if text is not None and name not in found})
    unknown = [label for label in labels if not is_id(label)]
    if unknown:
        named = {"or": [{"name": {"eqIgnoreCase": label}} for label in unknown]}
        filters["labels"] = {"and": [named, {"or": [{"team": {"id": {"eq": team}}}, {"team": {"null": True}}]}]}
    if not filters:
        return found
    variables = ", ".join(f"${_FIELDS[name][0]}" for name in filters)
    query = f"query Names({variables}) {{ {' '.join(_FIELDS[name][1] for name in filters)} }}"
    given = {_FIELDS[name][0].partition(":")[0]: wanted for name, wanted in filters.items()}
    # One request for all of them: their answers stand side by side, so there is no one place to map.
    answer = await api.post("/graphql", json={"query": query, "variables": given}, at="data", safe=True)
    for name in filters:
        nodes = answer[_FIELDS[name][1].partition("(")[0]]["nodes"]
        if name != "labels":
            found[name] = _one(name, nodes, _WHERE[name])
            continue
        for label in unknown:
            same = [each for each in nodes if str(each.get("name")).casefold() == label.casefold()]
            found["labels"][label] = _one("labels", same, _WHERE["labels"])
    return found


def _filters(team: str, names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in names.items():
        if name == "state":
            found[name] = {"name": {"eqIgnoreCase": text}, "team": {"id": {"eq": team}}}
        else:
            found[name] = person(text) if name == "assignee" else {"name": {"eqIgnoreCase": text}}
    return found


def _one(field: str, found: Sequence[Mapping[str, Any]], where: str) -> str:
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        raise errors.InvalidInputError(
            f"there is no such {field} in this workspace.", fields={field: "does not exist"}, next_step=where
        )
    several = ", ".join(f"{each.get('email') or each.get('name')} ({each['id']})" for each in found[:5])
    raise errors.InvalidInputError(
        f"several fit this {field}; nothing was changed.",
        fields={field: f"fits {errors.quote(several)}"},
        next_step=f"Ask the person which one is meant, and give its id. {where}",
    )
