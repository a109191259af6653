"""SparseCtrl in core's samplers, with core's Apply node: which key image reaches which frame, and what it does there.

The toy UNet treats frames independently, so whatever reaches a frame without a key image came through SparseCtrl's own
motion modules.
"""

import gc

import comfy.controlnet
import comfy.model_management
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from comfy.taesd.taesd import TAESD

import nodes
from support.files.sparse import sparse_file
from support.sampling_nodes import toy_vae
from support.toy_models import unet as toy
from support.toy_models.files import put, relative_error
from support.toy_models.unet import same, with_core_handler
from zoetrope.host.control.apply import apply_per_frame
from zoetrope.host.sampling.context_windows import apply_windows
from zoetrope.nodes.sparse_ctrl import LoadSparseCtrl, SparseKeyframes
from zoetrope.temporal.values.frame_values import listed_values
from zoetrope.temporal.values.schedule import parse_value_schedule
from zoetrope.temporal.windows.settings import WindowSettings

FRAMES = 6
SIZE = 8  # of latents
WINDOWS = WindowSettings(length=4, overlap=2, schedule="standard_static")  # frames 0 to 3 and 2 to 5
HALVES = WindowSettings(length=3, overlap=0, schedule="standard_static")


@pytest.fixture(scope="module")
def model():
    return toy.toy_model_patcher()


@pytest.fixture(scope="module")
def plain(model):
    return sample(model, (toy.conditioning(), toy.conditioning(6)))


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparse")
    made = {}
    for kind in ("rgb", "scribble"):
        put("controlnet", folder / f"{kind}.safetensors", sparse_file(kind))
        made[kind] = LoadSparseCtrl.execute(f"{kind}.safetensors").args[0]
    return made


@pytest.fixture
def vae():
    return toy_vae(TAESD(latent_channels=4))


def pictures(count, size=8 * SIZE, seed=4):
    """IMAGE of 8-bit colours."""
    return (toy.hints(count, size, seed) * 255).round() / 255


def control_of(conds):
    return conds[0][0][1]["control"]


def keyed(net, indexes="0", spread="indexes", no_key="nearest", hint_strength=1.0):
    return SparseKeyframes.execute(net, indexes, spread, no_key, hint_strength).args[0]


def applied(net, images=None, vae=None, strength=1.0, conds=None):
    conds = conds or (toy.conditioning(), toy.conditioning(6))
    images = pictures(1) if images is None else images
    return nodes.ControlNetApplyAdvanced().apply_controlnet(*conds, net, images, strength, 0.0, 1.0, vae)


def sample(model, conds, frames=FRAMES, steps=1):
    return toy.sample(model, *conds, noise=toy.noise_for(frames, SIZE), steps=steps)


def residuals(net, frames, options, conds=1, seed=5):
    """What a control that core's Apply node made gives for one UNet call."""
    base = toy.toy_model_patcher().model
    net.pre_run(base, base.model_sampling.percent_to_sigma)
    cond = {"c_crossattn": toy.conditioning()[0][0].repeat(frames, 1, 1)}
    return net.get_control(toy.noise_for(frames, SIZE, seed), torch.full((frames,), 3.0), cond, conds, options)


class Calls:
    """What reaches the network of a control."""

    def __init__(self, net):
        self.sparse, self.hints, self.net = [], [], net

    def __enter__(self):
        def note(module, args, kwargs):
            self.sparse.append(kwargs["sparse"])
            self.hints.append(kwargs["hint"])

        self.hook = self.net.control_model.register_forward_pre_hook(note, with_kwargs=True)
        return self

    def __exit__(self, *_):
        self.hook.remove()

    @property
    def rows(self):
        return [call.rows.tolist() for call in self.sparse]


def changed(a, b):
    """Frames that differ."""
    return [frame for frame in range(len(a)) if not same(a[frame : frame + 1], b[frame : frame + 1])]


@pytest.mark.parametrize("kind", ["rgb", "scribble"])
def test_one_key_image_guides_the_whole_clip(model, plain, nets, vae, kind):
    net = keyed(nets[kind])
    with Calls(net) as calls:
        out = sample(model, applied(net, vae=vae))
    assert changed(out, plain) == list(range(FRAMES))
    other = sample(model, applied(net, pictures(1, seed=9), vae))
    assert changed(out, other) == list(range(FRAMES))
    (call,) = calls.sparse
    assert (call.rows.tolist(), call.frames) == ([1, 0, 0, 0, 0, 0] * 2, FRAMES)  # both prompts in one call
    image, mask = call.keys[0, :-1], call.keys[0, -1]
    assert (mask == 1).all() and (calls.hints[0] == 0).all()
    if kind == "rgb":  # the size of the latents, in the range of the UNet
        assert torch.allclose(image, vae.encode(pictures(1))[0] * 0.18215, atol=1e-5)
    else:  # pixels as they are
        assert torch.equal(image, pictures(1)[0].movedim(-1, 0))


