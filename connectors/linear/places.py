"""Where issues stand: teams with the states of their workflow, and projects."""

from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, From, GraphQLPages, Page

from .issues import PAGE
from .names import is_id
from .provider import Cursor, linear


class Team(BaseModel):
    """A team, with the names of its workflow's states."""

    id: str
    key: str
    name: str
    states: Annotated[list[str], From("states.nodes[*].name")]


class Project(BaseModel):
    """A project in a list."""

    id: str
    name: str
    status: Annotated[str, From("status.name")]
    lead: Annotated[str | None, From("lead.displayName")] = None
    teams: Annotated[list[str], From("teams.nodes[*].key")]
    progress: Annotated[float, Field(description="0 to 1.")]
    target_date: Annotated[str | None, From("targetDate")] = None
    url: str


TEAMS = f"""
query ListTeams($first: Int, $after: String) {{
  teams(first: $first, after: $after) {{ nodes {{ id key name states(first: 30) {{ nodes {{ name }} }} }} {PAGE} }}
}}"""
PROJECTS = f"""
query ListProjects($filter: ProjectFilter, $first: Int, $after: String) {{
  projects(filter: $filter, first: $first, after: $after, orderBy: updatedAt) {{
    nodes {{
      id name progress targetDate url status {{ name }} lead {{ displayName }} teams(first: 10) {{ nodes {{ key }} }}
    }}
    {PAGE}
  }}
}}"""


@linear.read(toolset="places")
async def list_teams(api: Api, cursor: Cursor = None) -> Page[Team]:
    """List the teams that the account can see, with their states."""
    return await api.graphql_page(TEAMS, into=Team, pages=GraphQLPages("teams", size=30), cursor=cursor)


@linear.read(toolset="places")
async def list_projects(
    api: Api,
    name: Annotated[str | None, Field(description="A part of the name.")] = None,
    team: Annotated[str | None, Field(description="Key or id.")] = None,
    cursor: Cursor = None,
) -> Page[Project]:
    """List projects, last changed first."""
    wanted: dict[str, object] = {} if name is None else {"name": {"containsIgnoreCase": name}}
    if team is not None:
        which = {"id": {"eq": team}} if is_id(team) else {"key": {"eqIgnoreCase": team}}
        wanted["accessibleTeams"] = {"some": which}
    pages = GraphQLPages("projects", size=25)
    return await api.graphql_page(PROJECTS, into=Project, pages=pages, variables={"filter": wanted}, cursor=cursor)
