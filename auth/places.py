"""From the setting `key_provider` to the keys it means, and to those that sealed the vault before."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from clew.auth.keys import KeyPlace, KeyProvider, Keys, LocalKeys, WrongKeyError
from clew.core.errors import ConfigurationError

LOCAL: Mapping[str, KeyPlace] = {"auto": "auto", "keyring": "keyring", "file": "file", "env": "env"}
REMOTE = ("pkcs11:", "aws-kms:")


class SeveralKeys:
    """The chosen place, and further ones that are only asked for keys that sealed something before."""

    def __init__(self, chosen: Keys, *former: Keys) -> None:
        self._chosen = chosen
        self._places = (chosen, *former)

    async def find(self, key_id: str) -> KeyProvider:
        """Ask the place that this kind of id belongs to; the first such place that has it wins."""
        missing: WrongKeyError | None = None
        for place in self._places:
            if place.knows(key_id):
                try:
                    return await place.find(key_id)
                except WrongKeyError as error:
                    missing = missing or error
        if missing is not None:
            raise missing
        raise WrongKeyError(
            f"The vault was sealed with the key {key_id}, which key_provider does not lead to. Nothing was changed: "
            "name its place in old_key_providers until 'clew auth rotate --keys' has run."
        )

    async def choose(self) -> KeyProvider:
        """The chosen place's key."""
        return await self._chosen.choose()

    async def renew(self) -> KeyProvider:
        """A new key in the chosen place."""
        return await self._chosen.renew()

    def knows(self, key_id: str) -> bool:
        """Any of the places."""
        return any(place.knows(key_id) for place in self._places)


def open_keys(setting: str, file: Path, *, former: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Keys:
    """The keys for `key_provider` and `old_key_providers`; `file` is where a local key file is. Touches none of them.

    Raises `ConfigurationError` for a setting that is not understood.
    """
    chosen = _open(setting, file, environ)
    others = [_open(each, file, environ) for each in former]
    if setting not in LOCAL:
        others.append(LocalKeys(file, environ=environ))
    return SeveralKeys(chosen, *others) if others else chosen


def _open(setting: str, file: Path, environ: Mapping[str, str]) -> Keys:
    if setting in LOCAL:
        return LocalKeys(file, place=LOCAL[setting], environ=environ)
    if setting.startswith("pkcs11:"):
        from clew.auth.pkcs11 import Pkcs11Keys

        return Pkcs11Keys(setting, environ=environ)
    if setting.startswith("aws-kms:"):
        from clew.auth.kms import KmsKeys

        return KmsKeys(setting.removeprefix("aws-kms:"), environ=environ)
    raise ConfigurationError(
        f"key_provider must be one of {', '.join(LOCAL)}, pkcs11:… or aws-kms:…, not {setting.partition(':')[0]!r}."
    )