@pytest.mark.newest_host
def test_noise_does_not_count(nets):
    net = control_of(applied(keyed(nets["scribble"])))
    one, other = (residuals(net, FRAMES, {}, seed=seed) for seed in (5, 6))
    assert len(one["output"]) == 12 and len(one["middle"]) == 1
    for key in ("output", "middle"):
        assert all(torch.equal(a, b) for a, b in zip(one[key], other[key], strict=True))


@pytest.mark.newest_host
def test_motion_effect_zero_keeps_images_to_their_frames(nets, model):
    """And the motion scale changes what the other frames get."""
    still = LoadSparseCtrl.execute("scribble.safetensors", motion_effect=0.0).args[0]
    first, other = (sample(model, applied(keyed(still, "2"), pictures(1, seed=s))) for s in (4, 9))
    assert changed(first, other) == [2]
    scaled = LoadSparseCtrl.execute("scribble.safetensors", motion_scale=3.0).args[0]
    calm = LoadSparseCtrl.execute("scribble.safetensors").args[0]
    assert changed(*(sample(model, applied(keyed(net, "2"))) for net in (scaled, calm)))


def test_images_keep_their_frames_in_windows(model, nets):
    """Frame 3 lies in both windows; one after the other or stacked is the same clip."""
    net = keyed(nets["scribble"], "3, 0")
    conds = applied(net, pictures(2))
    with Calls(net) as calls:
        alone = sample(apply_windows(model, WINDOWS, 1), conds)
    assert calls.rows == [[1, 0, 0, 2] * 2, [0, 1, 0, 0] * 2]
    first, second = (call.keys[:, :3] for call in calls.sparse)
    images = pictures(2).movedim(-1, 1)
    assert torch.equal(first, images[[1, 0]]) and torch.equal(second, images[:1])
    with Calls(net) as calls:
        together = sample(apply_windows(model, WINDOWS, 2), conds)
    assert calls.rows == [[1, 0, 0, 2, 0, 2, 0, 0] * 2] and calls.sparse[0].frames == 4
    assert relative_error(together, alone) < 1e-4


def test_cores_context_windows(model, nets):
    """Newer ones put a frame in front of a window, which may hold a key image."""
    net = keyed(nets["scribble"], "2")
    with Calls(net) as calls:
        sample(with_core_handler(model, "standard_static", "pyramid", 3, 0), applied(net))
    anchored = [[0, 0, 1] * 2, [1, 0, 0, 0] * 2]
    without = [[0, 0, 1] * 2, [1, 0, 0] * 2]  # borrowed: the nearest, at the start
    assert calls.rows == (anchored if calls.sparse[1].frames == 4 else without)


@pytest.mark.newest_host
def test_in_a_queue_each_frame_has_its_own_place_in_the_noise_schedule(model, nets):
    """Sample Endless: of a range's frames only those within it are guided, though the first is outside."""
    net, base = control_of(applied(keyed(nets["scribble"], "0"))), model.model
    to_sigma = base.model_sampling.percent_to_sigma
    t = torch.tensor([to_sigma(percent) for percent in (0.8, 0.6, 0.4, 0.2)])
    cond = {"c_crossattn": toy.conditioning()[0][0].repeat(4, 1, 1)}

    def guided(end):
        net.timestep_percent_range = (0.0, end)
        net.pre_run(base, to_sigma)
        return net.get_control(toy.noise_for(4, SIZE), t, cond, 1, {})

    whole, part = guided(1.0), guided(0.5)
    assert guided(0.1) is None
    for all_frames, some in zip(whole["output"], part["output"], strict=True):
        assert torch.equal(some[2:], all_frames[2:]) and not some[:2].any() and all_frames[:2].any()


def test_animatediff_evolveds_windows(nets):
    net = control_of(applied(keyed(nets["scribble"], "5")))
    options = {"ad_params": {"sub_idxs": [3, 4, 5], "full_length": FRAMES}, "cond_or_uncond": [0, 1]}
    with Calls(net) as calls:
        residuals(net, 6, options, conds=2)
    assert calls.rows == [[0, 0, 1] * 2]


