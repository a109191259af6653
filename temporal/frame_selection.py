"""Which frames of a clip a text such as ``0:16, -1`` names."""

from dataclasses import dataclass

from ..inputs.quoting import plain, quoted
from ..inputs.written import whole_number, written_pieces

MOST_SELECTED = 100_000  # frames; a text of a few letters can name a clip a thousand times
FRAME_SELECTION_EXAMPLE = "0:16, ::2, ::-1, -1"


@dataclass(frozen=True)
class FrameSelection:
    """Frame numbers and Python slices, in the order in which they were written."""

    pieces: tuple[int | slice, ...]

    def indexes(self, total_frames: int) -> list[int]:
        """Frame numbers from 0, each piece after the other; a frame may come several times.

        Args:
            total_frames: frames of the clip.

        Raises:
            ValueError: a number is outside the clip, or nothing or too much is selected.
        """
        chosen: list[int] = []
        for piece in self.pieces:
            if isinstance(piece, slice):
                chosen += range(total_frames)[piece]
            elif -total_frames <= piece < total_frames:
                chosen.append(piece % total_frames)
            else:
                raise ValueError(
                    f"select names frame {plain(piece)}, but the clip has {total_frames} frames: 0 to {total_frames - 1}, or "
                    f"-{total_frames} to -1 from the end."
                )
            if len(chosen) > MOST_SELECTED:
                raise ValueError(
                    f"select names more than {MOST_SELECTED:,} frames; name fewer, or cut the clip in parts."
                )
        if not chosen:
            raise ValueError(f"select chooses no frame of the clip's {total_frames}; ':' takes all of them.")
        return chosen


def parse_selection(text: str) -> FrameSelection:
    """Read a selection.

    Args:
        text: numbers and slices separated by commas or line breaks. Negative numbers count from the end; a slice is
            ``start:stop:step`` as in Python, where each part may be left out.

    Raises:
        ValueError: a piece cannot be read; the sentence names it.
    """
    chosen = tuple(_parse_piece(piece) for piece in written_pieces("select", text))
    if not chosen:
        raise ValueError(f"select is empty; write for example '{FRAME_SELECTION_EXAMPLE}', or ':' for all frames.")
    return FrameSelection(chosen)


def _parse_piece(piece: str) -> int | slice:
    parts = piece.split(":")
    try:
        numbers = [whole_number(part.strip()) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or (len(numbers) == 3 and numbers[2] == 0):
        raise ValueError(
            f"select cannot read {quoted(piece)}; write numbers and slices start:stop:step with a step other than 0, "
            f"for example '{FRAME_SELECTION_EXAMPLE}'."
        )
    first = numbers[0]
    return first if len(numbers) == 1 and first is not None else slice(*numbers)
