"""Zero-shot models with random weights compute what twenty lines of arithmetic do."""

import sys
from pathlib import Path

import pytest
import torch

from bvg.data.categories import CATEGORIES
from bvg.data.imagenet import imagenet_classes
from bvg.data.preprocessing import Preprocessing
from bvg.predictions.identity import differences
from bvg.run.command_line import options
from bvg.run.models import LoadedModel, by_category_names, load_all
from bvg.run.probe import probe
from bvg.run.settings import Settings
from bvg.zoo import zero_shot
from bvg.zoo.loading import CheckpointOptions, Text, load_model
from bvg.zoo.weights import weights_sha256
from bvg.zoo.zero_shot import by_category
from conftest import refusal
from oracles.zero_shot import zero_shot_logits
from zero_shot_helpers import CLIP, SENTENCES, SQUASHED, custom_text, siglip, write_model

open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")

NAMES = ("tench", "missile", "T-shirt (dog's)", "missile")
# open_clip's SIMPLE_IMAGENET_TEMPLATES, the seven of OpenAI's notebook.
SIMPLE = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
KINDS = {
    "clip": (CLIP, None),
    "quickgelu": (CLIP | {"quick_gelu": True}, None),
    "siglip": (siglip(), SQUASHED),
    "custom text": (custom_text(), None),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {kind: write_model(root / kind, *how) for kind, how in KINDS.items()}


@pytest.fixture
def few(tmp_path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("".join(f"class{k}\t{name}\n" for k, name in enumerate(NAMES)))
    return path


def loaded(folder: Path, few: Path, templates: str = "simple7"):
    return load_model(f"open_clip:local-dir:{folder}", CheckpointOptions(text=Text(templates, few)))


def pixels(side: int = 32) -> torch.Tensor:
    return torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_towers_called_directly(kind, folders, few):
    model = loaded(folders[kind], few)
    clip = open_clip.create_model(f"local-dir:{folders[kind]}").eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folders[kind]}")
    half = kind == "siglip"
    mean = [0.5] * 3 if half else [0.48145466, 0.4578275, 0.40821073]  # OpenAI's
    std = [0.5] * 3 if half else [0.26862954, 0.26130258, 0.27577711]
    x = pixels()
    normalized = (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    expected = torch.tensor(zero_shot_logits(clip, tokenizer, normalized, NAMES, SIMPLE))
    assert expected.std(dim=1).min() > 0.05
    torch.testing.assert_close(model(x).double(), expected, rtol=0, atol=2e-5)
    assert model.classes == tuple(f"class{k}" for k in range(4))  # missile twice, at its own index
    assert torch.equal(model(x)[:, 1], model(x)[:, 3])
    by_name = by_category(model)
    expected = torch.tensor(zero_shot_logits(clip, tokenizer, normalized, CATEGORIES[:2], SIMPLE))
    torch.testing.assert_close(by_name(x)[:, :2].double(), expected, rtol=0, atol=2e-5)
    assert by_name.classes == CATEGORIES
    assert by_name(x).shape == (2, 16)


def test_the_activation_changes_the_logits_and_the_hash_of_the_texts(folders, few):
    """The two have the same weights, so only their configurations tell them apart."""
    plain, quick = loaded(folders["clip"], few), loaded(folders["quickgelu"], few)
    assert weights_sha256(plain) == weights_sha256(quick)
    assert plain.origin["text_sha256"] != quick.origin["text_sha256"]
    assert (plain(pixels()) - quick(pixels())).abs().max() > 1e-2


def test_weights_that_need_quickgelu_get_it_under_either_name(folders, few, monkeypatch):
    config = {"ViT-tiny": CLIP, "ViT-tiny-quickgelu": CLIP | {"quick_gelu": True}}
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", config)
    tag = {"file": str(folders["clip"] / "open_clip_model.safetensors"), "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "ViT-tiny", {"openai": tag})
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "ViT-tiny-quickgelu", {"openai": tag})
    expected = loaded(folders["quickgelu"], few)(pixels())
    for arch in config:
        options = CheckpointOptions(text=Text("simple7", few))
        model = load_model(f"open_clip:{arch}/openai", options)
        torch.testing.assert_close(model(pixels()), expected)
    assert "openai" in refusal(load_model, "open_clip:ViT-tiny/laion2b")
    assert "openai" in refusal(load_model, "open_clip:ViT-tiny")
    assert "ViT-tiny/openai" in refusal(load_model, "open_clip:ViT-tinny/openai")


def test_a_thousand_classes_by_default_duplicates_at_their_own_index(folders):
    model = load_model(
        f"open_clip:local-dir:{folders['clip']}", CheckpointOptions(text=Text("none"))
    )
    logits = model(pixels())
    assert model.classes is None  # ImageNet's
    assert logits.shape == (2, 1000)
    assert torch.equal(logits[:, 657], logits[:, 744])  # missile
    assert torch.equal(logits[:, 836], logits[:, 837])  # sunglasses
    distinct = {round(float(logit), 5) for logit in logits[0]}
    assert 950 < len(distinct) <= 998


@torch.no_grad()
def test_siglips_tokens_are_canonical_padded_and_64_long(folders):
    from transformers import AutoTokenizer

    tokenizer = open_clip.get_tokenizer(f"local-dir:{folders['siglip']}")
    raw = AutoTokenizer.from_pretrained(folders["siglip"])
    tokens = tokenizer(["A Great_White  Shark (t-shirt), no. 1!", "great white shark " * 50])
    assert tokens.shape == (2, 64)
    canonical = raw("a great white shark tshirt no 1").input_ids
    end = raw.eos_token_id
    assert tokens[0].tolist() == canonical + [end] * (64 - len(canonical))
    assert canonical[-1] == end
    assert tokens[1, -1] == end  # truncated, still with its end
    assert raw(SENTENCES[2]).input_ids != raw("sunglasses tshirt dogs no 1").input_ids


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_pixels_and_other_sizes_are_resized(kind, folders, few):
    x = pixels(48).requires_grad_()
    model = loaded(folders[kind], few)
    model(x)[:, 0].sum().backward()
    assert x.grad.abs().max() > 0
    resized = torch.nn.functional.interpolate(x, (32, 32), mode="bicubic", antialias=True)
    torch.testing.assert_close(model(x), model(resized), rtol=0, atol=1e-4)


@torch.no_grad()
def test_logits_are_compared_in_full_precision_under_autocast(folders, few):
    model = loaded(folders["clip"], few)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(pixels())
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())
    torch.testing.assert_close(logits, model(pixels()), rtol=0, atol=0.3)


def test_preprocessing_is_the_models_own(folders, few):
    assert loaded(folders["clip"], few).native == Preprocessing(32, 32, "bicubic")
    assert loaded(folders["siglip"], few).native == Preprocessing(
        32, 32, "bicubic", squash="pillow"
    )


@pytest.mark.parametrize("change", [{}, {"resize_mode": "squash", "interpolation": "bilinear"}])
def test_native_pixels_are_those_of_the_library(change):
    import numpy as np
    from PIL import Image

    config = {"size": 24, "interpolation": "bicubic", "resize_mode": "shortest"} | change
    photograph = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    )
    transform = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(mean=(0,) * 3, std=(1,) * 3, **config), is_train=False
    )
    ours = torch.from_numpy(zero_shot._native(config)(photograph).copy()).permute(2, 0, 1) / 255
    assert torch.equal(ours, transform(photograph))


