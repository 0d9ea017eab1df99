"""How the world reaches a connector: MCP over stdio and HTTP, and the command line."""
