"""The one exception that a user can mend: its message says what is wrong, where, and what to do."""


class UserError(Exception):
    """Bad input or a missing resource. The command line prints the message without a traceback and exits with 2."""
