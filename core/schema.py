"""A tool function's signature as JSON Schema that every host understands, and arguments checked against it.

Portable means: `type: object` roots, no `$ref`, no lists of types, no null unions, no titles (MCP hosts trip over each
of them). What a model sees is paid for by token, so nothing is said twice.
"""

import inspect
import json
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import from_json

from clew.core.errors import ConfigurationError, InvalidInputError, quote
from clew.core.fields import as_list, as_object
from clew.core.schema_quick import Test, quick

JSONSchema = dict[str, Any]
RequestId = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$"),
    # The bounds are checked and not shown: every write would pay 25 tokens for what no model gets wrong.
    WithJsonSchema({"type": "string", "description": "Same value to repeat this action, a new one for a new action."}),
]
_REQUEST_ID = "request_id"
_OPTIONAL: Any = RequestId | None  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]


class Signature:
    """What a tool function takes and returns, without its first parameter `api`, which the model never sees."""

    def __init__(self, function: Callable[..., Any], name: str, *, keyed: bool = False) -> None:
        """With `keyed` the arguments may hold a `request_id` too, which is not for the function."""
        self.name = name
        try:
            hints = get_type_hints(function, include_extras=True)
        except (NameError, AttributeError, TypeError) as error:
            raise ConfigurationError(f"tool {name}: an annotation cannot be resolved: {error}.") from error
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters or parameters[0].name not in {"api", "flow"}:
            raise ConfigurationError(f"tool {name}: the first parameter must be `api`.")
        if "return" not in hints:
            raise ConfigurationError(f"tool {name}: annotate what it returns.")
        self.returns: Any = hints["return"]
        self.parameters: dict[str, tuple[Any, Any]] = {}
        for parameter in parameters[1:]:
            if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                raise ConfigurationError(f"tool {name}: *args and **kwargs have no schema.")
            if parameter.name not in hints:
                raise ConfigurationError(f"tool {name}: annotate the parameter {parameter.name}.")
            hint, default = hints[parameter.name], parameter.default
            if default is parameter.empty:  # hosts cannot send null: what takes it may be left out
                default = None if _is_nullable(hint) else ...
            self.parameters[parameter.name] = (hint, default)
        if keyed and _REQUEST_ID in self.parameters:
            raise ConfigurationError(f"tool {name}: the parameter {_REQUEST_ID} is the framework's own.")
        self.extra: dict[str, tuple[Any, Any]] = {_REQUEST_ID: (_OPTIONAL, None)} if keyed else {}

    @cached_property
    def model(self) -> type[BaseModel]:
        """The arguments as a pydantic model that forbids what the function does not take."""
        fields: dict[str, Any] = {**self.parameters, **self.extra}
        with self._declared(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a parameter may be called `schema` or `copy`
            model = create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)
        odd = [name for name in fields if name not in model.model_fields]
        if odd:
            raise ConfigurationError(f"tool {self.name}: the parameter {odd[0]} needs another name.")
        return model

    @contextmanager
    def _declared(self) -> Generator[None]:
        """A type that has no schema is the author's mistake, and named as such."""
        try:
            yield
        except (PydanticUserError, NameError, ValueError) as error:
            why = str(error).partition("\n")[0].rstrip(".")
            raise ConfigurationError(f"tool {self.name}: a type or name has no schema: {why}.") from error

    @cached_property
    def input_schema(self) -> JSONSchema:
        """The portable schema of the arguments."""
        with self._declared():
            schema = portable(self.model.model_json_schema(), where=f"tool {self.name}")
        schema.setdefault("properties", {})
        return schema

    @cached_property
    def returned(self) -> TypeAdapter[Any]:
        """The adapter that turns a returned value into plain JSON data."""
        with self._declared():
            return TypeAdapter(self.returns)

    @cached_property
    def _result(self) -> tuple[JSONSchema, bool]:
        """The schema of what is returned, and whether that may be null."""
        with self._declared():
            schema = self.returned.json_schema(mode="serialization")
        nullable = _takes_null(schema, schema.get("$defs", {}))
        return portable(schema, where=f"result of tool {self.name}"), nullable

    @property
    def _is_nothing(self) -> bool:
        return self.returns is None or self.returns is NoneType

    @property
    def _is_wrapped(self) -> bool:
        schema, nullable = self._result
        return nullable or schema.get("type") != "object"

    @cached_property
    def output_schema(self) -> JSONSchema:
        """The portable schema of the structured result; what is no object, or may be null, stands in `result`."""
        if self._is_nothing:
            return {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": ["done"]}
        schema, nullable = self._result
        if not self._is_wrapped:
            return schema
        wrapped: JSONSchema = {"type": "object", "properties": {"result": schema}}
        return wrapped if nullable else {**wrapped, "required": ["result"]}

    def structured(self, value: Any) -> dict[str, Any]:
        """The structured result: an object without nulls, valid by `output_schema`. Raises `TypeError` for another type
        than the function declares: what it says of itself must hold."""
        if self._is_nothing:
            return {"done": True}
        try:
            checked = self.returned.validate_python(value)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(map(str, fault["loc"])) or "the value"
            raise TypeError(
                f"tool {self.name} returned another type than it declares: {place}: {fault['msg']}"
            ) from None
        if checked is None:
            return {}
        data = self.returned.dump_python(checked, mode="json", exclude_none=True)
        return {"result": data} if self._is_wrapped else data

    def typed(self, structured: Mapping[str, Any]) -> Any:
        """What the function returned, of its structured result."""
        if self._is_nothing:
            return None
        return self.returned.validate_python(structured.get("result") if self._is_wrapped else structured)

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import Draft202012Validator

        return Draft202012Validator(self.input_schema)

    @cached_property
    def _quick(self) -> Test:
        return quick(self.input_schema)

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments from outside as typed values, keyed by parameter. Raises `InvalidInputError` naming each fault."""
        given = {name: self._unstringified(name, value) for name, value in arguments.items() if value is not None}
        faults = _json_faults(given)
        if not faults and not self._quick(given):
            faults = self._schema_faults(given)
        if not faults:
            try:
                model = self.model.model_validate(given)
                return {name: getattr(model, name) for name in self.parameters}
            except ValidationError as error:
                faults = {"/".join(map(str, each["loc"])): each["msg"] for each in error.errors(include_url=False)[:5]}
        what = "; ".join(f"{quote(name, 100)}: {quote(why)}" for name, why in faults.items())
        raise InvalidInputError(f"the arguments of {self.name} are not valid: {what}.", fields=faults)

    def _schema_faults(self, given: Mapping[str, Any]) -> dict[str, str]:
        faults: dict[str, str] = {}
        for fault in sorted(self._validator.iter_errors(given), key=lambda fault: str(list(fault.path)))[:5]:
            place = "/".join(map(str, fault.absolute_path)) or "arguments"
            earlier = f"{faults[place]}, " if place in faults else ""
            shown = repr(fault.instance)
            message = fault.message.replace(shown, quote(shown, 60)) if len(shown) > 60 else fault.message
            faults[place] = earlier + quote(message, 200)
        return faults

    def _unstringified(self, name: str, value: Any) -> Any:
        """Several hosts send objects and lists as JSON text; take them for what they are."""
        expected = self.input_schema["properties"].get(name, {}).get("type")
        if not isinstance(value, str) or expected not in {"object", "array"}:
            return value
        try:
            parsed = from_json(value, allow_inf_nan=False)
        except ValueError:
            return value
        found = as_object(parsed) if expected == "object" else as_list(parsed)
        return value if found is None else found


_as_sent = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str).encode


def _json_faults(given: Mapping[str, Any]) -> dict[str, str]:
    """What no request could carry is refused here, whatever the types allow."""
    try:
        _as_sent(given).encode()
    except (TypeError, ValueError, RecursionError):  # a TypeError is a key that is no text, of a caller in this process
        return {"arguments": "they hold broken text, a number that is not finite, or are nested too deeply"}
    return {}


def _is_nullable(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _is_nullable(get_args(hint)[0])
    if get_origin(hint) in {Union, UnionType}:
        return any(_is_nullable(each) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return None in get_args(hint)
    return hint is None or hint is NoneType or hint is Any


def portable(schema: JSONSchema, *, where: str) -> JSONSchema:
    """The same schema without `$ref`, null unions, type lists, `const` and titles. Recursive types are refused."""
    return _Inliner(schema.get("$defs", {}), where).inline(schema, ())


class _Inliner:
    """Rewrites one schema with its definitions put in place."""

    def __init__(self, definitions: JSONSchema, where: str) -> None:
        self._definitions = definitions
        self._where = where

    def inline(self, schema: JSONSchema, inside: tuple[str, ...]) -> JSONSchema:
        """The portable form; `inside` names the definitions around it."""
        base: JSONSchema = {}
        if "$ref" in schema:
            name = _definition(schema)
            if name in inside:
                raise ConfigurationError(f"{self._where}: {name} contains itself; hosts cannot show recursive types.")
            base = self.inline(self._definitions[name], (*inside, name))
        plain: JSONSchema = {}
        for key, value in schema.items():
            if key in {"anyOf", "oneOf"}:
                choices = [self.inline(each, inside) for each in value if each != {"type": "null"}]
                if len(choices) == 1:
                    base = choices[0]
                else:
                    plain[key] = choices
            elif key not in {"$ref", "$defs", "title", "discriminator"} and not (key == "default" and value is None):
                plain[key] = self._keyword(key, value, inside)
        if "properties" in plain:
            _require(plain, [name for name, each in schema["properties"].items() if self._takes_null(each)])
        return {**base, **plain} if "const" not in plain else _as_enum({**base, **plain})

    def _keyword(self, key: str, value: Any, inside: tuple[str, ...]) -> Any:
        if key == "properties":
            return {name: self._property(each, inside) for name, each in value.items()}
        if key in {"items", "additionalProperties"} and (inner := as_object(value)) is not None:
            return self._element(inner, inside)
        if key == "prefixItems":
            return [self._element(each, inside) for each in value]
        if key == "enum":
            return [each for each in value if each is not None]
        return value

    def _property(self, schema: JSONSchema, inside: tuple[str, ...]) -> JSONSchema:
        """A null property is left out, but for one inside a named type of its own (`RootModel`)."""
        return self._element(schema, inside) if "$ref" in schema else self.inline(schema, inside)

    def _element(self, schema: JSONSchema, inside: tuple[str, ...]) -> JSONSchema:
        """Within lists and maps a null stays, so an element that may be null is left open."""
        return {} if self._takes_null(schema) else self.inline(schema, inside)

    def _takes_null(self, schema: JSONSchema) -> bool:
        return _takes_null(schema, self._definitions)


def _definition(schema: JSONSchema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _as_enum(schema: JSONSchema) -> JSONSchema:
    return {("enum" if key == "const" else key): [value] if key == "const" else value for key, value in schema.items()}


def _require(schema: JSONSchema, nullable: list[str]) -> None:
    """Only what cannot be null is required: nulls are left out."""
    required = [name for name in schema.pop("required", []) if name not in nullable]
    if required:
        schema["required"] = required


def _takes_null(schema: JSONSchema, definitions: JSONSchema) -> bool:
    if "$ref" in schema:
        return _takes_null(definitions[_definition(schema)], definitions)
    if "enum" in schema:
        return None in schema["enum"]
    if "type" in schema or "const" in schema:
        return schema.get("type") == "null" or schema.get("const", "") is None
    choices = schema.get("anyOf", schema.get("oneOf"))
    return choices is None or any(_takes_null(choice, definitions) for choice in choices)
