"""The types of a provider's own TypeScript client as an OpenAPI document, where that is its best description.

`ts-json-schema-generator` makes JSON Schemas of the types; what is left is to say which operation takes which of them.
"""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_SETTINGS: dict[str, object] = {
    "target": "es2020",
    "module": "commonjs",
    "moduleResolution": "node",
    "strict": True,
    "types": [],
}
_ENDPOINTS = """
const known = require(process.argv[1]);
const named = new Proxy({}, { get: (_, name) => `{${String(name)}}` });
const found = Object.entries(known).filter(([, each]) => each && each.method && each.path);
console.log(JSON.stringify(found.map(([name, each]) => ({ ...each, name, path: each.path(named) }))));
"""
"""Notion's client exports each operation with its method, its path and the names of its parameters."""

Document = dict[str, Any]


def of_notion(folder: Path) -> Document:
    """The operations that the package `@notionhq/client` exports."""
    endpoints = "node_modules/@notionhq/client/build/src/api-endpoints"
    ran = subprocess.run(
        ["node", "-e", _ENDPOINTS, str(folder / endpoints)], capture_output=True, text=True, check=True
    )
    schemas = _schemas(folder, f"{endpoints}/*.d.ts")
    paths: Document = {}
    for each in json.loads(ran.stdout):
        kind = each["name"][0].upper() + each["name"][1:]
        asked = schemas.get(f"{kind}QueryParameters", {})
        needed = asked.get("required", ())
        told = asked.get("properties", {}).items()
        query = [_parameter(name, schema, required=name in needed) for name, schema in told]
        body = f"{kind}BodyParameters"
        taken = _body("application/json", body) if body in schemas else {}
        paths.setdefault(f"/{each['path']}", {})[each["method"]] = {"parameters": query, **taken}
    return _document(paths, schemas)


SLACK = (
    *("auth.test", "chat.delete", "chat.postMessage", "chat.update", "conversations.history", "conversations.list"),
    *("conversations.replies", "files.completeUploadExternal", "files.getUploadURLExternal", "reactions.add"),
    *("search.messages", "users.info", "users.list"),
)
"""The methods whose types are made: each takes the generator some seconds."""


def of_slack(folder: Path) -> Document:
    """Methods for whose arguments the package `@slack/web-api` has types, called with a form."""
    schemas: Document = {}
    paths: Document = {}
    for method in SLACK:
        kind = "".join(part[0].upper() + part[1:] for part in method.split(".")) + "Arguments"
        family = method.partition(".")[0]
        schemas |= _schemas(folder, f"node_modules/@slack/web-api/dist/types/request/{family}.d.ts", kind)
        paths[f"/{method}"] = {"post": _body("application/x-www-form-urlencoded", kind)}
    return _document(paths, schemas)


def _schemas(folder: Path, files: str, kind: str = "*") -> Document:
    settings = folder / "tsconfig.types.json"
    settings.write_text(json.dumps({"compilerOptions": {**_SETTINGS, "skipLibCheck": True}}), encoding="utf-8")
    tool = str(folder / "node_modules/.bin/ts-json-schema-generator")
    asked = ["--path", str(folder / files), "--tsconfig", str(settings), "--type", kind, "--expose", "all"]
    ran = subprocess.run([tool, *asked, "--no-type-check"], capture_output=True, text=True, check=True)
    found: Document = json.loads(ran.stdout)["definitions"]
    text = json.dumps(found).replace('"#/definitions/', '"#/components/schemas/')
    schemas: Document = json.loads(text)
    return schemas


def _parameter(name: str, schema: Mapping[str, Any], *, required: bool) -> Document:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _body(kind: str, name: str) -> Document:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"requestBody": {"content": {kind: {"schema": schema}}}}


def _document(paths: Document, schemas: Document) -> Document:
    return {"openapi": "3.1.0", "paths": paths, "components": {"schemas": schemas}}


READERS: Mapping[str, Callable[[Path], Document]] = {"notion": of_notion, "slack": of_slack}
