"""Sound of the same time as the frames.

The files hold a ramp from -0.5 to 0.5 at 8000 Hz, so a sample tells its time.
"""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

from support.files.footage import film, flat
from zoetrope.video.decode.container import VideoFile
from zoetrope.video.decode.frame_times import TimeMap, TimeSelection
from zoetrope.video.decode.reader import scan


def heard(file, **selection):
    """Samples of a selection, and its map."""
    frames = scan(VideoFile(file))
    plan = TimeMap(frames.timeline, TimeSelection(**selection))
    samples, rate = frames.audio(plan.start, plan.seconds)
    assert frames.audio_bytes(plan.seconds) == samples.nbytes
    assert (rate, samples.shape) == (8000, (1, round(plan.seconds * 8000)))
    return samples[0], plan


def test_sound_has_the_start_and_length_of_the_frames():
    """Three tenths into a ramp of a second is -0.2; PCM is exact, though Matroska counts milliseconds."""
    samples, plan = heard(film(flat(20, 2), 20, "matroska", sound=1.0), start=0.3, every_nth=2, max_frames=4)
    assert (plan.rate, plan.seconds) == (10, Fraction(2, 5))
    expected = np.linspace(-0.5, 0.5, 8000)[2400:5600]
    assert np.abs(samples - expected).max() < 1e-3


def test_blocks_are_joined_without_gaps():
    samples, _ = heard(film(flat(20, 2), 20, "matroska", sound=1.0))
    assert np.abs(np.diff(samples) - 1 / 7999).max() < 1e-4


@pytest.mark.parametrize("start", [0, 6, 12])
def test_compressed_sound_begins_where_the_frames_do(start):
    """AAC counts in blocks of 1024 samples, the first of which comes before time 0."""
    samples, _ = heard(film(flat(24, 2), 24, sound=1.0), skip_frames=start, max_frames=12)
    expected = np.linspace(-0.5, 0.5, 8000)[start * 8000 // 24 :][:4000]
    assert np.abs(samples - expected)[0 if start else 100 : -100].max() < 0.05


def test_another_rate_does_not_change_the_time_of_the_sound():
    slow, _ = heard(film(flat(24, 2), 24, "matroska", sound=1.0), frame_rate=8, start=0.5)
    own, _ = heard(film(flat(24, 2), 24, "matroska", sound=1.0), start=0.5)
    assert np.array_equal(slow, own)


def test_sound_that_ends_before_the_frames_is_padded_with_silence():
    samples, _ = heard(film(flat(24, 2), 24, "matroska", sound=0.5))
    assert np.abs(samples[3000:4000] - np.linspace(-0.5, 0.5, 4000)[3000:]).max() < 1e-3
    assert (samples[4000:] == 0).all()


def test_frames_that_begin_later_than_the_sound():
    """The first frame comes half a second in; so does the first sample that is given."""
    file = film(flat(12, 2), 24, "matroska", sound=1.0, times=range(12, 24))
    samples, plan = heard(file)
    assert plan.start == 0
    assert abs(float(samples[0])) < 2e-3


def remuxed(kind, files, keep):
    """A file of the packets that are kept, by number of the file, type and start in seconds."""
    made = BytesIO()
    with av.open(made, "w", format=kind) as target:
        streams = {}
        for number, file in enumerate(files):
            with av.open(BytesIO(file.getvalue())) as source:
                for stream in source.streams if number == 0 else ():
                    streams[stream.type] = target.add_stream_from_template(stream)
                for packet in source.demux():
                    if packet.pts is not None and keep(number, packet.stream.type, packet.pts * packet.time_base):
                        packet.stream = streams[packet.stream.type]
                        target.mux(packet)
    return made


def test_a_hole_in_the_sound_is_silent_and_moves_nothing():
    whole = film(flat(24, 2), 24, "matroska", sound=1.0)
    file = remuxed("matroska", [whole], lambda _, kind, time: kind == "video" or not 0.25 < time < 0.6)
    samples, _ = heard(file)
    errors = np.abs(samples - np.linspace(-0.5, 0.5, 8000)[: len(samples)])
    assert (samples[3400:4600] == 0).all()
    assert errors[:1900].max() < 1e-3 and errors[5700:].max() < 1e-3


def test_sound_whose_rate_changes_goes_on_in_time():
    """Half a second at 8000 Hz, then 16000, as broadcasts do between programmes.

    Each file is late by a block of 1024 samples, so that what follows from the second is 64 ms ahead.
    """
    files = [film(flat(24, 2), 24, "mpegts", sound=1.0, hertz=hertz) for hertz in (8000, 16000)]
    file = remuxed("mpegts", files, lambda n, kind, time: n == 0 if kind == "video" else (time > 0.5) == n)
    samples, _ = heard(file)
    ramp, ahead = np.linspace(-0.5, 0.5, 8000), round(0.064 * 8000)
    assert np.abs(samples - ramp)[200:3000].max() < 0.05
    assert np.abs(samples[:-ahead] - ramp[ahead:])[3600:7000].max() < 0.02


def test_a_file_without_sound_has_none():
    frames = scan(VideoFile(film(flat(2))))
    assert frames.audio(Fraction(0), Fraction(1)) is None
    assert frames.audio_bytes(Fraction(1)) == 0


def test_sound_that_ffmpeg_cannot_decode_is_left_out():
    """As the spatial sound of phones; decoding it ends the process."""
    known = film(flat(4), sound=0.2).getvalue()
    unknown = BytesIO(known.replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    for data, found in ((BytesIO(known), True), (unknown, False)):
        assert (scan(VideoFile(data)).audio(Fraction(0), Fraction(1)) is not None) == found


def test_sound_of_an_impossible_rate_is_left_out():
    """It would take gigabytes a minute."""
    file = film(flat(4), 24, "matroska", sound=0.01, hertz=1_000_000)
    assert scan(VideoFile(file)).audio(Fraction(0), Fraction(1)) is None


def test_damaged_sound_keeps_its_length():
    """The last quarter of the data is overwritten, and sound comes last there."""
    data = bytearray(film(flat(24, 2), 24, sound=1.0).getvalue())
    start, end = data.index(b"mdat") + 4, len(data)
    if data.index(b"moov") > start:
        end = data.index(b"moov") - 4
    data[end - (end - start) // 4 : end] = bytes((end - start) // 4)
    samples, _ = heard(BytesIO(bytes(data)))
    assert np.isfinite(samples).all()
    assert np.abs(samples[:1000]).max() > 0.3
