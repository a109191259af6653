"""Motion models that animate a picture: PIA and AnimateLCM-I2V."""

from comfy_api.latest import io

from ..host.call.strength import strength_of
from ..host.conditioners.animatelcm_i2v import image_reference_conditioner
from ..host.conditioners.pia import pia_conditioner
from ..motion_models.pia_affinity import PRESETS
from .base import Node
from .categories import IMAGE_TO_VIDEO_MENU
from .input_checks import Minimum
from .motion import apply_with, motion_inputs
from .types import FRAME_VALUES, MOTION_MODEL


def image_inputs(file: str, image: str) -> list[io.Input]:
    """What both nodes take first.

    Args:
        file: name of a motion model that fits.
        image: tooltip of the picture.
    """
    return [
        io.Model.Input("model", tooltip="MODEL of an SD1.5 checkpoint, after LoRAs and model patches."),
        MOTION_MODEL.Input("motion_model", tooltip=f"From Load Motion Model: {file}."),
        io.Image.Input("image", tooltip=image),
        io.Vae.Input("vae", tooltip="VAE of the checkpoint; it encodes the picture."),
        io.Latent.Input(
            "latent",
            tooltip="The latent that will be sampled. Only its size is used: the picture is cut around its centre and "
            "resized to it.",
        ),
    ]


class ApplyPIA(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeApplyPIA",
            display_name="Apply PIA",
            category=IMAGE_TO_VIDEO_MENU,
            description="Applies PIA (Personalized Image Animator): a clip that moves away from a picture by a text "
            "prompt. Within Context Windows each frame keeps its own affinity.",
            search_aliases=[
                "pia",
                "image to video",
                "i2v",
                "ADE_ApplyAnimateDiffModelWithPIA",
                "ADE_InputPIA_PaperPresets",
                "ADE_InputPIA_Multival",
            ],
            inputs=[
                *image_inputs("pia.ckpt", "The picture to animate. Of a batch the first one counts."),
                io.Combo.Input(
                    "preset",
                    options=list(PRESETS),
                    default="motion_medium",
                    tooltip="How much each frame resembles the picture, by its distance from image_frame (values of "
                    "PIA's authors). loop comes back to the picture at the end of the clip, style lets the prompt "
                    "change the picture's style. small, medium and large are amounts of motion.",
                ),
                io.Int.Input(
                    "image_frame",
                    default=0,
                    min=-4096,
                    max=4095,
                    tooltip="Frame of the clip that is the picture. Negative numbers count from the end: -1 is the last.",
                ),
                io.MultiType.Input(
                    "affinity",
                    types=[io.Float, FRAME_VALUES, io.Mask],
                    optional=True,
                    tooltip="In place of preset and image_frame: how much a frame resembles the picture, 1 most, 0 not "
                    "at all. One number, Frame Values, or a MASK for one value per pixel (and frame).",
                ),
                *motion_inputs(),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to Context Windows or any sampler.")],
        )

    @classmethod
    def execute(
        cls, model, motion_model, image, vae, latent, preset: str, image_frame: int, affinity=None, **inputs
    ) -> io.NodeOutput:
        values = None if affinity is None else strength_of(affinity, "affinity")
        conditioner = pia_conditioner(model, motion_model, image, vae, latent, preset, image_frame, values)
        return apply_with(model, motion_model, inputs, conditioner)


class ApplyAnimateLCMI2V(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeApplyAnimateLCMI2V",
            display_name="Apply AnimateLCM-I2V",
            category=IMAGE_TO_VIDEO_MENU,
            description="Applies AnimateLCM-I2V: animates a picture in a few steps of the lcm sampler. Use it with "
            "the LoRA AnimateLCM_sd15_i2v_lora.safetensors, 2 to 4 steps and cfg 1.",
            search_aliases=[
                "animatelcm",
                "image to video",
                "i2v",
                "ADE_ApplyAnimateLCMI2VModel",
                "ADE_LoadAnimateLCMI2VModel",
                "ADE_UpscaleAndVAEEncode",
            ],
            inputs=[
                *image_inputs(
                    "AnimateLCM_sd15_i2v.ckpt",
                    "The picture to animate. A batch gives each frame its own picture; the last one is held.",
                ),
                io.Float.Input(
                    "ref_drift",
                    default=0.8,
                    min=Minimum(0.0),
                    max=10.0,
                    step=0.01,
                    tooltip="How far frames drift from the picture: factor of the frame numbers that the image encoder "
                    "sees. 0.8 is the authors' motion scale, 0 stays closest to the picture.",
                ),
                *motion_inputs(),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="Connect to Context Windows or any sampler.")],
        )

    @classmethod
    def execute(cls, model, motion_model, image, vae, latent, ref_drift: float, **inputs) -> io.NodeOutput:
        conditioner = image_reference_conditioner(motion_model, image, vae, latent, ref_drift)
        return apply_with(model, motion_model, inputs, conditioner)
