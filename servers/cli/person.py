"""Who is at this machine, for the record of what they decide."""

import getpass
import os


def local_person() -> str:
    """The name of the account that runs this process: by its number, since
    anybody can set the variables that name it."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):  # Windows; a number without a name
        return getpass.getuser()
