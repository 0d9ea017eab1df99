"""Who calls over HTTP: the person or program that an authorization server has vouched for."""

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from clew.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """`subject` is what `issuer` calls the caller, `client` the program it lent its rights to, `name` what people know
    the caller by (approvals and records say it). `tenant` is whose connections its calls use. `session` tells one login
    from another one, empty where nothing does.
    """

    issuer: str
    subject: str
    client: str
    name: str
    tenant: str
    scopes: tuple[str, ...] = ()
    session: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two principals one: the same caller through the same program."""
        return self.issuer, self.subject, self.client


class Caller(AuthenticatedUser):
    """The principal as the SDK wants to see it: sessions are bound to it. The token itself is not kept."""

    def __init__(self, principal: Principal) -> None:
        super().__init__(
            AccessToken(
                token="",
                client_id=principal.client,
                scopes=list(principal.scopes),
                subject=principal.subject,
                claims={"iss": principal.issuer},
            )
        )
        self.principal = principal

    @property
    def tenant(self) -> str:
        """Whose connections its calls use."""
        return self.principal.tenant
