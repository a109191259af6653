"""PIA's affinity: how much each frame of a clip resembles the condition image.

An affinity is one number per frame, the first of PIA's condition channels: 1 is the image itself, less moves more.
"""

from collections.abc import Sequence

TABLE_FRAMES = 16  # length of the clips PIA was trained with and its loops were written for
LOOP = "loop"

# Value at each distance in frames from the condition image; the last one holds for all that are farther.
# Source: open-mmlab/PIA animatediff/utils/util.py, RANGE_LIST.
PRESETS: dict[str, tuple[float, ...]] = {
    "motion_small": (1.0, 0.9, 0.85, 0.85, 0.85, 0.8),
    "motion_medium": (1.0, 0.8, 0.8, 0.8, 0.79, 0.78, 0.75),
    "motion_large": (1.0, 0.8, *[0.7] * 8, 0.6, 0.5, 0.5),
    "loop_small": (1.0, 0.9, 0.85, 0.85, 0.85, *[0.8] * 7, 0.85, 0.85, 0.9, 1.0),
    "loop_medium": (1.0, 0.8, 0.8, 0.8, 0.79, 0.78, *[0.75] * 5, 0.78, 0.79, 0.8, 0.8, 1.0),
    "loop_large": (1.0, 0.8, *[0.7] * 4, 0.6, 0.5, 0.5, 0.6, *[0.7] * 4, 0.8, 1.0),
    "style_small": (0.5, 0.4, 0.4, 0.4, 0.35, 0.3),
    "style_medium": (0.5, 0.4, 0.4, 0.4, 0.35, 0.35, 0.3, 0.25, 0.2),
    "style_large": (0.5, 0.2),
}


def affinity(preset: str, frame_numbers: Sequence[int], total: int, image_frame: int = 0) -> list[float]:
    """Affinity of some frames of a clip.

    Loops are stretched to the clip: distance d is read from the table at d * 15 / (total - 1), between its entries
    linearly. A clip of 16 frames gets the table as it is, any other also starts at 1 and ends at 1.

    Args:
        preset: a name of `PRESETS`.
        frame_numbers: which frames.
        total: frames of the clip.
        image_frame: the frame that is the condition image; negative counts from the end.

    Returns:
        One value for each of ``frame_numbers``.

    Raises:
        ValueError: the clip has no such frame.

    Source:
        open-mmlab/PIA ``animatediff/utils/util.py``, ``prepare_mask_coef_by_statistics``; stretched loops are ours.
    """
    start = image_frame + total * (image_frame < 0)
    if not 0 <= start < total:
        raise ValueError(
            f"image_frame {image_frame} is not a frame of this clip; it has {total} frames, 0 to {total - 1}."
        )
    table = PRESETS[preset]
    stretch = (TABLE_FRAMES - 1) / max(1, total - 1) if preset.startswith(LOOP) else 1.0
    return [_read(table, abs(frame - start) * stretch) for frame in frame_numbers]


def _read(table: tuple[float, ...], position: float) -> float:
    index = min(int(position), len(table) - 1)
    after = min(index + 1, len(table) - 1)
    return table[index] + (table[after] - table[index]) * (position - int(position))
