"""Descriptions for tests, small and whole."""

from collections.abc import Mapping
from typing import Any

from clew.servers.descriptions.openapi import described
from clew.servers.descriptions.plans import Described
from clew.servers.descriptions.sources import Source

OK = {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}}


def document(paths: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """An OpenAPI 3 document with these paths."""
    head = {"openapi": "3.0.3", "info": {"title": "Test", "version": "1"}, "servers": [{"url": "https://api.test"}]}
    return {**head, "paths": dict(paths), **more}


def read(root: Mapping[str, Any], place: str = "spec.json", **more: Any) -> Described:
    """What that document says."""
    return described(root, Source(place, more.pop("options", {})), **more)


def answer(schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Responses with this schema."""
    return {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}, **more}}