def test_padded_images_have_no_preprocessing_here():
    config = {"size": (24, 24), "interpolation": "bicubic", "resize_mode": "longest"}
    assert zero_shot._native(config) is None
    assert zero_shot._native(config | {"size": (24, 32), "resize_mode": "squash"}) is None


def test_texts_are_encoded_once(folders, few, tmp_path, capsys):
    first = loaded(folders["clip"], few)
    (kept,) = zero_shot.cache_folder().glob("zero_shot/*.safetensors")
    assert kept.stem == first.origin["text_sha256"]
    assert "encoding 4 class names in 7 template(s)" in capsys.readouterr().err
    again = loaded(folders["clip"], few)
    assert "encoding" not in capsys.readouterr().err
    assert torch.equal(again(pixels()), first(pixels()))
    kept.write_bytes(kept.read_bytes()[:100])  # damaged
    assert torch.equal(loaded(folders["clip"], few)(pixels()), first(pixels()))
    other = write_model(tmp_path / "other", CLIP, seed=1)
    hashes = {
        first.origin["text_sha256"],
        loaded(folders["clip"], few, "none").origin["text_sha256"],
        loaded(other, few).origin["text_sha256"],
    }
    assert len(hashes) == 3
    assert weights_sha256(first) == weights_sha256(loaded(folders["clip"], few, "none"))


