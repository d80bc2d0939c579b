"""The one error that is the user's to mend: the command line prints it as a line and exits 2."""


class UserError(Exception):
    """Something the user can put right. The message is one line: what, where, what to do."""
