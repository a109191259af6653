"""Errors about files, written for the person who chose the file."""


class MotionFileError(ValueError):
    """A file is not what the node needs; the sentence says what it is and where it belongs."""
