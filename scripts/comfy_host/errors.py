"""The one error type of the set-up: its text is a whole sentence for the user."""


class SetupError(RuntimeError):
    """Something the user must know or mend; shown without a traceback."""
