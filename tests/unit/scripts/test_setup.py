"""The host set-up: locks, stamps, links, unpacking and the choice of host, without a network."""

import io
import subprocess
import sys
import tarfile

import pytest
from comfy_host import Host, SetupError, ensure_host, files, install, source
from comfy_host import python as pythons
from comfy_host.server import command


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_unpack_takes_only_comfyui_and_replaces_a_torn_folder(tmp_path):
    torn = tmp_path / "ComfyUI"
    torn.mkdir()
    (torn / "half.py").write_text("")
    members = {"p-1/vendor/ComfyUI/main.py": b"m", "p-1/vendor/ComfyUI/comfy/a.py": b"a", "p-1/setup.py": b"s"}
    source.unpack(archive(tmp_path / "p.tar.gz", members), torn)
    assert sorted(p.relative_to(torn).as_posix() for p in torn.rglob("*.*")) == ["comfy/a.py", "main.py"]


@pytest.mark.parametrize("name", ["p-1/vendor/ComfyUI/../../../evil.py", "p-1/vendor/ComfyUI/C:/evil.py"])
def test_unpack_refuses_paths_that_leave_the_folder(tmp_path, name):
    path = archive(tmp_path / "p.tar.gz", {"p-1/vendor/ComfyUI/main.py": b"m", name: b"e"})
    with pytest.raises(SetupError, match="unsafe path"):
        source.unpack(path, tmp_path / "ComfyUI")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.tar.gz"]


def test_unpack_without_comfyui(tmp_path):
    with pytest.raises(SetupError, match="holds no ComfyUI"):
        source.unpack(archive(tmp_path / "p.tar.gz", {"p-1/setup.py": b"s"}), tmp_path / "ComfyUI")


def test_wrong_hash_is_refused(tmp_path, monkeypatch):
    def fake_download(call, log, what):
        archive(tmp_path / "p.tar.gz", {"p-1/vendor/ComfyUI/main.py": b"m"})

    monkeypatch.setattr(source, "run_logged", fake_download)
    with pytest.raises(SetupError, match="expected sha256"):
        source._download("2.6.0", "0" * 64, "python", tmp_path, tmp_path / "log")


def test_unpinned_version_lists_the_pinned_ones(tmp_path):
    with pytest.raises(SetupError, match=r"0\.20\.1, 0\.27\.0, 0\.30\.0"):
        source.ensure_comfyui(tmp_path, "9.9.9", "python")


def test_lock_keeps_a_second_process_out(tmp_path):
    lock = tmp_path / "lock"
    said = []
    with files.locked(lock):
        code = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from comfy_host.files import *\n"
        code += "with locked(Path(sys.argv[2]), wait_seconds=0.6): print('in')"
        scripts = str(source.Path(source.__file__).parents[1])
        other = subprocess.run(
            [sys.executable, "-c", code, scripts, str(lock)], capture_output=True, text=True, check=False
        )
    assert "Waiting for another" in other.stdout
    assert "SetupError" in other.stderr
    with files.locked(lock, say=said.append):
        assert said == []


def test_stamp_says_done_only_for_the_same_text(tmp_path):
    stamp = tmp_path / "deep" / "stamp"
    assert not files.stamped(stamp, "a")
    files.write_atomic(stamp, "a")
    assert files.stamped(stamp, "a")
    assert not files.stamped(stamp, "b")


def test_pack_is_linked_once_and_a_foreign_link_is_replaced(tmp_path):
    pack, other, nodes = tmp_path / "pack", tmp_path / "other", tmp_path / "custom_nodes"
    for folder in (pack, other):
        folder.mkdir()
        (folder / "__init__.py").write_text(folder.name)
    assert (files.link_pack(other, nodes) / "__init__.py").read_text() == "other"
    assert (files.link_pack(pack, nodes) / "__init__.py").read_text() == "pack"
    assert (other / "__init__.py").exists()


