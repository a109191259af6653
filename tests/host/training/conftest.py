"""What the tests of trainers share. Without a ComfyUI nothing here is collected."""

import pytest

from support.comfyui import COMFYUI_DIR

if COMFYUI_DIR is not None:
    import folder_paths

    from zoetrope.host.loading import model_files

    @pytest.fixture
    def places(tmp_path, monkeypatch):
        """Model folders and the user folder of this test only."""
        model_files.register_model_folders()
        for key in (model_files.MOTION_MODELS, model_files.MOTION_LORAS, "loras"):
            extensions = folder_paths.folder_names_and_paths[key][1]
            monkeypatch.setitem(folder_paths.folder_names_and_paths, key, ([str(tmp_path / key)], extensions))
            folder_paths.filename_list_cache.pop(key, None)
        monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
        monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path / "user"))
        yield tmp_path
        for key in (model_files.MOTION_MODELS, model_files.MOTION_LORAS, "loras"):
            folder_paths.filename_list_cache.pop(key, None)
