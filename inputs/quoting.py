"""Text of users and files, safe to stand in a message or a log line.

Such text can hold anything: characters that no terminal shows, halves of surrogate pairs that no log can write, a whole
file. Where it is quoted, it is printable ASCII and short.
"""

import difflib
import ntpath
import re
import reprlib
from collections.abc import Iterable
from itertools import islice

LONGEST_QUOTE = 80
MOST_NAMES = 10
# Of containers only the beginning is written.
_SHORT = reprlib.Repr(maxlevel=3, maxlist=20, maxtuple=20, maxdict=20, maxstring=200, maxlong=200, maxother=400)
# A path from the root, also of Windows: its last part is kept.
_PATH = re.compile(r"(?<![\w.:/\\])(?:file:)?(?:[A-Za-z]:)?[/\\][^\s'\"<>|:,;()\[\]]*[/\\]+(?=[^\s'\"<>|:,;()\[\]/\\])")


def plain(value: object, longest: int = LONGEST_QUOTE) -> str:
    """A value as printable ASCII without quotes: other characters as Python's escapes, cut at ``longest`` with "...".

    Args:
        value: anything; of text that is longer only the beginning is read.
        longest: characters of the result.
    """
    text = value if isinstance(value, str) else _text(value)
    shown = "".join(_printable(character) for character in islice(text, longest + 1))
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def quoted(value: object, longest: int = LONGEST_QUOTE) -> str:
    """A value for a message: text between single quotes, anything else as it is written, both by the rules of `plain`.

    Args:
        value: anything.
        longest: characters between the quotes.
    """
    return f"'{plain(value, longest)}'" if isinstance(value, str) else plain(value, longest)


def quoted_names(names: Iterable[str], most: int = MOST_NAMES) -> str:
    """Names in a row, the first ``most`` of them, then how many more there are; ``none`` where there is none."""
    listed = list(names)
    shown = ", ".join(quoted(name) for name in listed[:most])
    more = len(listed) - most
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def closest_names(name: object, names: Iterable[str], most: int = 3) -> str:
    """The names most like ``name``, then how many others there are, for a message about one that is not there.

    Where none is alike, the first ones stand there.
    """
    listed = list(names)
    alike = difflib.get_close_matches(str(name)[:LONGEST_QUOTE], listed, most, 0.5)
    return quoted_names(dict.fromkeys([*alike, *listed]), len(alike) or MOST_NAMES)


def reason_of(error: BaseException) -> str:
    """What an error of a library or the system says, in one line without the folders of absolute paths."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = [line.strip() for line in told[:4000].splitlines() if line.strip()]
    text = _PATH.sub("", lines[0]) if lines else type(error).__name__
    return plain(text, 200).rstrip(".")


def file_name(path: str) -> str:
    """The last part of a path, quoted: messages never show where a machine keeps its files."""
    return quoted(ntpath.basename(path.rstrip("/\\")) or path)


def _text(value: object) -> str:
    if isinstance(value, BaseException):
        return str(value)  # what it says
    try:
        return _SHORT.repr(value)
    except Exception:  # noqa: BLE001  # a foreign object's own code; the type is what is left to say
        return f"<{type(value).__name__}>"


def _printable(character: str) -> str:
    return character if " " <= character <= "~" else ascii(character)[1:-1]