def test_pack_is_copied_where_links_are_refused(tmp_path, monkeypatch):
    pack = tmp_path / "pack"
    (pack / ".host").mkdir(parents=True)
    (pack / "__init__.py").write_text("new")

    def refuse(self, target, target_is_directory=False):
        raise OSError("not permitted")

    monkeypatch.setattr(files.Path, "symlink_to", refuse)
    monkeypatch.setattr(files, "_junction", lambda target, link: False)
    link = files.link_pack(pack, tmp_path / "custom_nodes")
    assert [p.name for p in link.iterdir()] == ["__init__.py"]
    (pack / "__init__.py").write_text("newer")
    assert (files.link_pack(pack, tmp_path / "custom_nodes") / "__init__.py").read_text() == "newer"


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("Temporary failure in name resolution", "network is missing"),
        ("ERROR: No space left on device", "No space left on device"),
    ],
)
def test_failed_step_is_one_sentence(tmp_path, output, sentence):
    call = [sys.executable, "-c", f"print('first line'); print({output!r}); raise SystemExit(2)"]
    with pytest.raises(SetupError, match=sentence) as caught:
        install.run_logged(call, tmp_path / "log", "installing torch")
    assert "installing torch" in str(caught.value)
    assert "first line" in (tmp_path / "log").read_text()


def test_a_python_that_does_not_run_is_passed_over(tmp_path):
    assert pythons.runs([str(tmp_path / "python3.12")], "print(1)") is None
    assert pythons.runs([sys.executable], "raise SystemExit(1)") is None
    assert pythons.runs([sys.executable], "print(1)") == "1"


def test_no_python_says_what_to_install(monkeypatch):
    monkeypatch.setattr(pythons, "_candidates", lambda version: iter(()))
    with pytest.raises(SetupError, match=r"install Python 3\.12"):
        pythons.find_python()


def test_comfyui_dir_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_DIR", str(tmp_path))
    with pytest.raises(SetupError, match="COMFYUI_DIR"):
        ensure_host()


def test_a_users_comfyui_that_is_too_old(tmp_path, monkeypatch):
    (tmp_path / "comfy").mkdir()
    (tmp_path / "main.py").write_text("")
    (tmp_path / "comfyui_version.py").write_text('__version__ = "0.18.2"')
    monkeypatch.setenv("COMFYUI_DIR", str(tmp_path))
    with pytest.raises(SetupError, match=r"0\.18\.2; Zoetrope needs 0\.20\.0"):
        ensure_host()


def test_server_writes_below_its_base_only(tmp_path):
    host = Host("py", tmp_path / "comfy", tmp_path / "base", private=False, model_paths=tmp_path / "paths.yaml")
    line = command(host, 1234, tmp_path / "base", ["--cpu"])
    assert line[:2] == ["py", str(tmp_path / "comfy" / "main.py")]
    pairs = dict(zip(line, line[1:], strict=False))
    assert pairs["--listen"] == "127.0.0.1"
    assert pairs["--base-directory"] == str(tmp_path / "base")
    assert pairs["--database-url"].startswith(f"sqlite:///{(tmp_path / 'base').as_posix()}")
    assert pairs["--extra-model-paths-config"] == str(tmp_path / "paths.yaml")
    assert line[-1] == "--cpu"


def test_an_interrupted_install_is_done_anew(tmp_path, monkeypatch):
    """Neither uv nor pip notices the files that a killed install left out of a package."""
    calls = []

    def run(command, log, what):
        calls.append(command)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(install, "run_logged", run)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("einops\n")
    with pytest.raises(KeyboardInterrupt):
        install.ensure_packages(tmp_path, "python", "toy", [requirements])
    install.ensure_packages(tmp_path, "python", "toy", [requirements])
    install.ensure_packages(tmp_path, "python", "toy", [requirements])
    assert ["--reinstall" in call for call in calls] == [False, True]


def test_package_stamps_go_with_the_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "run_logged", lambda *call: None)
    install.ensure_packages(tmp_path, "python", "toy", [])
    assert [path.name for path in (tmp_path / "venv" / "stamps").iterdir()] == ["toy"]
