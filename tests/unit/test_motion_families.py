import pytest

from zoetrope.motion_models.families import FAMILIES, find_family


@pytest.mark.parametrize(
    ("middle", "positions", "name"),
    [
        (False, 24, "v1"),
        (False, 32, "v3"),
        (True, 32, "v2"),
        (True, 64, "v2"),  # LongAnimateDiff, 32 frames
        (True, 128, "v2"),  # LongAnimateDiff, 64 frames
        (True, 24, "v2"),
        (False, 64, "v3"),
        (False, None, "v1"),  # training checkpoint of the published v1 recipe
        (True, None, "v2"),
    ],
)
def test_family_by_shape(middle, positions, name):
    assert find_family("sd15", middle, positions).name == name


def test_no_family_for_another_base():
    assert find_family("sdxl", False, 32) is None


def test_names_are_unique():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_only_v1_normalises_across_frames():
    # use_inflated_groupnorm in configs/inference of guoyww/AnimateDiff: false for v1, true for v2 and v3.
    assert {family.name for family in FAMILIES if family.norms_across_frames} == {"v1"}
