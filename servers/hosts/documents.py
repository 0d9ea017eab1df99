"""A host's configuration as text: read an entry, put one in, take one out, and prove that nothing else changed."""

import copy
from collections.abc import Sequence
from typing import Any, Literal

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.servers.hosts.jsonc import UnreadableError

Format = Literal["json", "toml", "yaml"]
Place = tuple[str, ...]
"""Where the entries of a host stand; they are an object by name, or (Continue) a list of objects with `name`."""
LISTED: Place = ("mcpServers",)
"""Where, in an empty YAML file, a list belongs."""


def entries(text: str, form: Format, place: Place) -> dict[str, Any]:
    """What stands there, by name. Raises `ConfigurationError` when the text cannot be read."""
    return _entries(_loads(text, form), place)


def put(text: str, form: Format, place: Place, name: str, entry: dict[str, Any]) -> str:
    """`text` with the entry `name`. Raises `ConfigurationError` and changes nothing when it would do more than that."""
    return _edited(text, form, place, name, entry)


def drop(text: str, form: Format, place: Place, name: str) -> str:
    """`text` without the entry `name`."""
    return _edited(text, form, place, name, None)


def snippet(form: Format, place: Place, name: str, entry: dict[str, Any], *, listed: bool = False) -> str:
    """The entry alone, as a person would paste it."""
    return put("mcpServers: []\n" if listed else "", form, place, name, entry)


def _edited(text: str, form: Format, place: Place, name: str, entry: dict[str, Any] | None) -> str:
    before = _loads(text, form)
    wanted = _changed(before, place, name, entry)
    try:
        after = _edit(text, form, (*place, name), entry)
    except UnreadableError as error:
        raise ConfigurationError(f"it cannot be changed by a program: {error}") from None
    if _pruned(_loads(after, form), place) != _pruned(wanted, place):
        raise ConfigurationError("it is written in a way that a program cannot change without touching something else")
    return after


def _edit(text: str, form: Format, path: Sequence[str], entry: dict[str, Any] | None) -> str:
    if form == "toml":
        return _edit_toml(text, path, entry)
    if form == "yaml":
        from clew.servers.hosts import blocks

        return blocks.drop(text, path) if entry is None else blocks.put(text, path, entry)
    from clew.servers.hosts import jsonc

    return jsonc.drop(text, path) if entry is None else jsonc.put(text, path, entry)


def _edit_toml(text: str, path: Sequence[str], entry: dict[str, Any] | None) -> str:
    import tomlkit
    import tomlkit.items
    from tomlkit.exceptions import TOMLKitError

    try:
        document: Any = tomlkit.parse(text)
        holder = document
        for key in path[:-1]:
            if key not in holder:
                if entry is None:
                    return text
                holder[key] = tomlkit.table(is_super_table=True)
            holder = holder[key]
        if entry is None:
            if path[-1] not in holder:
                return text
            del holder[path[-1]]
        else:
            inline = isinstance(holder, tomlkit.items.InlineTable)
            table: Any = tomlkit.inline_table() if inline else tomlkit.table()
            for key, value in entry.items():
                table[key] = value
            holder[path[-1]] = table
        done: str = tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableError(str(error) or "no TOML", text, 0) from None
    return done.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in text else done


def _loads(text: str, form: Format) -> dict[str, Any]:
    try:
        found = _parse(text, form)
    except UnreadableError as error:
        raise ConfigurationError(f"it is not valid {form.upper()}: {error}") from None
    if not isinstance(found, dict):
        raise ConfigurationError("it holds no object at its top")
    return as_object(found) or {}


def _parse(text: str, form: Format) -> Any:
    if form == "toml":
        import tomllib

        try:
            return tomllib.loads(text.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            raise UnreadableError(str(error) or "too many levels", text, 0) from None
    if form == "yaml":
        from clew.servers.hosts import blocks

        return blocks.loads(text)
    from clew.servers.hosts import jsonc

    return jsonc.loads(text)


def _entries(data: dict[str, Any], place: Place) -> dict[str, Any]:
    holder: Any = data
    for key in place:
        holder = (as_object(holder) or {}).get(key)
    listed = as_list(holder)
    if listed is not None:
        return {str(each["name"]): each for each in map(as_object, listed) if each and "name" in each}
    return as_object(holder) or {}


def _pruned(data: dict[str, Any], place: Place) -> dict[str, Any]:
    """Without the place of the entries when nothing stands there: TOML drops an empty table."""
    return {key: value for key, value in data.items() if value or (key,) != place}


def _changed(data: dict[str, Any], place: Place, name: str, entry: dict[str, Any] | None) -> dict[str, Any]:
    """`data` as it must be afterwards."""
    wanted: dict[str, Any] = copy.deepcopy(data)
    holder = wanted
    for depth, key in enumerate(place[:-1]):
        if entry is None and key not in holder:
            return wanted
        inner = as_object(holder.setdefault(key, {}))
        if inner is None:
            raise ConfigurationError(f"{'.'.join(place[: depth + 1])} in it is no object")
        holder = inner
    last = place[-1]
    if holder.get(last) is None:
        if entry is None:
            return wanted
        holder[last] = [] if place == LISTED and "name" in entry else {}
    listed, named = as_list(holder[last]), as_object(holder[last])
    if listed is not None:
        found = [at for at, each in enumerate(listed) if (as_object(each) or {}).get("name") == name]
        holder[last] = [each for at, each in enumerate(listed) if entry is not None or at not in found]
        if entry is not None:
            holder[last][found[0] if found else len(listed) :] = [entry, *listed[found[0] + 1 :]] if found else [entry]
    elif named is not None:
        holder[last] = {key: value for key, value in named.items() if key != name or entry is not None}
        if entry is not None:
            holder[last][name] = entry
    else:
        raise ConfigurationError(f"{'.'.join(place)} in it is neither an object nor a list")
    return wanted
