"""Every name that this pack puts into a dict of the host. One name, one meaning.

A key of a MODEL names what it belongs to: the attachment, the wrappers, the callbacks and the additional models of one
thing share it; with several motion models, `host/motion/settings.py` adds a number and a role to it. A key of
transformer_options names the value that is found there.
"""

# MODEL: attachments, wrappers, callbacks, additional models
MOTION = "zoetrope_motion"
NOISE_SCHEDULE = "zoetrope_schedule"
VIEW_WINDOWS = "zoetrope_views"
BYPASS_LORA = "zoetrope_lora"
MEMORY = "zoetrope_memory"
CONTROL = "zoetrope_control"
PROMPTS = "zoetrope_prompts"
GUIDANCE = "zoetrope_guidance"
CONTEXT_WINDOWS = "zoetrope_windows"
CLIP_NOISE = "zoetrope_noise"
FREE_INIT = "zoetrope_free_init"
LIVE_PREVIEW = "zoetrope_preview"

# transformer_options
CLIP_LENGTH = "zoetrope_frames"  # frames of the clip that a run samples
RUN_CACHE = "zoetrope_cache"  # what a run computes once; a UserDict, because the host copies every dict for each call
RUN_REPORT = "zoetrope_report"  # what a run did, for its end and for lines that are said once
WINDOWS_PER_CHUNK = "zoetrope_windows_per_chunk"  # how many windows are stacked in the frames of one conditioning
UNTIL_BACKWARD = "zoetrope_until_backward"  # in training: what is undone when the gradients of a call are there

# keyword of a compiled UNet: core's compile node lets nothing in transformer_options be guarded
GRAPH_STATE = "zoetrope_runs"  # followed by the places where functions of ours run

# options of a conditioning
SCHEDULE_FRAMES = "zoetrope_prompt_frames"  # frames that its prompt schedule was made for
