"""APIs from their descriptions: an OpenAPI document, a GraphQL schema or a WSDL becomes a connector.

    sources     where a description is, and how its bytes are read and decoded within bounds
    documents   `$ref` within one document, and nowhere else
    shapes      what of a description's types a tool shows: small, never recursive
    names       verb_noun and identifiers from whatever a description calls things
    plans       one tool as data; `openapi`, `graphql` and `soap` make them
    live        plans to the tools of a connector in memory (`clew serve openapi:…`)
    writing     plans to a module that an author owns (`clew new NAME --openapi …`)

Plans are the seam: both ends read the same ones, so what is served and what is written are the same tools. A
description comes from outside: its texts are data, its names are spelled anew, no address in it is followed.
"""