@pytest.mark.newest_host
@pytest.mark.parametrize("together", [1, 2])
def test_windows_without_a_key_image(model, plain, nets, together):
    windows = apply_windows(model, HALVES, together)
    near, off = (keyed(nets["scribble"], "0", no_key=policy) for policy in ("nearest", "off"))
    with Calls(near) as calls:
        out = sample(windows, applied(near))
    assert [row for rows in calls.rows for row in rows] == [1, 0, 0] * 4  # of the second window frame 3 is nearest
    assert changed(out, plain) == list(range(FRAMES))
    with Calls(off) as calls:
        out = sample(windows, applied(off))
    assert len(calls.rows) == 1 and changed(out, plain) == [0, 1, 2]


@pytest.mark.newest_host
def test_one_image_is_for_many_indexes(model, nets):
    net = keyed(nets["scribble"], "0, 2, -1")
    with Calls(net) as calls:
        one = sample(model, applied(net))
    assert calls.rows == [[1, 0, 2, 0, 0, 3] * 2]
    assert same(sample(model, applied(net, pictures(1).repeat(3, 1, 1, 1))), one)


@pytest.mark.newest_host
def test_strength_of_each_image(model, plain, nets):
    images, both = pictures(2), "0, 5"
    half = keyed(nets["scribble"], both, hint_strength=listed_values([1.0, 0, 0, 0, 0, 0.5]))
    with Calls(half) as calls:
        weaker = sample(model, applied(half, images))
    first, second = calls.sparse[0].keys
    assert torch.equal(first[:3], images[0].movedim(-1, 0)) and torch.equal(second[:3], images[1].movedim(-1, 0) / 2)
    assert (first[3] == 1).all() and (second[3] == 0.5).all()
    assert changed(weaker, sample(model, applied(keyed(nets["scribble"], both), images))) == list(range(FRAMES))
    only_first = keyed(nets["scribble"], both, hint_strength=parse_value_schedule("0: 1 hold, 1: 0"))
    assert same(sample(model, applied(only_first, images)), sample(model, applied(keyed(nets["scribble"]), images[:1])))
    nothing = keyed(nets["scribble"], both, hint_strength=0.0)
    assert torch.equal(sample(model, applied(nothing, images)), plain)


def test_frame_control_around_it(model, plain, nets):
    """Strengths follow the frames; the images stay with SparseCtrl, and no frame is left out of its windows."""
    net = keyed(nets["scribble"], "0, 5")
    conds = [toy.conditioning(), toy.conditioning(6)]
    values = parse_value_schedule("0: 1 hold, 3: 0")
    faded = apply_per_frame(conds, net, pictures(2), 1.0, (0.0, 1.0), values)
    whole = sample(model, applied(net, pictures(2)))
    with Calls(net) as calls:
        out = sample(model, faded)
    assert calls.rows == [[1, 0, 0, 0, 0, 2] * 2]
    assert same(out[:3], whole[:3]) and same(out[3:], plain[3:])
    again = SparseKeyframes.execute(control_of(faded), "1, 2", "indexes", "nearest").args[0]
    assert again.inner.settings.keyframes.placed(2, 6) == {1: 0, 2: 1} and again.spec == control_of(faded).spec


@pytest.mark.newest_host
def test_a_chain_with_another_controlnet(model, nets):
    sparse, other = keyed(nets["scribble"], no_key="off"), toy.toy_controlnet()
    chain = applied(sparse, conds=applied(other, pictures(FRAMES)))
    windows = apply_windows(model, HALVES)
    out, alone = sample(windows, chain), sample(windows, applied(other, pictures(FRAMES)))
    assert changed(out, alone) == [0, 1, 2]
    assert same(sample(windows, applied(other, pictures(FRAMES), conds=applied(sparse))), out)


def test_pictures_are_encoded_once_a_run_and_let_go(model, nets, vae):
    """By a copy of the run, whose residuals are part of the host's estimate of memory."""
    net = keyed(nets["rgb"], "0, 5")
    conds, encode, sizes = applied(net, pictures(2, size=96), vae), vae.encode, []
    vae.encode = lambda pixels: sizes.append(tuple(pixels.shape)) or encode(pixels)
    used, kept = [], []

    def note(executor, *args, **kwargs):
        used.append(executor.class_obj.conds["positive"][0]["control"])
        return executor(*args, **kwargs)

    watched = toy.watch(apply_windows(model, WINDOWS), lambda *_: kept.extend(used[0].inner._keys.values()))
    watched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "zz_test", note)
    first = sample(watched, conds, steps=2)
    assert sizes == [(2, 8 * SIZE, 8 * SIZE, 3)]
    assert kept and all(latents.device == toy.CPU and latents.shape == (2, 4, SIZE, SIZE) for latents in kept)
    ours, users = used[0].inner, control_of(conds)
    assert ours is not users and used[0].inference_memory_requirements(torch.float32) > 0
    assert not ours._keys and ours.cond_hint is None and "sparse" not in ours.extra_args
    assert torch.equal(sample(apply_windows(model, WINDOWS), conds, steps=2), first) and len(sizes) == 2


