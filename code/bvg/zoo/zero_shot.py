"""Zero-shot classifiers: models of open_clip, whose classes are sentences.

Source: Radford et al., ICML 2021 (CLIP); Zhai et al., ICCV 2023 (SigLIP, which adds a bias); the
names, templates, tokenizers and the text features are open_clip's own (build_zero_shot_classifier).
The weight of a class is the mean of the normalized features of its name in every template,
normalized again; a logit is the scaled cosine of image and class, plus SigLIP's bias. Nothing but
the image tower is evaluated: the text weights are computed once and kept in the cache.
"""

import hashlib
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn
from torch.nn import functional as F

from bvg.data.categories import CATEGORIES
from bvg.data.fetch import cache_folder
from bvg.data.imagenet import VAL_CLASSES
from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError, first_few, reason_of
from bvg.files import locked_beside, sha256_of, written_atomically
from bvg.zoo.libraries import DELETE_CACHED, hub_or_cache, near_names, socket_timeout
from bvg.zoo.loading import TEMPLATES, Text
from bvg.zoo.names import HUB, LOCAL_DIR
from bvg.zoo.normalized import NormalizedModel, Reordered
from bvg.zoo.weights import weights_sha256

_BATCH = 10  # classes whose sentences are encoded at a time, as in the library


