"""How one call is made, judged and recorded."""
