"""Parts of a MODEL that act while it samples, and that training leaves out."""

import logging

from comfy.model_patcher import ModelPatcher

from ...inputs.quoting import plain
from ..call import keys
from ..motion.view_windows import views_of
from .target import own_clone

log = logging.getLogger("zoetrope")


def clone_for_training(model: ModelPatcher) -> ModelPatcher:
    """A clone in whose UNet calls all frames of a clip see each other, as the paper trains; says what it leaves out.

    Context Windows and FreeInit belong to the sampler, which training does not use; they stay for previews.
    """
    found = {
        "Context Windows": model.model_options.get("context_handler"),
        "View Windows": views_of(model),
        "FreeInit": model.get_attachment(keys.FREE_INIT),
    }
    if left_out := [name for name, part in found.items() if part is not None]:
        log.info("%s of this MODEL have no part in training: a clip is trained whole.", plain(", ".join(left_out)))
    clone = own_clone(model)
    clone.remove_attachments(keys.VIEW_WINDOWS)
    return clone
