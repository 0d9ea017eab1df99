"""The agent hosts: where each keeps its MCP servers, how an entry looks there, and how a file of theirs is changed.

`catalog` is the table of hosts, `entries` what is written, `documents` how a file's text changes without losing a
comment (`jsonc`, `blocks`), `files` how it reaches the disk, `proof` whether the host can then use it.
"""
