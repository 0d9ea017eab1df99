"""Projects, what can be created in them, and who can be assigned there."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, From, Page, errors

from .provider import READ, Cursor, IssueKey, ProjectKey, jira

Archived = Annotated[bool | None, BeforeValidator(lambda archived: archived or None)]


class ProjectLine(BaseModel):
    """A project in a list."""

    key: str
    name: str
    kind: Annotated[str | None, From("projectTypeKey"), Field(description="software, business or service_desk.")] = None
    archived: Archived = None


class IssueType(BaseModel):
    """What an issue of the project can be."""

    name: str
    subtask: Annotated[bool | None, BeforeValidator(lambda subtask: subtask or None)] = None


class Project(BaseModel):
    """One project."""

    key: str
    name: str
    kind: Annotated[str | None, From("projectTypeKey"), Field(description="software, business or service_desk.")] = None
    lead: Annotated[str | None, From("lead.displayName")] = None
    description: str | None = None
    archived: Archived = None
    issue_types: Annotated[list[IssueType] | None, From("issueTypes")] = None
    components: Annotated[list[str] | None, From("components[*].name")] = None


class Person(BaseModel):
    """Somebody who can be assigned."""

    account_id: Annotated[str, From("accountId")]
    name: Annotated[str | None, From("displayName")] = None
    email: Annotated[str | None, From("emailAddress")] = None
    active: bool | None = None


@jira.read(toolset="projects", scopes=[READ])
async def list_projects(
    api: Api,
    query: Annotated[str | None, Field(max_length=200, description="Part of a key or name.")] = None,
    cursor: Cursor = None,
) -> Page[ProjectLine]:
    """List the projects that the account can see."""
    asked = {"query": query, "orderBy": "key"}
    return await api.page("/rest/api/3/project/search", into=ProjectLine, query=asked, cursor=cursor)


@jira.read(toolset="projects", scopes=[READ])
async def get_project(api: Api, project: ProjectKey) -> Project:
    """Read a project and the issue types it has."""
    return await api.get("/rest/api/3/project/{}", project, into=Project)


@jira.read(toolset="projects")
async def search_assignees(
    api: Api,
    query: Annotated[str, Field(min_length=1, max_length=200, description="Part of a name or e-mail address.")],
    issue: IssueKey | None = None,
    project: ProjectKey | None = None,
) -> list[Person]:
    """Find people who can be assigned to an issue, or to new issues of a project; at most 20."""
    if (issue is None) == (project is None):
        raise errors.InvalidInputError(
            "the people differ from project to project.", next_step="Give either issue or project."
        )
    asked = {"query": query, "issueKey": issue, "project": project, "maxResults": 20}
    return await api.get("/rest/api/3/user/assignable/search", query=asked, into=list[Person])
