"""Rich text of providers as Markdown and back, for connectors that read or write it: models pay for text by token.

`adf` is Atlassian's document format. It reads whatever comes without failing, and writes only what Atlassian takes.
Notion's blocks, which only its own connector needs, are read and written there.
"""
