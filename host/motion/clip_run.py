"""What every run of a clip gets, with motion models as with windows."""

from comfy.model_patcher import ModelPatcher

from ..control.run import follow_frames
from ..progress.live_preview import play_while_sampling
from ..prompts.prompt_schedule import check_schedules
from .memory import count_frames_of_call


def prepare_clip_runs(model: ModelPatcher) -> None:
    """Let runs of ``model`` (a clone owned by the caller) treat their batch as a clip. A second call changes nothing.

    Memory is counted for one UNet call, plain ControlNets follow the frames, prompt schedules are compared with the
    clip's length, and previews move.
    """
    count_frames_of_call(model)
    follow_frames(model)
    check_schedules(model)
    play_while_sampling(model)
