"""Where a training of a name leaves its files, claimed for as long as it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import folder_paths
from filelock import FileLock, Timeout

from ...inputs.quoting import quoted, reason_of
from ...training.names import check_training_name
from ...training.stages import Stage
from ..loading import model_files
from ..lora.unet_lora import LORA_FOLDER
from .files import TrainingFiles

RESULT_FOLDERS = {
    "motion_lora": model_files.MOTION_LORAS,
    "motion_model": model_files.MOTION_MODELS,
    "domain_adapter": LORA_FOLDER,
}


def files_of(stage: Stage, name: str) -> TrainingFiles:
    """Where a training's files lie: the result in a model folder that its loader reads, so that it can be chosen at once;
    the state in the user folder, where no loader looks.

    Of several model folders it is ComfyUI's own, as others may be shared with other programs or machines.

    Args:
        stage: kind of training.
        name: of its file, without an ending.

    Raises:
        ValueError: the name is none.
    """
    check_training_name(name)
    states = Path(folder_paths.get_user_directory()) / "default" / "zoetrope" / "training" / stage.name
    folders = [Path(folder) for folder in folder_paths.get_folder_paths(RESULT_FOLDERS[stage.name])]
    own = [folder for folder in folders if folder.is_relative_to(folder_paths.models_dir)]
    return TrainingFiles(
        result=[*own, *folders][0] / f"{name}.safetensors",
        state=states / f"{name}.state.safetensors",
    )


@contextmanager
def claimed(stage: Stage, name: str) -> Iterator[TrainingFiles]:
    """The files of a training, which nobody else writes inside the ``with`` block.

    Args:
        stage: kind of training.
        name: of its file, without an ending.

    Raises:
        ValueError: the name is none, belongs to a file that no training of this kind made, or to a training that runs.
    """
    files = files_of(stage, name)
    states = files.state.parent
    try:
        for folder in (states, files.result.parent):
            folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(states / f"{name}.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"A training by the name {quoted(name)} is running already; wait for it, or give this one another name."
        ) from None
    except OSError as error:
        raise ValueError(
            f"The folders of training {quoted(name)} cannot be written to ({reason_of(error)}); check their permissions."
        ) from error
    try:
        files.remove_unfinished()
        _require_own(files, RESULT_FOLDERS[stage.name], name)
        yield files
    finally:
        lock.release()


def _require_own(files: TrainingFiles, folder: str, name: str) -> None:
    """Refuse to write over a file that no training of ours left, and a name that loaders find in another folder."""
    found = folder_paths.get_full_path(folder, files.name)
    elsewhere = found is not None and Path(found) != files.result
    if elsewhere or (files.result.exists() and not files.state.exists()):
        raise ValueError(
            f"There is a file {quoted(files.name)} already, and no training {quoted(name)} that made it; choose another name."
        )
