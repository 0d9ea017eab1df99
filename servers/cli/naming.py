"""Names of accounts: what a person may choose, and what comes out of a provider's words."""

import re

from clew.core.errors import ConfigurationError

_LONGEST = 64


def check_account(account: str) -> None:
    """Raise `ConfigurationError` for a name that would be awkward to type or to show."""
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._@+-]{{0,{_LONGEST - 1}}}", account):
        raise ConfigurationError(
            f"--account: use letters, digits and . _ @ + -, at most {_LONGEST}, beginning with a letter or digit."
        )


def name_account(identity: str | None) -> str:
    """The name of an account that nobody named: the provider's words made fit to type, or `main`."""
    slug = re.sub(r"[^a-z0-9._@+-]+", "-", (identity or "").lower()).strip("-._@+")
    return slug[:_LONGEST] or "main"
