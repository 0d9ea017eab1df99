"""The console: pages where people decide approvals and see what the agents do. Served by `clew console` on loopback and
by `clew serve --http`, always below `/console`."""
