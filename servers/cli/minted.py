"""`clew auth set` for schemes that ask for a new token at any time: service accounts, client credentials, workloads."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from clew.auth.answers import Grant, Refusal
from clew.auth.facts import Facts
from clew.auth.minting import mint
from clew.auth.schemes import JwtBearer, Minted
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.errors import AuthRevokedError, ConfigurationError, TransientError, quote
from clew.core.fields import MISSING, look
from clew.core.secret import Secret
from clew.core.values import dataclass
from clew.servers.cli.prompt import read_secrets, read_text_file

SECONDS = 15.0
_PEM = ("private_key", "certificate")


@dataclass(frozen=True, slots=True)
class Held:
    """What a first token is made from, before anything is stored."""

    connection: Connection
    facts: Facts
    secrets: Mapping[str, Secret] = field(repr=False)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the secrets."""
        return tuple(self.secrets)

    def secret(self, name: str) -> Secret | None:
        """One secret; None when there is none of this name."""
        return self.secrets.get(name)


def read_material(
    connector: Connector, scheme: Minted, arguments: Namespace, variables: dict[str, str]
) -> tuple[dict[str, Secret], dict[str, str]]:
    """The secrets and variables of a new connection: from a key file of the provider's, PEM files, or a prompt."""
    if isinstance(scheme, JwtBearer) and scheme.key_file and arguments.file:
        return _from_key_file(scheme, arguments.file, variables)
    fields = tuple(name for name in scheme.fields if f"{name}_file" not in variables)
    if not fields or variables.get("certificate_file"):
        return {}, variables
    pems = [name for name in fields if name in _PEM]
    if pems:
        if not arguments.file:
            raise ConfigurationError(
                f"{connector.name} wants a {pems[-1].replace('_', ' ')}: give its PEM file, --file F."
            )
        text = Secret(read_text_file(arguments.file))
        rest = tuple(name for name in fields if name not in _PEM)
        more = read_secrets(rest, what=connector.title or connector.name, file=None, spaces=False) if rest else {}
        return {**dict.fromkeys(pems, text), **more}, variables
    title = connector.title or connector.name
    return read_secrets(fields, what=title, file=arguments.file, spaces="password" in fields), variables


def _from_key_file(scheme: JwtBearer, file: str, variables: dict[str, str]) -> tuple[dict[str, Secret], dict[str, str]]:
    try:
        content: Any = json.loads(read_text_file(file))
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{file} is not the key file (JSON) that this provider gives out.") from None
    secrets: dict[str, Secret] = {}
    for name, path in scheme.key_file.items():
        value = look(content, path)
        if value is MISSING or not isinstance(value, str) or not value:
            raise ConfigurationError(f"{file} has no {path}: it is not the key file that this provider gives out.")
        if name in scheme.fields:
            secrets[name] = Secret(value)
        else:
            variables = {name: value, **variables}
    return secrets, variables


async def first_token(held: Held, scheme: Minted, *, base_url: str) -> Grant:
    """Ask for a token with what was given. Raises when the provider refuses it; nothing is stored then."""
    import httpx

    async with httpx.AsyncClient(follow_redirects=False) as http:
        answer = await mint(http, held, scheme, base_url=base_url, seconds=SECONDS)
    if isinstance(answer, Grant):
        return answer
    raise _error(held.connection.connector, answer)


def _error(name: str, answer: Refusal) -> Exception:
    said = quote(": ".join(filter(None, (answer.code, answer.message))), 300)
    if answer.code == "configuration":
        return ConfigurationError(answer.message)
    if answer.verdict == "outage":
        return TransientError(f"{name} gives no token at the moment ({said}); nothing was stored.")
    return AuthRevokedError(
        f"{name} gives no token for this; nothing was stored.",
        next_step="Check the key, the client id and the values given with --set, then try again.",
        provider_code=answer.code or None,
        provider_message=answer.message or None,
    )


def facts_of(scheme: Minted, held: Held, grant: Grant, identity: str | None, origin: str) -> Facts:
    """What is known about the new connection."""
    return Facts(
        scheme.kind,
        scopes=grant.scopes or held.facts.asked,
        asked=held.facts.asked,
        identity=identity,
        client_id=held.facts.client_id,
        expires_at=grant.expires_at,
        renewable=True,
        variables={**held.facts.variables, **grant.variables},
        origin=origin,
    )