def test_the_users_control_keeps_nothing_of_a_run_that_breaks(model, nets):
    conds = applied(keyed(nets["scribble"]))

    def breaking(*_):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        sample(toy.watch(apply_windows(model, WINDOWS), breaking), conds)
    assert not control_of(conds)._keys and control_of(conds).timestep_range is None


def test_prompts_together_or_apart(nets):
    conds = applied(keyed(nets["scribble"], "1"))
    together, apart = (sample(toy.toy_model_patcher(split_conds=split), conds) for split in (False, True))
    assert same(apart, together)


@pytest.mark.newest_host
def test_the_users_control_is_not_changed(nets):
    net = nets["scribble"]
    before = net.settings
    again = keyed(keyed(net, "3"), "4")
    assert net.settings is before and again.settings.keyframes.placed(1, 6) == {4: 0}
    assert again.control_model is net.control_model and again.get_models() == [net.control_model_wrapped]


if hasattr(comfy.controlnet.ControlBase, "deepclone_multigpu"):  # since ComfyUI 0.23

    def test_a_clone_for_another_device_has_its_own_network(nets):
        net = keyed(nets["scribble"], "3")
        clone = net.deepclone_multigpu(toy.CPU, autoregister=True)
        assert clone.settings == net.settings and clone.control_model is not net.control_model


def test_mistakes_are_told_where_they_are_made(model, nets):
    rgb, scribble = nets["rgb"], nets["scribble"]
    with pytest.raises(ValueError, match="rgb needs a VAE.*connect the checkpoint's VAE to the vae input"):
        applied(rgb)
    with pytest.raises(ValueError, match="3 key images and only 2 indexes"):
        applied(keyed(scribble, "0, 5"), pictures(3))
    with pytest.raises(ValueError, match="no SparseCtrl.*connect Load SparseCtrl"):
        keyed(toy.toy_controlnet())
    with pytest.raises(ValueError, match="hint_strength is 'x'; connect FRAME_VALUES"):
        keyed(scribble, hint_strength="x")
    with pytest.raises(ValueError, match="index 9 lies outside the clip of 6 frames"):
        sample(model, applied(keyed(scribble, "0, 9"), pictures(2)))
    with pytest.raises(
        ValueError, match="positions for 32 frames, but 33 would be sampled together; add Context Windows"
    ):
        residuals(control_of(applied(scribble)), 33, {})
    assert residuals(control_of(applied(scribble)), 64, {"cond_or_uncond": [0, 1]}, conds=2)


def test_checkpoint_of_another_kind(nets):
    base = toy.toy_model_patcher().model
    for layer in (m for name, m in base.diffusion_model.named_modules() if name.endswith("attn2.to_k")):
        layer.in_features = 2048
    net = control_of(applied(nets["scribble"]))
    with pytest.raises(ValueError, match="the checkpoint is SDXL"):
        net.pre_run(base, base.model_sampling.percent_to_sigma)


@pytest.mark.newest_host
def test_half_precision_files_sample(model, tmp_path):
    file = {name: weight.half() for name, weight in sparse_file("scribble").items()}
    name = put("controlnet", tmp_path / "half.safetensors", file)
    out = sample(model, applied(keyed(LoadSparseCtrl.execute(name).args[0])))
    assert out.isfinite().all()


def test_a_model_that_is_gone_from_the_hosts_list_is_no_matter(model, nets, vae):
    """The host lists None for a patcher that is gone while someone keeps its network."""
    conds = applied(keyed(nets["rgb"]), pictures(1), vae)
    before = sample(model, conds)
    other = toy.toy_model_patcher()
    comfy.model_management.load_models_gpu([other])
    kept = other.model
    del other
    gc.collect()
    assert None in comfy.model_management.loaded_models(only_currently_used=True)
    assert torch.equal(sample(model, conds), before) and kept is not None
