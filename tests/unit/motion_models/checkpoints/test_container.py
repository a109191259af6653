"""What a file is by its first bytes."""

import io
import zipfile

import pytest
import safetensors.torch
import torch

from zoetrope.motion_models.checkpoints.container import container_of
from zoetrope.motion_models.errors import MotionFileError

WEIGHTS = {"a": torch.ones(3)}


def saved(**options):
    out = io.BytesIO()
    torch.save(WEIGHTS, out, **options)
    return out.getvalue()


def packed(names, size=9, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in names:
            archive.writestr(name, b"0" * size)
    return out.getvalue()


def test_model_files():
    assert container_of(io.BytesIO(safetensors.torch.save(WEIGHTS))) == "safetensors"
    assert container_of(io.BytesIO(saved())) == "torch"
    assert container_of(io.BytesIO(saved(_use_new_zipfile_serialization=False))) == "legacy torch"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04" + b"\0" * 50, "was cut off or damaged: it is an archive without its last part"),
        (saved()[:-100], "was cut off or damaged"),
        (packed(["model.safetensors"]), "is a ZIP archive.*unpack it"),
        (packed(["m/data.pkl"], 10**6, zipfile.ZIP_DEFLATED), "would unpack to 1,000,000, which no model file does"),
        (safetensors.torch.save(WEIGHTS)[:40], "was cut off within its first part"),
        (b"\xff" * 8 + b"{}", "is neither a .safetensors file nor one of torch"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 20, "is a video"),
        ("\ufeff<html>".encode(), "is a web page"),
        ("caf\u00e9, ".encode() * 800, "is a text"),
        (b"{\n", "is a text"),
        (b"GGUF\x03\0", "is a GGUF file"),
        (b"\0" * 5000, "holds zeros"),
    ],
)
def test_what_is_none_is_told(data, says):
    with pytest.raises(MotionFileError, match=says):
        container_of(io.BytesIO(data))