class ZeroShot(nn.Module):
    """Normalized images → (B, classes) logits, by text features of the classes.

    visual: the image tower. size: (height, width) of its images; others are resized (bicubic).
    text_weights: (D, classes) features of the classes, and category_weights, (D, 16), of the 16
    entry-level categories.
    """

    computed = ("text_weights", "category_weights")  # from weights and texts that are identified
    text_weights: torch.Tensor
    category_weights: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor

    def __init__(
        self,
        visual: nn.Module,
        size: tuple[int, int],
        scale: torch.Tensor,
        bias: torch.Tensor,
        text_weights: torch.Tensor,
        category_weights: torch.Tensor,
    ) -> None:
        super().__init__()
        self.visual, self.size = visual, size
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)
        self.register_buffer("text_weights", text_weights)
        self.register_buffer("category_weights", category_weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, classes) float32, also where the tower computes in 16 bits."""
        if x.shape[-2:] != self.size:
            x = F.interpolate(x, self.size, mode="bicubic", antialias=True)
        features = self.visual(x)
        if isinstance(features, tuple):  # CoCa's tower also returns tokens
            features = features[0]
        with torch.autocast(x.device.type, enabled=False):
            cosines = F.normalize(features.float(), dim=-1) @ self.text_weights
            return self.scale * cosines + self.bias


def by_category(model: nn.Module) -> NormalizedModel | None:
    """Return a zero-shot model that answers with one of the 16 categories, by their names.

    It shares the image tower; None for any other model.
    """
    model = model.network if isinstance(model, Reordered) else model
    network = getattr(model, "network", None)
    if not isinstance(network, ZeroShot) or not isinstance(model, NormalizedModel):
        return None
    answering = ZeroShot(
        network.visual,
        network.size,
        network.scale,
        network.bias,
        network.category_weights,
        network.category_weights,
    )
    mean, std = model.mean.flatten().tolist(), model.std.flatten().tolist()
    of_categories = NormalizedModel(
        answering, mean, std, classes=CATEGORIES, native=model.native, origin=model.origin
    )
    return of_categories.to(network.scale.device).eval()


def zero_shot_model(name: str, text: Text, device: str = "cpu") -> NormalizedModel:
    """Return open_clip's `ARCH/TAG`, `hf-hub:ORG/NAME` or `local-dir:FOLDER` as a classifier.

    Its preprocessing is that of the model's own configuration. The text weights are computed on
    `device` unless they are in the cache.
    Raises UserError without open_clip, for an unknown name, or if anything is unavailable.
    """
    library = _library()
    arch, tag = _arch_and_tag(library, name)
    names, classes = _class_names(library, text.class_names)
    templates = _templates(library, text.templates)
    published = library.get_pretrained_cfg(arch, tag) if tag else {}
    quick = bool(published.get("quick_gelu"))  # the activation that the weights were trained with
    with _loading(name):
        clip = library.create_model(
            arch, pretrained=tag or None, require_pretrained=True, force_quick_gelu=quick
        )
        tokenizer = library.get_tokenizer(arch)
        architecture = json.dumps([library.get_model_config(arch), quick], sort_keys=True)
    clip = clip.eval().requires_grad_(False)
    causes = [architecture, weights_sha256(clip), json.dumps([names, templates, CATEGORIES])]
    key = _hash(causes, tokenizer, names, templates)
    weights = _kept(key, lambda: _encoded(library, clip, tokenizer, names, templates, device))
    config = clip.visual.preprocess_cfg
    size = config["size"] if not isinstance(config["size"], int) else (config["size"],) * 2
    bias = torch.zeros(()) if clip.logit_bias is None else clip.logit_bias.detach()
    network = ZeroShot(
        clip.visual,
        (size[0], size[1]),
        clip.logit_scale.detach().exp(),
        bias,
        weights["classes"],
        weights["categories"],
    )
    origin: dict[str, object] = {
        "open_clip": name,
        "open_clip_version": library.__version__,
        "templates": _shown(text.templates),
        "class_names": _shown(str(text.class_names)) if text.class_names else "open_clip",
        "text_sha256": key,
    }
    return NormalizedModel(
        network,
        config["mean"],
        config["std"],
        classes=classes,
        native=_native(config),
        origin=origin,
    )


def _library() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise UserError(
            f"zero-shot models need the package open_clip ({reason_of(error)}): "
            "pip install open_clip_torch"
        ) from error
    return open_clip


def _arch_and_tag(library: Any, name: str) -> tuple[str, str]:
    """Return the architecture and the weights of a name; the latter "" for hubs and folders."""
    if name.startswith((HUB, LOCAL_DIR)):
        return name, ""
    arch, _, tag = name.partition("/")
    if arch not in library.list_models():
        known = [f"{a}/{t}" for a, t in library.list_pretrained()]
        raise UserError(
            f"open_clip has no model {arch!r}{near_names(name, known)}: give --model "
            "open_clip:ARCH/TAG or hf-hub:ORG/NAME"
        )
    tags = library.list_pretrained_tags_by_model(arch)
    if tag.lower().replace("-", "_") not in tags:
        found = f"no weights {tag!r}" if tag else "several weights"
        raise UserError(
            f"open_clip's {arch} has {found}: give --model open_clip:{arch}/TAG with one of "
            f"{first_few(tags, 12)}; your own weights go into a folder (docs/models.md)"
        )
    return arch, tag


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Turn the errors of loading a model into a UserError, and keep the library quiet."""
    logging.disable(logging.CRITICAL)  # it logs what it then raises
    try:
        with hub_or_cache() as problem, socket_timeout(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            except UserError:
                raise
            except Exception as error:  # of the hub, of torch, safetensors and json
                reason = problem or reason_of(error)
                raise UserError(
                    f"open_clip's {name} could not be loaded ({reason}): check the name and the "
                    f"internet connection, or {DELETE_CACHED.format('HF_HOME')}"
                ) from error
    finally:
        logging.disable(logging.NOTSET)


def _class_names(library: Any, path: Path | None) -> tuple[list[str], tuple[str, ...] | None]:
    """Return the names of the classes, and the classes (None for ImageNet's)."""
    if path is None:
        return list(library.IMAGENET_CLASSNAMES), None
    lines = _lines(path, "--class_names")
    if all("\t" in line for line in lines):
        pairs = [line.split("\t", 1) for line in lines]
        return [name.strip() for _, name in pairs], tuple(key.strip() for key, _ in pairs)
    if len(lines) != VAL_CLASSES or any("\t" in line for line in lines):
        raise UserError(
            f"{path} has {len(lines):,} names, not one for each of ImageNet's {VAL_CLASSES:,} "
            "classes in the order of the wnids: correct it, or give lines of class, tab and name"
        )
    return lines, None


def _templates(library: Any, given: str) -> list[str]:
    """Return the sentences of --templates, in which {} stands for the class."""
    if given == "none":
        return ["{}"]
    if given in TEMPLATES:
        known = {
            "openai80": library.OPENAI_IMAGENET_TEMPLATES,
            "simple7": library.SIMPLE_IMAGENET_TEMPLATES,
        }
        return [template("{}") for template in known[given]]
    lines = _lines(Path(given), "--templates", f" (or give {', '.join(TEMPLATES)})")
    for line in lines:
        if line.count("{}") != 1 or line.count("{") != 1 or line.count("}") != 1:
            raise UserError(
                f"{given} has the template {line!r}: each line of --templates must hold one {{}}, "
                "which stands for the class"
            )
    return lines


def _lines(path: Path, flag: str, more: str = "") -> list[str]:
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {path} ({reason_of(error)}): give {flag} a text file{more}"
        ) from error
    if lines := [line.strip() for line in text.splitlines() if line.strip()]:
        return lines
    raise UserError(f"{path} is empty: give {flag} a text file with a line each{more}")


