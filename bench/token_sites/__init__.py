"""Upstreams for the providers that emulate has not: each answers both sides with the same full objects.

Written from the references, not recorded. An object has the fields that its reference shows, with values of ordinary
length, empty ones where an ordinary workspace has none. Nothing is left out because our side does not read it, nothing
added because theirs repeats it. What is asked for with a selection (`fields`, `$select`, `properties`, a GraphQL query)
is answered with that alone.
"""
