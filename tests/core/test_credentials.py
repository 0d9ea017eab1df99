"""What core asks of auth."""

from clew.core.credentials import Scheme


class Token:
    kind = "token"


def test_anything_with_a_kind_is_a_scheme_and_nothing_else() -> None:
    assert isinstance(Token(), Scheme)
    assert not isinstance(["bearer"], Scheme)
    assert not isinstance("bearer", Scheme)
