"""`clew drift`: what providers have changed."""

from clew.servers.cli.grammar import Commands, add, name


def add_drift(commands: Commands) -> None:
    """`clew drift`."""
    drift = add(
        commands,
        "drift",
        "drifting:show_drift",
        "show what providers have changed in their answers, and since when",
        "clew drift",
        "clew drift github --json",
        more="Places and types are kept, never values. Ends of API versions that providers announce are shown too.",
    )
    name(drift, "only this connector", nargs="?")
