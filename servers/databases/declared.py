"""Declared queries, each a tool with typed parameters: the statement is the operator's, values are bound."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from clew.core.api import Api
from clew.core.errors import ConfigurationError, InvalidInputError
from clew.servers.databases.binding import Value, check_values
from clew.servers.databases.guard import check_read
from clew.servers.databases.profile import Parameter, Statement
from clew.servers.databases.rows import Rows

Run = Callable[[Api, str, dict[str, Value], str | None], Awaitable[Rows]]

LONGEST_TEXT = 20_000
"""Characters of a text parameter."""
_INT = 2**63
_TYPES: dict[str, Any] = {
    "text": Annotated[str, Field(max_length=LONGEST_TEXT)],
    "integer": Annotated[int, Field(ge=-_INT, lt=_INT)],
    "number": Annotated[float, Field(allow_inf_nan=False)],
    "boolean": bool,
    "date": date,
}
_RESERVED = frozenset({"api", "cursor", "request_id"})


class DeclaredStatement:
    """What the tools of declared statements have in common: their parameters, and values for them."""

    returns: Any = None
    paged = False

    def __init__(self, name: str, stated: Statement, product: str) -> None:
        """Raises `InvalidInputError` when the statement and its parameters do not fit."""
        check_values(stated.sql, product, stated.parameters)
        if _RESERVED & set(stated.parameters) or not all(each.isidentifier() for each in stated.parameters):
            raise InvalidInputError(f"a parameter's name is letters, digits and _, and not {', '.join(_RESERVED)}.")
        self.__name__ = name
        self.__doc__ = stated.help
        self.stated = stated
        self.__annotations__ = {
            "api": Api,
            **{each: _typed(parameter) for each, parameter in stated.parameters.items()},
            "return": self.returns,
        }
        if self.paged:
            described = Field(max_length=500, description="next_cursor of the previous page.")
            self.__annotations__["cursor"] = Annotated[str | None, described]

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        found = [inspect.Parameter("api", kind)]
        ordered = sorted(self.stated.parameters.items(), key=lambda each: each[1].optional)
        for name, parameter in ordered:
            default = None if parameter.optional else inspect.Parameter.empty
            found.append(inspect.Parameter(name, kind, default=default))
        paging = [inspect.Parameter("cursor", kind, default=None)] if self.paged else []
        return inspect.Signature([*found, *paging])

    def values(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """A value for each parameter, as it is bound."""
        found = {name: given.get(name) for name in self.stated.parameters}
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in found.items()}


class DeclaredQuery(DeclaredStatement):
    """The function of a declared query's tool."""

    returns = Rows
    paged = True

    def __init__(self, name: str, stated: Statement, product: str, run: Run) -> None:
        """Raises `ConfigurationError` for a statement that no agent could send either."""
        try:
            check_read(stated.sql, product)
            super().__init__(name, stated, product)
        except InvalidInputError as error:
            raise ConfigurationError(f"query.{name}: {error.message}") from None
        self._run = run

    def __call__(self, api: Api, cursor: str | None = None, **values: Any) -> Awaitable[Rows]:
        """Run it."""
        return self._run(api, self.stated.sql, self.values(values), cursor)


def _typed(parameter: Parameter) -> Any:
    choices: Any = tuple(parameter.choices)
    kind: Any = Literal[choices] if choices else _TYPES[parameter.type]
    kind = kind | None if parameter.optional else kind
    return Annotated[kind, Field(description=parameter.help)] if parameter.help else kind
