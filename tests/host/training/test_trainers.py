"""The trainers as nodes: what they write, what they give, and which names they take."""

from pathlib import Path

import comfy.cli_args
import comfy.model_management
import folder_paths
import pytest
import torch
from comfy.cli_args import LatentPreviewMethod
from filelock import FileLock

from support.run_nodes import run_node
from support.toy_models import unet as toy
from support.toy_models.files import animate, motion_model
from support.training_clips import FRAMES, ToyClips
from zoetrope.host.loading import model_files
from zoetrope.host.motion.load import MotionModel
from zoetrope.host.training import live
from zoetrope.host.training.places import claimed
from zoetrope.host.training.watching import StepReport
from zoetrope.nodes.training import TrainDomainAdapter, TrainMotionLora, TrainMotionModel
from zoetrope.training import stages
from zoetrope.training.names import check_training_name

FEW = {"steps": 2, "learning_rate": 1e-3, "batch": 1, "accumulation": 1, "seed": 3, "preview_every": 0}


class Clips(ToyClips):
    frames, stride = FRAMES, 1


@pytest.fixture
def model():
    return toy.toy_model_patcher()


def sampled(model):
    return toy.sample(model, toy.conditioning(), toy.conditioning(6), noise=toy.noise_for(FRAMES, 8), steps=1)


@pytest.mark.newest_host
def test_train_motion_lora_gives_a_file_and_what_it_does(places, model, tmp_path):
    (tmp_path / model_files.MOTION_MODELS).mkdir()
    motion = motion_model(tmp_path / model_files.MOTION_MODELS, "v3")
    given = {"model": model, "motion_model": motion, "clips": Clips(), "name": "spin", "rank": 2, **FEW}
    (stack, losses, chart, name), ui = run_node(TrainMotionLora, **given)
    assert name == "spin.safetensors" and (places / model_files.MOTION_LORAS / name).is_file()
    assert len(losses["loss"]) == 2 and chart.shape[0] == 1 and ui["images"]
    plain, with_lora = animate(model, motion), animate(model, motion, loras=stack)
    assert not torch.equal(sampled(with_lora), sampled(plain))
    written = (places / model_files.MOTION_LORAS / name).stat().st_mtime_ns
    again = run_node(TrainMotionLora, **given)[0]
    assert again[1] == losses and (places / model_files.MOTION_LORAS / name).stat().st_mtime_ns == written
    longer = run_node(TrainMotionLora, **{**given, "steps": 3})[0]
    assert longer[1]["loss"][:2] == losses["loss"] and len(longer[1]["loss"]) == 3
    with pytest.raises(ValueError, match="rank"):
        run_node(TrainMotionLora, **{**given, "rank": 4})
    anew = run_node(TrainMotionLora, **{**given, "rank": 4}, resume="start anew")[0]
    assert len(anew[1]["loss"]) == 2


@pytest.mark.newest_host
def test_train_motion_model_gives_one_that_can_be_applied(places, model):
    (motion, losses, *_), _ = run_node(TrainMotionModel, model=model, clips=Clips(), name="new", start="new v3", **FEW)
    assert isinstance(motion, MotionModel) and motion.spec.family.name == "v3" and len(losses["loss"]) == 2
    assert not torch.equal(sampled(animate(model, motion)), sampled(model))


@pytest.mark.newest_host
def test_train_domain_adapter_gives_the_model_with_it(places, model):
    (adapted, losses, _, name), _ = run_node(TrainDomainAdapter, model=model, clips=Clips(), name="look", rank=2, **FEW)
    assert (places / "loras" / name).is_file() and len(losses["loss"]) == 2
    assert not torch.equal(sampled(adapted), sampled(model))


@pytest.mark.newest_host
def test_an_interrupt_keeps_what_was_learnt(places, model, monkeypatch):
    reports = []

    def stop(self, report: StepReport):
        reports.append(report.step)
        if report.step == 2 and len(reports) == 2:
            comfy.model_management.interrupt_current_processing()

    monkeypatch.setattr(live.Live, "step", stop)
    given = {"model": model, "clips": Clips(), "name": "look", "rank": 2, **FEW, "steps": 4}
    outputs, _ = None, None
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        outputs, _ = run_node(TrainDomainAdapter, **given)
    assert outputs is None and (places / "loras" / "look.safetensors").is_file()
    run_node(TrainDomainAdapter, **given)
    assert reports == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "a\\b", "a:b", "x" * 300, "a\0b"])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match=r"^name "):
        check_training_name(name)
    assert str(TrainMotionLora.validate_inputs(name)).startswith("name ")
    assert TrainMotionLora.validate_inputs("slow zoom 2") is True


def test_a_name_belongs_to_one_training_at_a_time_and_to_no_file_of_others(places):
    with claimed(stages.MOTION_LORA_STAGE, "spin") as files:
        lock = files.state.with_name("spin.lock")
        with pytest.raises(ValueError, match="'spin' is running already"), claimed(stages.MOTION_LORA_STAGE, "spin"):
            pass
        with claimed(stages.MOTION_MODEL_STAGE, "spin"):  # another kind of file
            pass
    running = pytest.raises(ValueError, match="running already")
    with FileLock(lock, timeout=0), running, claimed(stages.MOTION_LORA_STAGE, "spin"):  # as another process has it
        pass
    Path(files.result).write_bytes(b"a file that somebody downloaded")
    foreign = pytest.raises(ValueError, match=r"There is a file 'spin.safetensors' already")
    with foreign, claimed(stages.MOTION_LORA_STAGE, "spin"):
        pass
    assert Path(files.result).read_bytes() == b"a file that somebody downloaded"


def test_a_training_writes_into_comfyuis_own_folder_and_hides_behind_no_other(places, monkeypatch):
    """extra_model_paths.yaml comes first where the host does not know a folder by itself."""
    shared, own = places / "shared", places / "models" / "loras"
    folders = ([str(shared), str(own)], folder_paths.folder_names_and_paths["loras"][1])
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", folders)
    monkeypatch.setattr(folder_paths, "models_dir", str(places / "models"))
    with claimed(stages.DOMAIN_ADAPTER_STAGE, "look") as files:
        assert files.result == own / "look.safetensors"
    shared.mkdir(exist_ok=True)
    (shared / "look.safetensors").write_bytes(b"what loaders would find first")
    foreign = pytest.raises(ValueError, match=r"There is a file 'look.safetensors' already")
    with foreign, claimed(stages.DOMAIN_ADAPTER_STAGE, "look"):
        pass


def test_a_step_in_words():
    report = StepReport(step=40, steps=2000, loss=0.05123, rate=1e-4, seconds=1.0)
    assert live.line_of(report, 1.5) == "step 40 of 2000, loss 0.0512, 1.50 s a step, 49:00 left"
    assert live.clock(3 * 3600 + 62) == "3:01:02"


@pytest.mark.newest_host
def test_samples_are_shown_as_a_sheet_of_all_frames(places, model, monkeypatch):
    shown = []
    monkeypatch.setattr(comfy.cli_args.args, "preview_method", LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(live.Live, "_show", lambda self, step, sheet: shown.append((step, sheet.size)))
    run_node(TrainDomainAdapter, model=model, clips=Clips(), name="look", rank=2, **{**FEW, "preview_every": 1})
    assert [step for step, _ in shown] == [1, 2] and shown[0][1][0] == live.SHEET_WIDTH