def test_own_templates_and_names(folders, few, tmp_path):
    path = tmp_path / "templates.txt"
    path.write_text("\n".join(SIMPLE) + "\n")
    own, known = loaded(folders["clip"], few, str(path)), loaded(folders["clip"], few)
    assert torch.equal(own(pixels()), known(pixels()))
    assert own.origin["templates"].startswith("templates.txt, ")
    assert zero_shot._templates(open_clip, "openai80")[:2] == [
        "a bad photo of a {}.",
        "a photo of many {}.",
    ]
    assert len(set(zero_shot._templates(open_clip, "openai80"))) == 80
    path.write_text("a photo\n")
    assert "{}" in refusal(loaded, folders["clip"], few, str(path))
    path.write_text("a {} of {}\n")
    assert "{}" in refusal(loaded, folders["clip"], few, str(path))
    assert "openai80" in refusal(loaded, folders["clip"], few, str(tmp_path / "none.txt"))
    few.write_text("one\ntwo\n")
    assert "2 names" in refusal(loaded, folders["clip"], few)


class Answers(torch.nn.Module):
    """A zero-shot model whose author returns something else than its logits."""

    def __init__(self, model, function):
        super().__init__()
        self.model, self.function = model, function

    def forward(self, x):
        return self.function(self.model(x))


@pytest.mark.parametrize("function", [lambda x: x.softmax(1), torch.sigmoid], ids=["soft", "sig"])
def test_probabilities_are_refused(function, folders, few):
    few.write_text("".join(f"class{k}\tname {k}\n" for k in range(20)))
    model = loaded(folders["siglip"], few, "none")
    settings = Settings(torch.device("cpu"))
    view = model.native
    assert probe(model, view, settings, "mine").logits.shape[1] == 20
    answers = Answers(model, function).eval()
    assert "softmax or sigmoid" in refusal(probe, answers, view, settings, "mine")


def test_the_texts_are_part_of_the_identity(folders, tmp_path):
    """With names given by wnid in another order, whose logits are put into ImageNet's."""
    wnids = imagenet_classes()
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{wnid}\tname {wnid[-4:]}\n" for wnid in reversed(wnids)))
    template = tmp_path / "one.txt"
    template.write_text("a sketch of {}\n")

    def model_with(templates: str) -> LoadedModel:
        spec = f"open_clip:local-dir:{folders['clip']}"
        args = options(model=[spec], templates=templates, class_names=names, device="cpu")
        (model,) = load_all(args, Settings(torch.device("cpu")), None)
        return model

    model = model_with("none")
    (by_name,) = by_category_names([model])
    assert by_name.identity == model.identity
    assert (model.classes, by_name.classes) == (wnids, CATEGORIES)
    unordered = model.model.network(pixels())
    assert torch.equal(model.model(pixels()), unordered.flip(1))
    assert model.identity["spec"] == "open_clip:local-dir:clip"
    assert not differences(model.identity, model_with("none").identity)
    changed = differences({"model": model.identity}, {"model": model_with(str(template)).identity})
    assert any(phrase.startswith("--templates was none and is now one.txt") for phrase in changed)
    assert not any("weights" in phrase for phrase in changed)


def test_a_model_of_other_classes_does_not_choose_among_the_categories(folders, few):
    spec = f"open_clip:local-dir:{folders['clip']}"
    args = options(model=[spec], templates="none", class_names=few, device="cpu")
    models = load_all(args, Settings(torch.device("cpu")), None)
    assert models[0].classes == ("class0", "class1", "class2", "class3")
    assert by_category_names(models) == []


def test_unavailable_models_are_one_sentence(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in ("open_clip:ViT-B-16/openai", "hf-hub:timm/ViT-B-16-SigLIP", "ViT-B-16.openai"):
        assert "HF_HUB_OFFLINE" in refusal(load_model, name)
    assert "local-dir" in refusal(load_model, f"open_clip:local-dir:{tmp_path}")


def test_without_the_package_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    assert "pip install open_clip_torch" in refusal(load_model, "open_clip:ViT-B-16/openai")


def test_every_zero_shot_row_is_a_model_of_the_library_with_its_size_and_activation():
    from bvg.zoo.table import zoo

    rows = [row for row in zoo().values() if row.category == "zero_shot"]
    assert len(rows) == 119
    for row in rows:
        (name,) = row.library
        arch, tag = zero_shot._arch_and_tag(open_clip, name.removeprefix("open_clip:"))
        assert row.name == f"{arch}.{tag}"
        assert open_clip.get_model_config(arch)["vision_cfg"]["image_size"] == row.train_size
