"""How providers sign their webhooks, as data; `catalog` has them all by name."""
