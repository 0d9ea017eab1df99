"""Every grant against a certified OpenID provider."""

import asyncio
import dataclasses

import httpx
import pytest

from clew.auth.answers import Grant, Refusal
from clew.auth.authorizer import VaultAuthorizer
from clew.auth.clients import set_app
from clew.auth.device import Prompt, device_login
from clew.auth.dpop import forget, hear
from clew.auth.facts import Facts
from clew.auth.leases import Leases
from clew.auth.login import LoginError, login
from clew.auth.minting import mint
from clew.auth.refresh import Refresher
from clew.auth.revocation import log_out
from clew.auth.schemes import ClientCredentials, OAuth2, Variable
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.errors import AuthRevokedError, ConfigurationError
from clew.core.secret import Secret

from .conftest import Oidc, Person

pytestmark = [pytest.mark.anyio, pytest.mark.testbed]

HERE = Connection("local", "oidc", "ada")


async def revealed(vault: Vault, name: str, connection: Connection = HERE) -> str | None:
    """One stored field in the clear."""
    record = await vault.get(connection)
    secret = record.secret(name) if record else None
    return secret.reveal() if secret else None


def scheme(oidc: Oidc, **more: object) -> OAuth2:
    """What a connector would declare: nothing but where the server describes itself."""
    declared = OAuth2(
        discovery_url="{origin}/.well-known/openid-configuration",
        scopes=("openid", "email", "offline_access", "api:read"),
        client_id="public",
        authorize_parameters={"prompt": "consent"},
        variables={"issuer": Variable(pattern="https?://.+")},
    )
    return dataclasses.replace(declared, **more)  # type: ignore[arg-type]


async def logged_in(vault: Vault, oidc: Oidc, declared: OAuth2, **more: object) -> Facts:
    person = Person()

    async def show(url: str) -> None:
        assert "close this window" in await person.consent(url), person.pages[-1]

    return await login(vault, HERE, declared, base_url=oidc.issuer, show=show, wait_seconds=30, **more)  # type: ignore[arg-type]


async def ask_userinfo(authorizer: VaultAuthorizer, oidc: Oidc) -> tuple[int, str]:
    """Call the API with the stored credential; the answer is status and generation."""
    async with httpx.AsyncClient(event_hooks={"response": [hear]}) as http:
        request = http.build_request("GET", f"{oidc.issuer}/me")
        generation = await authorizer.apply(request)
        answer = await http.send(request)
    return answer.status_code, generation


async def test_a_login_by_code_and_pkce_knows_whose_it_is(vault: Vault, oidc: Oidc) -> None:
    facts = await logged_in(vault, oidc, scheme(oidc))
    assert facts.scopes == ("openid", "email", "offline_access", "api:read")
    assert facts.identity == "ada@example.test"
    assert facts.renewable
    assert facts.variables["server:issuer"] == oidc.issuer


async def test_a_refresh_rotates_and_reuse_of_the_old_token_kills_the_family(
    vault: Vault, refresher: Refresher, oidc: Oidc
) -> None:
    declared = scheme(oidc)
    await logged_in(vault, oidc, declared)
    first = await revealed(vault, "refresh_token", HERE)
    authorizer = VaultAuthorizer(HERE, [declared], vault, refresher, base_url=oidc.issuer)
    status, generation = await ask_userinfo(authorizer, oidc)
    assert status == 200
    await authorizer.renew(generation)
    second = await revealed(vault, "refresh_token", HERE)
    assert second != first
    assert (await ask_userinfo(authorizer, oidc))[0] == 200
    async with httpx.AsyncClient(verify=False) as http:
        stolen = {"grant_type": "refresh_token", "refresh_token": first or "", "client_id": "public"}
        assert (await http.post(f"{oidc.issuer}/token", data=stolen)).json()["error"] == "invalid_grant"
    _, generation = await ask_userinfo(authorizer, oidc)
    with pytest.raises(AuthRevokedError, match="no longer accepts"):
        await refresher.replace(HERE, generation, declared, base_url=oidc.issuer)


async def test_a_registered_client_proves_itself_and_its_secret_is_not_copied(
    vault: Vault, refresher: Refresher, oidc: Oidc
) -> None:
    declared = scheme(oidc, client_id=None, client_auth="basic")
    with pytest.raises(ConfigurationError, match="clew auth apps set oidc"):
        await logged_in(vault, oidc, declared)
    await set_app(vault, "oidc", "confidential", {"client_secret": Secret("basic-s3cret")}, tenant="local")
    await logged_in(vault, oidc, declared)
    assert await revealed(vault, "client_secret", HERE) is None
    authorizer = VaultAuthorizer(HERE, [declared], vault, refresher, base_url=oidc.issuer)
    _, generation = await ask_userinfo(authorizer, oidc)
    await authorizer.renew(generation)
    assert (await ask_userinfo(authorizer, oidc))[0] == 200


