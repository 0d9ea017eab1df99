"""Rich text of providers as Markdown and back, for connectors that read or write it: models pay for text by token.

`adf` is Atlassian's document format, `notion` are Notion's blocks. Both read whatever comes without failing, and write
only what the provider takes.
"""
