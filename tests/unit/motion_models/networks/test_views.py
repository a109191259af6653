"""Windows stacked in one call, and views, in a motion module.

Expected: stacked windows are those windows one at a time; views are the same attentions in a plain loop over the views.
"""

from dataclasses import replace

import pytest
import torch

from support.toy_models.modules import CHANNELS, FRAMES, build, clip
from zoetrope.motion_models.networks import motion_module as network
from zoetrope.motion_models.networks.module_call import Branch, ModuleCall, PoseMerge
from zoetrope.motion_models.networks.views import longest, view_groups
from zoetrope.temporal.windows.blending import blend_shares
from zoetrope.temporal.windows.schedules import windows_for_step
from zoetrope.temporal.windows.settings import WindowSettings

TOLERANCE = 2e-5  # of float32 sums in another order; outputs are about 1
PIXELS = 24
CPU = torch.device("cpu")


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def linear(inputs, outputs, seed):
    layer = torch.nn.Linear(inputs, outputs, bias=False).requires_grad_(False)
    layer.weight.copy_(random(outputs, inputs, seed=seed) * inputs**-0.5)
    return layer


def busy_call(rows, views=()):
    """Every kind of value: by frame and pixel, by frame, and a pose."""
    by_frame = random(rows, 1, seed=1)
    by_pixel = 1 + 0.5 * random(rows, PIXELS, seed=2)
    return ModuleCall(
        scale=by_pixel,
        effect=by_frame,
        branches={
            "attentions.0.to_qkv": (Branch(linear(CHANNELS, 3, 3), linear(3, CHANNELS, 4), by_frame, (0, CHANNELS)),),
            "attentions.1.to_out": (Branch(linear(CHANNELS, 3, 5), linear(3, CHANNELS, 6), by_pixel),),
            "feed_forward.contract": (Branch(linear(4 * CHANNELS, 3, 7), linear(3, CHANNELS, 8), by_frame),),
        },
        pose=PoseMerge(random(rows, CHANNELS, PIXELS, seed=9), linear(CHANNELS, CHANNELS, 10), by_frame),
        views=views,
    )


def rows_of(call, rows):
    """The call for some of its rows, as a call for those frames alone would be built."""
    return call.mapped(lambda value: value[rows] if isinstance(value, torch.Tensor) else value, lambda pose: pose[rows])


@pytest.mark.parametrize("limit", [None, 7], ids=["one pass", "many passes"])
@pytest.mark.parametrize("across", [False, True], ids=["norm by frame", "norm across frames"])
def test_stacked_windows_equal_each_alone(limit, across):
    """Two conditionings of three windows each: values are those of the window's frames, nothing crosses a border."""
    module = build(max_sequences=limit).module_at("input", 4)
    module.norm_across_frames = across
    windows, chunks = 3, 2
    x, call = clip(windows * FRAMES, chunks), busy_call(windows * FRAMES)
    together = module(x, FRAMES, call).unflatten(0, (chunks, windows, FRAMES))
    parts = x.unflatten(0, (chunks, windows, FRAMES))
    for window in range(windows):
        own = rows_of(call, slice(window * FRAMES, (window + 1) * FRAMES))
        alone = module(parts[:, window].flatten(0, 1), FRAMES, own).unflatten(0, (chunks, FRAMES))
        torch.testing.assert_close(together[:, window], alone, rtol=0, atol=TOLERANCE)
    first = rows_of(call, slice(0, FRAMES))
    assert (together[:, 1].flatten(0, 1) - module(parts[:, 1].flatten(0, 1), FRAMES, first)).abs().max() > 1e-2


def views_of(settings, frames, step):
    windows = windows_for_step(settings, frames, step)
    shares = blend_shares(settings, windows, frames)
    return windows, shares, view_groups(windows, shares, CPU)


SETTINGS = [
    WindowSettings(length=6, overlap=2, schedule="standard_uniform", fuse="pyramid"),
    WindowSettings(length=6, overlap=2, schedule="standard_static", fuse="relative"),
    WindowSettings(length=6, overlap=2, schedule="looped_uniform", fuse="flat", closed_loop=True),
    WindowSettings(length=6, overlap=1, schedule="batched", fuse="pyramid"),
    WindowSettings(length=6, overlap=2, schedule="shifted", fuse="overlap_linear"),
]


