"""Who may call: schemes, grants, refresh, vault, keys."""
