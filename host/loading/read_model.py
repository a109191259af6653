"""The one way into model files: opened as what they are, never running code, and a sentence for whatever goes wrong."""

import pickle
from typing import Any

import comfy.utils
import safetensors
import torch

from ...inputs.quoting import file_name, plain, reason_of
from ...motion_models.checkpoints.container import ModelContainer, container_of
from ...motion_models.checkpoints.state_dict import named
from ...motion_models.errors import MotionFileError

SAFETENSORS_NAMES = (".safetensors", ".sft")
# What torch's reader says of bytes that are no pickle, or are the first part of one.
DAMAGED = ("truncated", "Unsupported operand", "Ran out of input")


def read_path(path: str) -> dict[str, Any]:
    """Read a model file on the CPU.

    Args:
        path: of the file; its name does not matter, only what it holds.

    Returns:
        Its entries by name. Files of torch are read with ``weights_only``.

    Raises:
        MotionFileError: it is no model file, holds pickled code, or cannot be read; the sentence begins with its name.
    """
    try:
        with open(path, "rb") as file:
            container = container_of(file)
        return named(_content(path, container))
    except MotionFileError as error:
        raise MotionFileError(f"{file_name(path)}{plain(_says(error), 600)}") from error
    except pickle.UnpicklingError as error:
        if any(words in str(error) for words in DAMAGED):
            raise MotionFileError(f"{file_name(path)} is damaged or was cut off; download it again.") from error
        raise MotionFileError(
            f"{file_name(path)} holds pickled code and was not opened; get a .safetensors version of it."
        ) from error
    except OSError as error:
        raise MotionFileError(
            f"{file_name(path)} cannot be read ({reason_of(error)}); check the file and its folder's permissions."
        ) from error
    except MemoryError as error:
        raise MotionFileError(
            f"{file_name(path)} asks for more memory than there is; download it again, or close other programs."
        ) from error
    except Exception as error:
        # Readers of damaged files raise nearly anything: KeyError, IndexError, struct.error, AssertionError, ...
        raise MotionFileError(
            f"{file_name(path)} is damaged or was cut off ({reason_of(error)}); download it again."
        ) from error


def _says(error: MotionFileError) -> str:
    """What an error says, to go on after the file's name: of the container, or of "this file"."""
    return f": {error}" if str(error).startswith("this file") else f" {error}"


def _content(path: str, container: ModelContainer) -> object:
    if container == "safetensors":
        if path.lower().endswith(SAFETENSORS_NAMES):
            return comfy.utils.load_torch_file(path, safe_load=True)
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:  # pyright: ignore
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    # By the host's flag; the older kind of file cannot be mapped.
    mapped = {"mmap": True} if comfy.utils.MMAP_TORCH_FILES and container == "torch" else {}
    return torch.load(path, map_location="cpu", weights_only=True, **mapped)
