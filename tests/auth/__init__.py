"""Tests of auth; a package, so that they can share what is in conftest."""
