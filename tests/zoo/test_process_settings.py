"""What a user's file does to the process when it is executed must not reach the results."""

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFile

from bvg.zoo.factories import call
from conftest import refusal

NET = "\ndef net(): return torch.nn.Flatten()\n"


def settings() -> list[object]:
    backends = torch.backends
    return [
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.get_float32_matmul_precision(),
        backends.cudnn.allow_tf32,
        backends.cuda.matmul.allow_tf32,
        getattr(backends, "fp32_precision", ""),
        ImageFile.LOAD_TRUNCATED_IMAGES,
        Image.MAX_IMAGE_PIXELS,
        Path.cwd(),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "torch.set_default_dtype(torch.bfloat16)",
        "torch.set_default_device('meta')",
        "torch.set_grad_enabled(False)",
        "torch.set_float32_matmul_precision('medium')",
        "torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True",
        "torch.backends.fp32_precision = 'tf32'",
        "torch.backends.cudnn.fp32_precision = torch.backends.cuda.matmul.fp32_precision = 'tf32'",
        "import PIL.ImageFile; PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True",
        "import PIL.Image; PIL.Image.MAX_IMAGE_PIXELS = None",
        "import os; os.chdir('/')",
    ],
)
@pytest.mark.parametrize("place", ["file", "function"])
def test_settings_are_as_before(line, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    file = tmp_path / "m.py"
    inside = f"import torch\ndef net():\n    {line}\n    return torch.nn.Flatten()\n"
    file.write_text(f"import torch\n{line}{NET}" if place == "file" else inside)
    before = settings()
    call(file, "net")
    assert settings() == before


def test_a_notebook_may_have_set_the_precision_per_operator(tmp_path):
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("PyTorch < 2.9 has one setting for all operators")
    (tmp_path / "m.py").write_text(f"import torch\n{NET}")
    owner = torch.backends.cudnn.conv
    before = owner.fp32_precision
    for value in ("tf32", "ieee"):  # one of them differs from the other operators'
        try:
            owner.fp32_precision = value
            call(tmp_path / "m.py", "net")
            assert owner.fp32_precision == value
        finally:
            owner.fp32_precision = before


@pytest.mark.parametrize(
    "network",
    ["torch.nn.LazyLinear(4)", "torch.nn.Linear(2, 4, device='meta')"],
)
def test_weights_without_values_are_refused(network, tmp_path):
    (tmp_path / "m.py").write_text(f"import torch\ndef net(): return {network}\n")
    assert "weight has no values" in refusal(call, tmp_path / "m.py", "net")
