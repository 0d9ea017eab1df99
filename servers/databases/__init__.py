"""A SQL database served as a connector: `sql:postgresql://HOST/NAME` or `sql:PROFILE.toml`.

`profile` says what is served, `guard` which statements are taken, `dialects` what differs between databases, `session`
runs one operation and is the only place that opens a connection, `tools`, `declared` and `changes` make the tools.
"""
