"""Nodes that sample clips of any length and write them while they are sampled."""

from typing import Any

from comfy_api.latest import Input, io

from ..host.sampling.fifo import endless_frames
from ..host.sampling.sampler_inputs import SamplerInputs, sampler_names, scheduler_names
from ..host.sampling.video_to_video import SegmentSettings, sampled_video
from ..host.video.frame_source import FrameSource
from ..host.video.output_files import filled_prefix
from ..host.video.save_settings import SavePlan, VideoSettings, check_widgets
from ..host.video.save_video import embedded_workflow, save_video
from ..host.video.video_input import VideoInput
from ..temporal.fifo import SAMPLERS, FifoSettings
from .base import Node
from .categories import VIDEO_MENU
from .input_checks import Minimum
from .video_widgets import TRAINED_RATE, audio_input, fit_input, format_inputs, quality_input, rate_input, saving_inputs
from .widgets import number, problem


def sampler_inputs() -> list[io.Input]:
    """``model``, ``positive``, ``negative`` and ``vae``, of both nodes."""
    return [
        io.Model.Input("model", tooltip="MODEL from Apply Motion Model. It needs no Context Windows."),
        io.Conditioning.Input(
            "positive",
            tooltip="What the clip should show. Prompts per frame, ControlNets and their hints follow the frames of the "
            "whole clip.",
        ),
        io.Conditioning.Input("negative", tooltip="What it should not show."),
        io.Vae.Input("vae", tooltip="VAE of the checkpoint."),
    ]


def seed_input() -> io.Input:
    """``seed``, of both nodes."""
    meaning = "Seed of all noise. The noise that a frame starts from depends on it and on the frame's number only."
    return number("seed", 0, 0, 2**64 - 1, meaning, control_after_generate=True)


def cfg_input() -> io.Input:
    """``cfg``, of both nodes."""
    meaning = "How closely the prompt is followed; 1 leaves the negative prompt out and takes half the time."
    return io.Float.Input("cfg", default=7.5, min=Minimum(0.0), max=100.0, step=0.1, round=0.01, tooltip=meaning)


def scheduler_input() -> io.Input:
    """``scheduler``, of both nodes."""
    meaning = "How the noise levels are spread; normal and sgm_uniform suit motion models."
    return io.Combo.Input("scheduler", options=scheduler_names(), default="normal", tooltip=meaning)


def video_outputs() -> list[io.Output]:
    """What both nodes give."""
    return [
        io.Video.Output(display_name="video", tooltip="The finished file, for Trim Video and others."),
        io.Int.Output(display_name="frame_count", tooltip="Frames in the file."),
    ]


def save_plan(hidden, rate, format: str, prefix: str, quality: int, save_output: bool) -> SavePlan:
    """What is written where, checked before anything is sampled."""
    return VideoSettings(
        frame_rate=rate,
        format=format,
        filename_prefix=filled_prefix(prefix, hidden.prompt, hidden.extra_pnginfo),
        quality=quality,
        save_output=save_output,
    ).resolved()


def written(source: FrameSource, plan: SavePlan, audio, save_workflow: bool, hidden) -> io.NodeOutput:
    """Sample, decode and write the frames."""
    metadata = embedded_workflow(save_workflow, hidden.prompt, hidden.extra_pnginfo)
    saved = save_video(source, plan, audio, metadata)
    return io.NodeOutput(saved.video_output(), saved.frames, ui=saved.ui())


