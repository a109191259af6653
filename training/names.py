"""Names that people give: of sets of clips, and of what is trained on them."""

import re

from ..inputs.quoting import quoted

_NAME = re.compile(r"\w(?:[\w .-]{0,78}[\w-])?")  # a file and a folder on every system, and no hidden one


def check_training_name(name: str) -> None:
    """Refuse a name that is no name of a file or a folder on every system.

    Raises:
        ValueError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name is {quoted(name)}; give 1 to 80 letters, digits, spaces, '.', '-' and '_' that begin with a letter or digit."
        )
