"""`clew completion`: a script for the shell, made by shtab; and the words that the script asks us for."""

from argparse import Namespace

from clew.core.errors import ClewError, ConfigurationError
from clew.core.registry import discover, load
from clew.servers.cli.output import emit
from clew.servers.cli.parser import SHELLS, build

_ASK = "clew completion --words"
_PREAMBLE = {
    "bash": f"""
_clew_connectors() {{ compgen -W "$({_ASK} connectors 2>/dev/null)" -- "$1"; }}
_clew_hosts() {{ compgen -W "$({_ASK} hosts 2>/dev/null)" -- "$1"; }}
_clew_tools() {{ compgen -W "$({_ASK} "tools:${{COMP_WORDS[2]}}" 2>/dev/null)" -- "$1"; }}
""",
    "zsh": f"""
_clew_connectors() {{ compadd -- ${{(f)"$({_ASK} connectors 2>/dev/null)"}} }}
_clew_hosts() {{ compadd -- ${{(f)"$({_ASK} hosts 2>/dev/null)"}} }}
_clew_tools() {{ compadd -- ${{(f)"$({_ASK} tools:${{words[2]}} 2>/dev/null)"}} }}
""",
}


def show_script(arguments: Namespace) -> int:
    """Print the script of one shell; or, for such a script, the words it may offer."""
    if arguments.words:
        emit(*_words(arguments.words))
        return 0
    if not arguments.shell:
        raise ConfigurationError(f"say which shell: clew completion {' | '.join(SHELLS)}")
    import shtab

    if arguments.shell not in shtab.SUPPORTED_SHELLS:
        raise ConfigurationError(
            f"the installed shtab {shtab.__version__} makes no script for {arguments.shell}; "
            f"it makes them for {', '.join(shtab.SUPPORTED_SHELLS)}. A newer shtab may."
        )
    emit(shtab.complete(build(), arguments.shell, preamble=_PREAMBLE.get(arguments.shell, "")))
    return 0


def _words(wanted: str) -> list[str]:
    kind, _, name = wanted.partition(":")
    if kind == "hosts":
        from clew.servers.hosts.catalog import HOSTS

        return [*HOSTS, *discover()]
    try:
        return list(discover()) if kind == "connectors" else list(load(name).tools)
    except ClewError:
        return []