class SampleEndless(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeSampleEndless",
            display_name="Sample Endless (FIFO)",
            category=VIDEO_MENU,
            description="Samples a clip of any length and writes it to a video file while it is sampled. Frames pass "
            "through a queue of rising noise levels (FIFO-Diffusion); memory is that of the queue, not of the clip.",
            search_aliases=["FIFO", "FIFO-Diffusion", "infinite", "unlimited length", "long video", "endless"],
            inputs=[*sampler_inputs(), *cls._sampling(), *cls._file()],
            outputs=video_outputs(),
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @staticmethod
    def _sampling() -> list[io.Input]:
        return [
            seed_input(),
            number("frames", 128, 1, 1000000, "Frames of the clip."),
            number("width", 512, 16, 8192, "Width of the frames in pixels.", step=8),
            number("height", 512, 16, 8192, "Height of the frames in pixels.", step=8),
            number(
                "window",
                16,
                2,
                1024,
                "Frames that the motion model sees together. 16 is what most were trained on; their number of positions "
                "(24 or 32) is the limit.",
            ),
            number(
                "partitions",
                4,
                1,
                64,
                "Windows in the queue. Each frame takes partitions x window sampling steps: 64 with 4 and 16. More is "
                "finer and slower.",
            ),
            io.Boolean.Input(
                "lookahead",
                default=True,
                tooltip="On: each frame is denoised beside cleaner ones only, which is steadier and takes twice the "
                "time.",
            ),
            cfg_input(),
            io.Combo.Input(
                "sampler_name",
                options=list(SAMPLERS),
                default="euler",
                tooltip="Steps of single frames: euler is the same as ddim, euler_ancestral adds fresh noise, lcm is for "
                "AnimateLCM.",
            ),
            scheduler_input(),
        ]

    @staticmethod
    def _file() -> list[io.Input]:
        return [
            rate_input(8.0, 0.01, TRAINED_RATE),
            *format_inputs(),
            io.Latent.Input(
                "start_clip",
                optional=True,
                tooltip="A sampled clip to go on from: its last window of frames; its size wins over width and height. Without it a "
                "clip is sampled first.",
            ),
            audio_input(),
            quality_input(),
            *saving_inputs(),
        ]

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        vae: io.Vae.Type,
        seed: int,
        frames: int,
        width: int,
        height: int,
        window: int,
        partitions: int,
        lookahead: bool,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        frame_rate: float,
        format: str,
        filename_prefix: str,
        start_clip: Input.Latent | None = None,
        audio: Input.Audio | None = None,
        quality: int = -1,
        save_output: bool = True,
        save_workflow: bool = True,
    ) -> io.NodeOutput:
        plan = save_plan(cls.hidden, frame_rate, format, filename_prefix, quality, save_output)
        settings = FifoSettings(
            frames=frames,
            window=window,
            partitions=partitions,
            lookahead=lookahead,
            sampler=sampler_name,
            seed=seed,
        )
        inputs = SamplerInputs(model=model, positive=positive, negative=negative, cfg=cfg)
        source = endless_frames(inputs, settings, scheduler, (width, height), vae, start_clip)
        return written(source, plan, audio, save_workflow, cls.hidden)

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        """ComfyUI marks each input that stands here; whether the others fit together is asked before sampling."""
        return problem(lambda: check_widgets(None, None, filename_prefix, None, None))


class SampleVideo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ZoetropeSampleVideo",
            display_name="Sample Video To Video",
            category=VIDEO_MENU,
            description="Samples a video anew, a few frames at a time, and writes it while it is sampled. Each segment "
            "starts with frames that the one before has finished; memory does not grow with the length of the video.",
            search_aliases=["video to video", "vid2vid", "v2v", "img2img video", "restyle video", "batch video"],
            inputs=[*sampler_inputs(), *cls._sampling(), *cls._file()],
            outputs=video_outputs(),
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @staticmethod
    def _sampling() -> list[io.Input]:
        samplers = sampler_names()
        return [
            io.Video.Input("video", tooltip="From Load Video; read from its file as it is needed."),
            seed_input(),
            number("steps", 20, 1, 10000, "Sampling steps."),
            cfg_input(),
            io.Combo.Input("sampler_name", options=samplers, default="euler", tooltip="Core's samplers."),
            scheduler_input(),
            io.Float.Input(
                "denoise",
                default=0.6,
                min=Minimum(0.0),
                max=1.0,
                step=0.01,
                tooltip="How much is made anew: 0 gives the video back, 1 keeps nothing but what ControlNets hold.",
            ),
            number("window", 16, 1, 1024, "Frames that are sampled together; 16 is what most motion models suit."),
            number(
                "overlap",
                4,
                0,
                1023,
                "Frames of a segment that the one before has finished and that lead it. More joins better and takes "
                "longer.",
            ),
        ]

    @staticmethod
    def _file() -> list[io.Input]:
        return [
            number("width", 0, 0, 8192, "Width in pixels, rounded to 8. 0: the video's, or in proportion to height."),
            number("height", 0, 0, 8192, "Height in pixels, rounded to 8. 0: the video's, or in proportion to width."),
            fit_input(optional=False),
            number("max_frames", 0, 0, 1000000, "Frames that are used, from the first. 0: all."),
            rate_input(0.0, 0.0, "Frames a second. 0: those of the video, and its sound is kept."),
            *format_inputs(),
            audio_input(),
            quality_input(),
            *saving_inputs(),
        ]

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        vae: io.Vae.Type,
        video: Input.Video,
        cfg: float,
        max_frames: int,
        frame_rate: float,
        format: str,
        filename_prefix: str,
        audio: Input.Audio | None = None,
        quality: int = -1,
        save_output: bool = True,
        save_workflow: bool = True,
        **segments: Any,
    ) -> io.NodeOutput:
        source_video = VideoInput(video, max_frames)
        rate = frame_rate or source_video.rate()
        plan = save_plan(cls.hidden, rate, format, filename_prefix, quality, save_output)
        settings = SegmentSettings(**segments)
        inputs = SamplerInputs(model=model, positive=positive, negative=negative, cfg=cfg)
        source = sampled_video(inputs, source_video, settings, vae)
        if audio is None and not frame_rate:
            audio = source_video.audio(float(source.frames / source_video.rate()))
        return written(source, plan, audio, save_workflow, cls.hidden)

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        """ComfyUI marks each input that stands here; whether the others fit together is asked before sampling."""
        return problem(lambda: check_widgets(None, None, filename_prefix, None, None))
