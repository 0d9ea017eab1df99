"""What Jira's refusals mean. It has no codes: sentences in `errorMessages`, and in `errors` one for each field.

Sources: those of `clew.connectors.atlassian`, whose rules stand behind these; the sentences about archived issues,
service projects and unbounded searches: (memory).
"""

import re
from dataclasses import replace
from typing import Any, cast

from clew import Response, Rule, Verdict
from clew.connectors.atlassian import ERRORS as SHARED

from .texts import look

_ARGUMENTS = {
    "issuetype": "issue_type",
    "duedate": "due_date",
    "jql": "jql",
    "comment": "text",
    "transition": "transition",
}
_NEXT = {
    "project": "list_projects shows the projects of this account.",
    "issuetype": "get_project shows the issue types of the project.",
    "assignee": "search_assignees finds who can be assigned.",
    "reporter": "search_assignees finds people.",
    "parent": "Pass the key of an issue that can have this type below it.",
}

OWN = (
    Rule(
        code="conflict",
        status=(400, 403, 404, 405, 409),
        text=r"\barchived\b",
        message="the issue or its project is archived at {provider}; nothing in it can change.",
        next_step="Tell the person: a Jira administrator can restore it.",
    ),
    Rule(
        code="invalid_input",
        status=400,
        text="unbounded JQL",
        message="{provider} wants a search to be limited.",
        next_step="Add a restriction to the JQL, such as project = ABC or updated >= -30d.",
    ),
    Rule(
        code="invalid_input",
        status=400,
        text=r"does not exist for the field 'project'",
        message="{provider} knows no such project, or hides it from this account.",
        next_step="list_projects shows the projects of this account.",
    ),
    Rule(
        code="invalid_input",
        status=400,
        text=r"error in the JQL query|field '[^']{0,80}' does not exist or you do not|does not exist for the field",
        message="{provider} does not understand this JQL.",
        next_step="Correct the JQL: the provider's message says where it is wrong.",
    ),
    Rule(
        code="conflict",
        status=400,
        text="illegal workflow operation|transition id '[^']{0,20}' is not valid|not valid for this issue",
        message="the issue cannot make this transition from its present status.",
        next_step="list_transitions shows its status now and the transitions that are open to it.",
    ),
    Rule(
        code="conflict",
        status=400,
        text="has subtasks and deleteSubtasks|must specify the 'deleteSubtasks'",
        message="the issue has subtasks.",
        next_step="Call with with_subtasks=true, if all of them are to be deleted as well.",
    ),
    Rule(
        code="not_found",
        status=404,
        text="issue does not exist or you do not have permission",
        message="{provider} does not know this issue, or hides it from this account.",
        next_step="Check the key with search_issues. If it is right, the person has to give the account access.",
    ),
)


def classify(response: Response) -> Verdict | None:
    """Which arguments are wrong: Jira names the fields, under their own names."""
    faults = _faults(response) if response.status == 400 else {}
    if not faults or any(rule.matches(response) for rule in (*OWN, *SHARED.rules) if rule.text):
        return None
    named = ", ".join(dict.fromkeys(_ARGUMENTS.get(name, name) for name in faults))
    step = next((_NEXT[name] for name in faults if name in _NEXT), None)
    return Verdict("invalid_input", "{provider} rejected the arguments: " + named + ".", step, fields=faults)


def _faults(response: Response) -> dict[str, str]:
    """Field and sentence of what is wrong; a name that does not look like one is not repeated."""
    found = look(response.data, "errors")
    rows = cast(dict[str, Any], found) if isinstance(found, dict) else {}
    plain = {name: str(why)[:300] for name, why in rows.items() if re.fullmatch(r"[\w.-]{1,60}", name)}
    return dict(list(plain.items())[:10])


ERRORS = replace(SHARED, rules=(*OWN, *SHARED.rules), hook=classify)
