"""A connection is named for people."""

from clew.core.connection import LOCAL_TENANT, Connection


def test_the_tenant_is_named_only_outside_a_single_persons_machine() -> None:
    assert str(Connection(LOCAL_TENANT, "github", "work")) == "github (work)"
    assert str(Connection("blue", "github", "work")) == "github (work, tenant blue)"