def slowly(module, x, frames, call, windows, shares):
    """The module with views as a loop over clips, pixels and views."""
    clips = x.unflatten(0, (-1, frames))
    out = torch.empty_like(clips)
    for number, pixels in enumerate(clips):
        normed = module.norm(pixels).flatten(2)
        for pixel in range(PIXELS):
            at = call.of_pixels(slice(pixel, pixel + 1)).for_sequences(1, frames, 1)
            h = at.run("proj_in", module.proj_in, normed[None, :, :, pixel])
            merged = torch.zeros_like(h)
            for window, share in zip(windows, shares, strict=True):
                own = at.mapped(
                    lambda value, w=window: value[:, w] if isinstance(value, torch.Tensor) else value,
                    lambda pose, w=window: pose[:, w],
                )
                part = module.attentions[0](h[:, window], own)
                part = module.attentions[1](part, replace(own, pose=None))
                merged[:, window] += part * torch.tensor(share)[None, :, None]
            h = at.run("proj_out", module.proj_out, module.feed_forward(merged, at))
            row, column = divmod(pixel, pixels.shape[-1])
            effect = at.effect[0] if isinstance(at.effect, torch.Tensor) else at.effect
            out[number, :, :, row, column] = pixels[:, :, row, column] + effect * h[0]
    return out.flatten(0, 1)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s.schedule)
def test_views_equal_a_slow_loop(settings):
    module, frames, chunks = build().module_at("input", 4), 20, 2
    x = clip(frames, chunks)
    for step in (0, 3):
        windows, shares, views = views_of(settings, frames, step)
        assert len(views) == len({len(window) for window in windows})
        call = busy_call(frames, views)
        ours = module(x, frames, call)
        torch.testing.assert_close(ours, slowly(module, x, frames, call, windows, shares), rtol=0, atol=1e-4)
    assert (ours - module(x, frames, replace(call, views=()))).abs().max() > 1e-2


def test_views_within_stacked_windows_and_in_passes():
    """Each window has the same views; a bound on the sequences changes nothing."""
    frames, windows = 12, 2
    _, _, views = views_of(SETTINGS[0], frames, 1)
    call, x = busy_call(windows * frames, views), clip(windows * frames)
    module = build().module_at("input", 4)
    together = module(x, frames, call)
    for number in range(windows):
        rows = slice(number * frames, (number + 1) * frames)
        alone = module(x[rows], frames, rows_of(call, rows))
        torch.testing.assert_close(together[rows], alone, rtol=0, atol=TOLERANCE)
    few = build(max_sequences=5).module_at("input", 4)
    torch.testing.assert_close(few(x, frames, call), together, rtol=0, atol=TOLERANCE)


def test_one_view_of_all_frames_is_no_view_and_a_turned_one_is():
    """Only the order in which positions are given tells a turned view from none."""
    assert view_groups([list(range(6))], [[1.0] * 6], CPU) == ()
    turned = [4, 5, 0, 1, 2, 3]
    views = view_groups([turned], [[1.0] * 6], CPU)
    module, x = build().module_at("input", 4), clip()
    back = [turned.index(frame) for frame in range(6)]
    expected = module(x[turned], FRAMES)[back]
    torch.testing.assert_close(module(x, FRAMES, ModuleCall(views=views)), expected, rtol=0, atol=TOLERANCE)
    assert (expected - module(x, FRAMES)).abs().max() > 1e-3


def test_views_take_more_frames_than_positions_but_not_longer_views():
    module = build().module_at("input", 4)  # 24 positions
    for length, fits in ((24, True), (25, False)):
        views = views_of(WindowSettings(length=length, overlap=4), 40, 0)[2]
        assert longest(views, 40) == length
        if fits:
            assert module(clip(40), 40, ModuleCall(views=views)).isfinite().all()
        else:
            with pytest.raises(ValueError, match="positions for 24 frames, but 25 would"):
                module(clip(40), 40, ModuleCall(views=views))


def test_passes_count_the_views(monkeypatch):
    """The grid limit is on sequences * views * heads."""
    monkeypatch.setattr(network, "MAX_BATCH_HEADS", 200)
    batches = []

    def attention(q, k, v):
        batches.append(q.shape[0] * q.shape[1])
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    module = build(attention=attention).module_at("input", 4)
    _, _, views = views_of(SETTINGS[1], 20, 0)
    module(clip(20), 20, ModuleCall(views=views))
    assert views[0].count == 5 and 100 < max(batches) <= 200


def test_views_cost_two_copies_and_one_product_a_group():
    """Not a kernel per view: what is cut for the views is one copy, and the blend is one product."""
    _, _, views = views_of(WindowSettings(length=6, overlap=2), 38, 0)
    assert views[0].count >= 9
    module, x = build().module_at("input", 4), clip(38)
    with torch.no_grad(), torch.autograd.profiler.profile() as profiler:
        module(x, 38, ModuleCall(views=views))
    names = [event.name for event in profiler.function_events]
    assert names.count("aten::bmm") == len(views) and names.count("aten::index_select") == len(views)
    assert names.count("aten::scaled_dot_product_attention") == 2 * len(views)
