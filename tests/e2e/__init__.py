"""Against real software of others; a package, so that they can share what is in conftest."""
