"""What a file is by its first bytes, whatever its name says.

Sources: safetensors README, "Format"; PKWARE's APPNOTE for ZIP; torch/serialization.py for the two kinds of torch's files;
git-lfs ``docs/spec.md`` for pointers.
"""

import codecs
import os
import zipfile
from typing import BinaryIO, Literal

from ..errors import MotionFileError

ModelContainer = Literal["safetensors", "torch", "legacy torch"]

HEAD_BYTES = 4096
LONGEST_HEADER = 100_000_000  # bytes of a safetensors file's list of weights, the library's own bound
MOST_GROWTH = 4  # an archive that unpacks to more than so many times its size is no model file: torch packs nothing
AGAIN = "download it again"
MODEL_ITSELF = "choose the model file, a .safetensors or .ckpt"

# First bytes, what such a file is, and the cure.
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, which stands for a file that was not fetched", "run git lfs pull"),
    (b"\x89PNG", "a PNG picture", MODEL_ITSELF),
    (b"\xff\xd8\xff", "a JPEG picture", MODEL_ITSELF),
    (b"GIF8", "a GIF picture", MODEL_ITSELF),
    (b"RIFF", "a WebP picture or a sound", MODEL_ITSELF),
    (b"%PDF", "a PDF document", MODEL_ITSELF),
    (b"GGUF", "a GGUF file, which no node of this pack reads", "get a .safetensors version of it"),
    (b"\x89HDF", "an HDF5 file, as Keras writes it", "get a .safetensors version of it"),
    (b"\x1f\x8b", "packed with gzip", "unpack it and choose the file inside"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it and choose the file inside"),
    (b"Rar!", "a RAR archive", "unpack it and choose the file inside"),
    (b"BZh", "packed with bzip2", "unpack it and choose the file inside"),
    (b"\xfd7zXZ", "packed with xz", "unpack it and choose the file inside"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it and choose the file inside"),
)


def container_of(file: BinaryIO) -> ModelContainer:
    """How to read a file.

    Args:
        file: open at its start.

    Raises:
        MotionFileError: it is no model file, or was cut off; the sentence goes on after the file's name.
    """
    head, size = file.read(HEAD_BYTES), file.seek(0, os.SEEK_END)
    if not head:
        raise MotionFileError(f"is empty; {AGAIN}.")
    if head.startswith(b"PK"):
        return _archive(file, size)
    if head[0] == 0x80 and size > 1 and 2 <= head[1] <= 5:
        return "legacy torch"
    if head[8:9] == b"{":
        length = int.from_bytes(head[:8], "little")
        if length <= LONGEST_HEADER:
            if length + 8 > size:
                raise MotionFileError(f"is a .safetensors file that was cut off within its first part; {AGAIN}.")
            return "safetensors"
    for signature, what, cure in _SIGNATURES:
        if head.startswith(signature):
            raise MotionFileError(f"is {what}, and holds no weights; {cure}.")
    raise MotionFileError(_other(head))


def _archive(file: BinaryIO, size: int) -> ModelContainer:
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise MotionFileError(f"was cut off or damaged: it is an archive without its last part; {AGAIN}.") from error
    if not any(record.filename.endswith("data.pkl") for record in records):
        raise MotionFileError(
            "is a ZIP archive, and none that holds weights by itself; unpack it and choose the file inside."
        )
    if (unpacked := sum(record.file_size for record in records)) > MOST_GROWTH * size:
        raise MotionFileError(
            f"has {size:,} bytes and would unpack to {unpacked:,}, which no model file does; {AGAIN}."
        )
    return "torch"


def _other(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head.strip(b"\0"):
        return f"holds zeros where its weights should be, as a download that never finished; {AGAIN}."
    if head[4:8] == b"ftyp":
        return f"is a video, and holds no weights; {MODEL_ITSELF}."
    if start[:1] == b"<":
        return (
            "is a web page, and holds no weights: the address that was saved shows a page, or asks for a login; download "
            "the file itself."
        )
    if start and _is_text(head):
        return f"is a text, and holds no weights; {MODEL_ITSELF}."
    return f"is neither a .safetensors file nor one of torch; {AGAIN}, or choose another file."


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # a letter may be cut at the end
    except UnicodeDecodeError:
        return False
    return not any(sign < " " and sign not in "\t\n\v\f\r" for sign in text)