async def test_a_login_by_device_code_waits_until_the_person_has_agreed(vault: Vault, oidc: Oidc) -> None:
    heard: list[float] = []
    agreed = asyncio.Event()
    consents: list[asyncio.Task[None]] = []
    codes: list[str] = []

    async def agree(prompt: Prompt) -> None:
        assert prompt.whole_url is not None
        await Person().consent(prompt.whole_url)
        agreed.set()

    async def show(prompt: Prompt) -> None:
        codes.append(prompt.code)

        async def later() -> None:
            await agree(prompt)

        consents.append(asyncio.create_task(later()))

    async def sleep(seconds: float) -> None:
        heard.append(seconds)
        if len(heard) > 1:
            await agreed.wait()

    facts = await device_login(vault, HERE, scheme(oidc), base_url=oidc.issuer, show=show, sleep=sleep)
    await asyncio.gather(*consents)
    assert len(codes[0]) >= 8
    assert heard[0] == 5.0
    assert "api:read" in facts.scopes
    assert await revealed(vault, "access_token", HERE)


async def test_a_bound_token_works_with_proofs_and_nonces_and_not_without(
    vault: Vault, refresher: Refresher, oidc: Oidc
) -> None:
    declared = scheme(oidc, client_id="bound", dpop=True)
    await logged_in(vault, oidc, declared)
    authorizer = VaultAuthorizer(HERE, [declared], vault, refresher, base_url=oidc.issuer)
    forget()
    status, generation = await ask_userinfo(authorizer, oidc)
    assert status == 401
    await authorizer.renew(generation)
    status, same = await ask_userinfo(authorizer, oidc)
    assert (status, same) == (200, generation)  # the nonce was what lacked: nothing was refreshed
    async with httpx.AsyncClient(verify=False) as http:
        bare = {"Authorization": f"Bearer {await revealed(vault, 'access_token', HERE)}"}
        assert (await http.get(f"{oidc.issuer}/me", headers=bare)).status_code == 401
    _, generation = await ask_userinfo(authorizer, oidc)
    await authorizer.renew(generation)
    assert (await ask_userinfo(authorizer, oidc))[0] == 200


@pytest.mark.parametrize("way", ["basic", "post", "private_key_jwt"])
async def test_a_machine_gets_tokens_by_each_way_of_proving_itself(oidc: Oidc, way: str) -> None:
    names = {"private_key_jwt": "keyed"}
    declared = ClientCredentials(token_url="{base_url}/token", client_auth=way, scopes=("api:read",))  # type: ignore[arg-type]
    secrets = {"private_key": oidc.key} if way == "private_key_jwt" else {"client_secret": Secret(f"{way}-s3cret")}
    held = Material(Facts(declared.kind, client_id=names.get(way, way), asked=("api:read",)), secrets)
    async with httpx.AsyncClient(verify=False) as http:
        first, second = [await mint(http, held, declared, base_url=oidc.issuer, seconds=10) for _ in range(2)]
        wrong = {name: other_key() if name == "private_key" else Secret("wrong") for name in secrets}
        refused = await mint(http, Material(held.facts, wrong), declared, base_url=oidc.issuer, seconds=10)
    assert isinstance(first, Grant)
    assert isinstance(second, Grant)
    assert first.scopes == ("api:read",)
    assert isinstance(refused, Refusal)
    assert (refused.verdict, refused.code) == ("misconfigured", "invalid_client")


async def test_logging_out_revokes_the_grant_at_the_provider(vault: Vault, leases: Leases, oidc: Oidc) -> None:
    declared = scheme(oidc)
    await logged_in(vault, oidc, declared)
    token = await revealed(vault, "refresh_token", HERE)
    async with httpx.AsyncClient(verify=False) as http:
        ending = await log_out(vault, leases, HERE, [declared], http, base_url=oidc.issuer)
        assert (ending.told, ending.forgotten) == ("revoked", True)
        form = {"grant_type": "refresh_token", "refresh_token": token or "", "client_id": "public"}
        assert (await http.post(f"{oidc.issuer}/token", data=form)).json()["error"] == "invalid_grant"
    assert await vault.get(HERE) is None


async def test_an_issuer_that_calls_itself_otherwise_is_not_trusted(vault: Vault, oidc: Oidc) -> None:
    declared = scheme(oidc, discovery_url="{base_url}/.well-known/openid-configuration")
    with pytest.raises(ConfigurationError, match="another issuer"):
        await logged_in(
            vault, dataclasses.replace(oidc, issuer=oidc.issuer.replace("127.0.0.1", "localhost")), declared
        )
    assert await vault.get(HERE) is None


async def test_a_person_who_aborts_stores_nothing(vault: Vault, oidc: Oidc) -> None:
    async def abort(url: str) -> None:
        async with httpx.AsyncClient(follow_redirects=True) as http:
            page = await http.get(url)
            await http.get(f"{page.url}/abort")

    with pytest.raises(LoginError, match="did not grant access"):
        await login(vault, HERE, scheme(oidc), base_url=oidc.issuer, show=abort, wait_seconds=20)
    assert await vault.get(HERE) is None


@dataclasses.dataclass(frozen=True)
class Material:
    """What a token is made from, without a vault."""

    facts: Facts
    secrets: dict[str, Secret]
    connection: Connection = HERE

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.secrets)

    def secret(self, name: str) -> Secret | None:
        return self.secrets.get(name)


def other_key() -> Secret:
    """A key that the provider has never seen."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(65537, 2048)
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
