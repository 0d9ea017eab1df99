"""One tool, `list_issues`, written with each library. Every one is started as a process of its own."""
