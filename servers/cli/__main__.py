"""`python -m clew.servers.cli`, for hosts that start a server by interpreter."""

import sys

from clew.servers.cli import main

sys.exit(main())
