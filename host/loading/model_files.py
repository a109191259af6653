"""Model folders: the community's names, so that files people already have are found."""

import os
import pickle

import comfy.utils
import folder_paths
from safetensors import SafetensorError

MOTION_MODELS = "animatediff_models"
MOTION_LORAS = "animatediff_motion_lora"


def register_model_folders() -> None:
    """Tell ComfyUI about the two folders; paths from extra_model_paths.yaml are kept."""
    for name in (MOTION_MODELS, MOTION_LORAS):
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))
        extensions = folder_paths.folder_names_and_paths[name][1]
        if extensions is not folder_paths.supported_pt_extensions:
            # A folder that ComfyUI learns of this way lists every file until it has extensions.
            extensions.update(folder_paths.supported_pt_extensions)


def file_names(folder: str) -> list[str]:
    """File names a loader offers, in ComfyUI's order; empty while the folder is unknown."""
    if folder not in folder_paths.folder_names_and_paths:
        return []
    return folder_paths.get_filename_list(folder)


def missing_file(folder: str, name: str) -> str | None:
    """A sentence that says the file is not there and what is, or None when it is there."""
    if name in file_names(folder):
        return None
    found = ", ".join(file_names(folder)) or "nothing"
    return f"'{name}' is not in models/{folder} (found: {found}); put the file there and press R to refresh."


def read_file(folder: str, name: str) -> tuple[str, dict]:
    """Read a model file on the CPU.

    Args:
        folder: model folder key.
        name: file name as listed by `file_names`.

    Returns:
        (absolute path, state dict). ``.ckpt``, ``.pt`` and ``.pth`` are read with ``weights_only``.

    Raises:
        ValueError: the file is missing, is no model file, or holds pickled code.
    """
    path = folder_paths.get_full_path(folder, name)
    if path is None:
        raise ValueError(missing_file(folder, name))
    return path, read_path(path)


def read_path(path: str) -> dict:
    """Read one model file by its path; see `read_file`."""
    try:
        state_dict = comfy.utils.load_torch_file(path, safe_load=True)
        if not isinstance(state_dict, dict):
            raise TypeError(f"it holds a {type(state_dict).__name__}, not weights by name")
        return state_dict
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"'{os.path.basename(path)}' holds pickled code and was not opened; get a .safetensors version of it."
        ) from error
    except (OSError, ValueError, TypeError, RuntimeError, EOFError, SafetensorError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"'{os.path.basename(path)}' cannot be read ({reason}); if other files load, download it again."
        ) from error
