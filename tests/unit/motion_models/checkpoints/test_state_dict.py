"""What was loaded, before anything is made of it: wrappers, names, tensors, numbers; all within bounds."""

import pytest
import torch

from zoetrope.motion_models.checkpoints import state_dict
from zoetrope.motion_models.checkpoints.state_dict import sound, tensors, unwrap, without_wrappers
from zoetrope.motion_models.errors import MotionFileError


def wrapped(times, content):
    for _ in range(times):
        content = {"state_dict": content}
    return content


def test_wrappers_and_prefixes_are_taken_off_without_recursion():
    assert unwrap(wrapped(8, {"module.unet.module.a": 1})) == {"a": 1}
    with pytest.raises(MotionFileError, match="wraps its weights more than 8 times"):
        unwrap(wrapped(5000, {"a": 1}))
    assert unwrap({"module." * 140 + "a": 1}) == {"a": 1}
    with pytest.raises(MotionFileError, match=r"name is 14,001 characters long \('module"):
        unwrap({"module." * 2000 + "a": 1})


def test_a_single_wrapper_may_have_any_name():
    """As in comfy/utils.py, load_torch_file of ComfyUI 0.30.0, for files of torch."""
    assert unwrap({"motion_weights": {"module.a": 1}}) == without_wrappers({"x": {"a": 1}}) == {"a": 1}
    assert without_wrappers({"unet": {"module.a": 1}, "step": 5}) == {"module.a": 1}
    assert unwrap({"x": {"a": 1}, "y": {"a": 2}}) == {"x": {"a": 1}, "y": {"a": 2}}


def test_names_that_are_no_text_are_names_still():
    assert unwrap({1: 5, (1, 2): 6}) == {"1": 5, "(1, 2)": 6}


def test_a_tensor_is_not_larger_than_what_is_stored():
    """Before anything of its size is made."""
    base = torch.ones(4)
    assert tensors({"a": base, "b": base[1:], "c": base.view(2, 2), "d": torch.ones(0)}).keys() == set("abcd")
    for tensor in (torch.ones(1).expand(10**6, 10**6), base.as_strided((3, 3), (0, 1))):
        with pytest.raises(MotionFileError, match="is said to be .* and the file has only a part of that"):
            tensors({"a": tensor})


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_numbers_that_are_none_are_found_wherever_they_are(monkeypatch, dtype):
    monkeypatch.setattr(state_dict, "CHECKED_AT_ONCE", 4)
    right = torch.full((3, 5), 100.0).to(dtype)
    for tensor in (right, right.T):
        assert sound("a", tensor) is tensor
    for place in range(15):
        wrong = right.float()
        wrong.view(-1)[place] = torch.nan
        for tensor in (wrong.to(dtype), wrong.to(dtype).T):
            with pytest.raises(MotionFileError, match="weight 'a' holds numbers that are none"):
                sound("a", tensor)


def test_large_numbers_whose_sum_is_none_are_sound():
    assert sound("a", torch.full((9,), 3e38)) is not None
