"""Values for parts of the UNet: ``down: 1, mid: 0.5, up.2.0: 0``."""

import re
from dataclasses import dataclass

from ..inputs.numbers import finite
from ..inputs.quoting import quoted
from ..inputs.written import written_pieces
from .spec import MotionSpec, Site

BLOCK_VALUES_EXAMPLE = "down: 1, mid: 0.5, up.2.0: 0"
BLOCK_ENTRY = re.compile(
    r"(?P<part>down|mid|up)(?:\.(?P<level>\d+))?(?:\.(?P<block>\d+))?\s*[:=]\s*(?P<effect>[^\s]+)"
    r"(?:\s+scale\s+(?P<scale>[^\s]+))?"
)


@dataclass(frozen=True)
class BlockValue:
    """One entry.

    Attributes:
        name: block as written, such as ``up.2.0``.
        effect: factor of the motion modules' effect there.
        scale: factor of their scale there.
    """

    name: str
    effect: float
    scale: float = 1.0

    def __str__(self) -> str:
        return f"{self.name}: {self.effect:g}" + (f" scale {self.scale:g}" if self.scale != 1.0 else "")


@dataclass(frozen=True)
class BlockValues:
    """Entries in the order in which they were written."""

    entries: tuple[BlockValue, ...] = ()

    def __str__(self) -> str:
        """As `parse_block_values` reads it."""
        return ", ".join(map(str, self.entries))

    def at(self, site: Site) -> BlockValue:
        """The value of a motion module: the entry that names it most exactly, of equals the later one; else 1."""
        found = BlockValue("", 1.0)
        for entry in self.entries:
            if covers(entry.name, site) and entry.name.count(".") >= found.name.count("."):
                found = entry
        return found

    def unknown(self, spec: MotionSpec) -> list[str]:
        """Names of entries that name no motion module of ``spec``."""
        return [entry.name for entry in self.entries if not any(covers(entry.name, site) for site in spec.sites)]


def block_name(site: Site) -> str:
    """Name of a motion module in entries: part, level and number within the level, such as ``down.1.0``."""
    if site.part == "middle":
        return "mid"
    if site.part == "input":
        return f"down.{(site.index - 1) // 3}.{(site.index - 1) % 3}"
    return f"up.{site.index // 3}.{site.index % 3}"


def covers(name: str, site: Site) -> bool:
    """Whether an entry's name means this motion module."""
    return f"{block_name(site)}.".startswith(f"{name}.")


def parse_block_values(text: str) -> BlockValues:
    """Read a ``per_block`` string.

    Args:
        text: ``block: effect`` or ``block: effect scale S``, separated by commas or line breaks. Blocks are ``down``,
            ``mid`` and ``up``, a level of them (``up.2``, counted as in the published names) or one motion module
            (``up.2.0``). Levels and modules not named keep 1.

    Raises:
        ValueError: an entry cannot be read; the sentence names it and shows an example.
    """
    entries: list[BlockValue] = []
    for piece in written_pieces("per_block", text, ",\n;"):
        match = BLOCK_ENTRY.fullmatch(piece)
        numbers = [] if match is None else [finite(match["effect"]), finite(match["scale"] or "1")]
        if match is None or None in numbers:
            raise ValueError(
                f"per_block cannot read {quoted(piece)}; write for example '{BLOCK_VALUES_EXAMPLE}' or 'up: 0.8 scale 1.2'."
            )
        name = ".".join(part for part in (match["part"], match["level"], match["block"]) if part is not None)
        entries.append(BlockValue(name, *[number for number in numbers if number is not None]))
    return BlockValues(tuple(entries))
