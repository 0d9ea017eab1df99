"""Checks against real software: a stateful GitHub, GitHub's own API description, and two MCP hosts.

`packages` installs what is needed, `processes` starts and stops it, `subject` is clew as an operator would run it,
`report` keeps what was seen. The other modules are one test bed each: `emulate`, `prism`, `inspector`, `claude`.
"""