def _shown(given: str) -> str:
    """Return what a result records of --templates or --class_names."""
    if given in TEMPLATES:
        return given
    path = Path(given).expanduser()
    return f"{path.name}, {sha256_of(path)[:16]}"


def _hash(
    causes: Sequence[str], tokenizer: Any, names: Sequence[str], templates: Sequence[str]
) -> str:
    """Return the hash of all that the text weights follow from.

    The tokens of each name and of each template stand for the tokenizer.
    """
    digest = hashlib.sha256("\0".join(causes).encode())
    sentences = [templates[0].format(name) for name in names]
    sentences += [template.format(names[0]) for template in templates]
    digest.update(tokenizer(sentences).to(torch.int64).numpy().tobytes())
    return digest.hexdigest()


def _kept(key: str, compute: Callable[[], dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the text weights in the cache, computed the first time, or if the file is damaged."""
    path = cache_folder() / "zero_shot" / f"{key}.safetensors"
    with locked_beside(path):
        with suppress(FileNotFoundError, SafetensorError):
            weights = load_file(path)
            if weights.keys() == {"classes", "categories"}:
                return weights
        weights = compute()
        with written_atomically(path, "BVG_CACHE") as file:
            file.write(save(weights))
    return weights


def _encoded(
    library: Any,
    clip: nn.Module,
    tokenizer: Any,
    names: Sequence[str],
    templates: Sequence[str],
    device: str,
) -> dict[str, torch.Tensor]:
    """Return the text weights of the classes and of the 16 categories, as the library has them.

    (D, classes) and (D, 16) float32 on the CPU, in full precision whatever --precision is, since
    they are kept.
    """
    print(
        f"encoding {len(names):,} class names in {len(templates)} template(s) on {device}",
        file=sys.stderr,
        flush=True,
    )
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    clip.to(device)
    try:
        return {
            kind: library.build_zero_shot_classifier(
                clip, tokenizer, texts, templates, _BATCH, device, use_tqdm=sys.stderr.isatty()
            )
            .float()
            .cpu()
            .contiguous()
            for kind, texts in (("classes", names), ("categories", CATEGORIES))
        }
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
        clip.to("cpu")


def _native(config: dict[str, Any]) -> Preprocessing | None:
    """Return the preprocessing of the model's configuration; None if it pads or is not square."""
    size, mode = config["size"], config["resize_mode"]
    sides = {size} if isinstance(size, int) else {*size}
    if len(sides) > 1 or mode == "longest":
        return None
    side = sides.pop()
    interpolation = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
    squash = "pillow" if mode == "squash" else ""
    return Preprocessing(resize=side, crop=side, interpolation=interpolation, squash=squash)
