"""Combine Video that is interrupted or fails in the middle: no file, no process and no folder of frames is left."""

import pytest
from comfy import model_management
from comfy.taesd.taesd import TAESD

from support.clips import left_behind, running_children
from support.combine import RecordingVAE, combine, image_vae, images, latents, plan_for
from zoetrope.host.video import frame_source as sources
from zoetrope.host.video import save_video as video

pytestmark = pytest.mark.usefixtures("folders")


@pytest.mark.parametrize("format", ["h264-mp4", "gif", "webp"])
def test_an_interrupt_in_the_middle_leaves_nothing(folders, format):
    class Interrupting(RecordingVAE):
        def decode(self, samples_in, *more, **options):
            if len(self.calls) == 2:
                assert len(running_children()) == 1
                model_management.interrupt_current_processing()
            return super().decode(samples_in, *more, **options)

    vae = Interrupting(TAESD(latent_channels=4))
    with pytest.raises(model_management.InterruptProcessingException):
        combine(samples=latents(64), vae=vae, format=format)
    assert sum(vae.calls) == 24
    assert left_behind(folders) == ["output", "output/zoetrope", "temp"]
    assert running_children() == []
    _, ui = combine(samples=latents(3), vae=image_vae(), format=format)
    assert ui["video"][0]["filename"].startswith("animation_00001_")


def test_a_failing_vae_leaves_nothing(folders):
    class Failing(RecordingVAE):
        def decode(self, samples_in, *more, **options):
            if self.calls:
                raise RuntimeError("out of something")
            return super().decode(samples_in, *more, **options)

    with pytest.raises(RuntimeError, match="out of something"):
        combine(samples=latents(20), vae=Failing(TAESD(latent_channels=4)))
    assert left_behind(folders) == ["output", "output/zoetrope", "temp"]
    assert running_children() == []


def test_an_interrupt_is_noticed_between_chunks_of_images(folders):
    """A VAE notices interrupts itself; plain images must too."""
    frames, asked = images(64), []

    def at(numbers):
        asked.append(numbers)
        if len(asked) == 3:
            model_management.interrupt_current_processing()
        return frames[numbers]

    settings = plan_for("clip")
    with pytest.raises(model_management.InterruptProcessingException):
        video.save_video(sources.FrameSource(64, at), settings)
    assert len(asked) == 3
    assert left_behind(folders) == ["output", "temp"]


def test_an_interrupt_during_the_last_chunk_is_noticed_while_ffmpeg_finishes(folders):
    def at(numbers):
        if numbers[0] == 8:
            model_management.interrupt_current_processing()
        return images(16)[numbers]

    with pytest.raises(model_management.InterruptProcessingException):
        video.save_video(sources.FrameSource(16, at), plan_for("clip"))
    assert left_behind(folders) == ["output", "temp"]
    assert running_children() == []
