"""Declared queries, each a tool with typed parameters: the statement is the operator's, values are bound."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from clew.core.api import Api
from clew.core.errors import ConfigurationError, InvalidInputError
from clew.servers.databases.guard import check_read
from clew.servers.databases.profile import Parameter, Statement
from clew.servers.databases.rows import Rows, Value, check_values

Run = Callable[[Api, str, dict[str, Value], str | None], Awaitable[Rows]]

_TYPES: dict[str, Any] = {"text": str, "integer": int, "number": float, "boolean": bool, "date": date}


class DeclaredQuery:
    """The function of a declared query's tool."""

    def __init__(self, name: str, stated: Statement, product: str, run: Run) -> None:
        """Raises `ConfigurationError` for a statement that no agent could send either."""
        try:
            check_read(stated.sql, product)
            check_values(stated.sql, dict.fromkeys(stated.parameters))
        except InvalidInputError as error:
            raise ConfigurationError(f"query.{name}: {error.message}") from None
        reserved = sorted({"api", "cursor"} & set(stated.parameters))
        if reserved or not all(each.isidentifier() for each in stated.parameters):
            raise ConfigurationError(f"query.{name}: a parameter's name is letters, digits and _, not api or cursor.")
        self.__name__ = name
        self.__doc__ = stated.help
        self._stated, self._run = stated, run
        self.__annotations__ = {
            "api": Api,
            **{each: _typed(parameter) for each, parameter in stated.parameters.items()},
            "cursor": Annotated[str | None, Field(max_length=500, description="next_cursor of the previous page.")],
            "return": Rows,
        }

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        found = [inspect.Parameter("api", kind)]
        ordered = sorted(self._stated.parameters.items(), key=lambda each: each[1].optional)
        for name, parameter in ordered:
            default = None if parameter.optional else inspect.Parameter.empty
            found.append(inspect.Parameter(name, kind, default=default))
        return inspect.Signature([*found, inspect.Parameter("cursor", kind, default=None)])

    def __call__(self, api: Api, cursor: str | None = None, **values: Any) -> Awaitable[Rows]:
        """Run it."""
        given = {name: values.get(name) for name in self._stated.parameters}
        plain = {name: value.isoformat() if isinstance(value, date) else value for name, value in given.items()}
        return self._run(api, self._stated.sql, plain, cursor)


def _typed(parameter: Parameter) -> Any:
    choices: Any = tuple(parameter.choices)
    kind: Any = Literal[choices] if choices else _TYPES[parameter.type]
    kind = kind | None if parameter.optional else kind
    return Annotated[kind, Field(description=parameter.help)] if parameter.help else kind
