"""Pose files in an input folder that holds links, pipes and what is no text."""

import os

import folder_paths
import pytest

from support.files.camera import POSE_TEXT
from zoetrope.host.conditioners import pose_files
from zoetrope.motion_models.camera_poses import LONGEST_POSES

posix = pytest.mark.skipif(os.name == "nt", reason="links need rights there, and there are no pipes")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    inside = tmp_path / "input"
    inside.mkdir()
    monkeypatch.setattr(folder_paths, "input_directory", str(inside))
    (inside / "good.txt").write_text(POSE_TEXT, newline="\r\n")
    return inside


@posix
def test_only_regular_files_of_the_folder_are_listed(folder):
    (folder.parent / "secret.txt").write_text(POSE_TEXT)
    (folder / "out.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    (folder / "gone.txt").symlink_to(folder / "nothing")
    (folder / "link.txt").symlink_to(folder / "good.txt")
    (folder / "folder.txt").mkdir()
    os.mkfifo(folder / "pipe.txt")
    assert pose_files.pose_file_names() == ["good.txt", "link.txt"]
    assert pose_files.read_pose_file("link.txt") == pose_files.read_pose_file("good.txt")
    for name in ("out.txt", "loop.txt", "pipe.txt", "../secret.txt"):
        assert pose_files.version(name) is None
        with pytest.raises(ValueError, match="is not in ComfyUI's input folder .there is: .*'good.txt'"):
            pose_files.read_pose_file(name)


def test_no_folder_has_no_files(folder):
    (folder / "good.txt").unlink()
    folder.rmdir()
    assert pose_files.pose_file_names() == []


def test_what_is_no_text_or_too_long_is_told(folder):
    (folder / "good.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ValueError, match="'good.txt' is no plain text"):
        pose_files.read_pose_file("good.txt")
    (folder / "good.txt").write_text("1 " * LONGEST_POSES)
    with pytest.raises(ValueError, match="'good.txt': The text of the camera poses is 1,000,001 characters long"):
        pose_files.read_pose_file("good.txt")
