"""Whether what came back is a sentence, a clip, or something broken."""

import re
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass

SENTENCE, ACCEPTED, BROKEN = "sentence", "accepted", "broken"
# What ComfyUI says of an input before anything runs.
REFUSALS = {
    *("value_not_in_list", "value_smaller_than_min", "value_bigger_than_max", "invalid_input_type"),
    *("custom_validation_failed", "required_input_missing", "return_type_mismatch", "prompt_outputs_failed_validation"),
}
SENTENCE_ERRORS = {"ValueError", "MotionFileError", "VideoError", "ExecutionBlocked"}
LONGEST = 700
# How much a server may hold more after a storm than before it.
ROOM = {"memory, MiB": 150, "threads": 4, "open files": 8, "child processes": 0}
_SENTENCE = re.compile(r"[ -~]{10,}[.!?)\"']")
_FOLDER = re.compile(r"(?<![\w.])/(?:tmp|home|work|root|usr)/")
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line \d+, in [^\n]+\n\s*(?P<code>[^\n]*)')
_LINE = re.compile(r"node \S+ \((?P<node>[^)]*)\), (?P<kind>\w+): (?P<text>.*)", re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """What one prompt came to.

    Attributes:
        kind: SENTENCE, ACCEPTED or BROKEN.
        message: what the user reads, or what is broken.
    """

    kind: str
    message: str = ""


def is_sentence(text: str) -> bool:
    """Whether a message is printable ASCII of one line that ends as sentences do."""
    text = text.strip()
    return bool(_SENTENCE.fullmatch(text)) and len(text) <= LONGEST and not _FOLDER.search(text)


def is_on_purpose(traceback: list[str]) -> bool:
    """Whether an error was raised by a ``raise`` of ours or of ComfyUI's, not by Python or a library.

    Python's own ``could not convert string to float: 'x'`` is a ValueError too, and ends as a sentence may.

    Args:
        traceback: as ``traceback.format_tb`` gives it; none of a blocked output, which has only its sentence.
    """
    frames = _FRAME.findall("".join(traceback))
    if not frames:
        return not traceback
    file, code = frames[-1]
    foreign = "site-packages" in file or file.startswith(sysconfig.get_path("stdlib"))
    return code.startswith("raise ") and not foreign


def of_refusal(lines: list[str]) -> Verdict:
    """Of what the server said when a prompt was queued.

    Args:
        lines: as ``client.PromptError`` has them.
    """
    for line in lines:
        found = _LINE.fullmatch(line)
        kind = found["kind"] if found else "invalid_prompt"
        if kind not in REFUSALS:
            return Verdict(BROKEN, line)
        if found and kind == "custom_validation_failed":
            # ``name`` or ``name - sentence``, behind ComfyUI's own words
            told = found["text"].partition(" - ")[2]
            if told and not is_sentence(told):
                return Verdict(BROKEN, line)
    return Verdict(SENTENCE, "\n".join(lines))


def of_error(error: dict) -> Verdict:
    """Of an exception in a node.

    Args:
        error: ``execution_error`` of the history.
    """
    kind = str(error.get("exception_type", "")).rpartition(".")[2]
    text = str(error.get("exception_message", "")).strip()
    told = f"{error.get('node_type')}, {kind}: {text}"
    meant = kind in SENTENCE_ERRORS and is_on_purpose(error.get("traceback") or [])
    return Verdict(SENTENCE if meant and is_sentence(text) else BROKEN, told)


def of_results(not_finite: list[str], blank: list[str]) -> Verdict:
    """Of a prompt that ran to its end.

    Args:
        not_finite: latents that hold numbers which are none.
        blank: films of one colour.
    """
    if not_finite or blank:
        return Verdict(BROKEN, f"not finite: {not_finite}, of one colour: {blank}")
    return Verdict(ACCEPTED)


def grown(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """What a server holds more of after a storm than `ROOM` allows.

    Args:
        before: once the good prompts have run.
        after: once they have run again.
    """
    return [
        f"{name}: {before[name]} to {after[name]}" for name, room in ROOM.items() if after[name] - before[name] > room
    ]
