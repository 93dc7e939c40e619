"""The benchmarks of a study: which script, which data, and how much work a model has with them."""

import os
from dataclasses import dataclass
from pathlib import Path

from basics.fetch import cache_folder


@dataclass(frozen=True)
class Data:
    """Where a script gets a data set from: a flag, else an environment variable, else the cache.

    key: the folder's name under --data, as download.py writes it.
    optional: the script works without it. cached: the script looks into the cache.
    """

    flag: str
    variable: str
    key: str
    optional: bool = False
    cached: bool = True

    def words(self, root: Path | None) -> list[str]:
        """Return the flag and the folder under `root`; nothing where it is not there."""
        folder = root / self.key if root else None
        return [self.flag, str(folder.resolve())] if folder and folder.exists() else []

    def is_there(self, root: Path | None) -> bool:
        """Return whether the script will find it."""
        own = self.words(root) or os.environ.get(self.variable)
        return bool(own) or (self.cached and (cache_folder() / "data" / self.key).exists())


@dataclass(frozen=True)
class Kind:
    """One benchmark.

    results: patterns of its folders under --results, with | between them. images: published files,
    and `inputs`: forward passes for each, which are taken where nothing can be counted. words:
    flags that make it this benchmark. any_of: one of the data sets is enough. declared: the
    script's Benchmark.
    """

    script: str
    data: tuple[Data, ...]
    results: str
    images: int
    inputs: float = 1
    words: tuple[str, ...] = ()
    any_of: bool = False
    declared: str = ""


IMAGENET = Data("--imagenet", "BVG_IMAGENET", "imagenet", cached=False)
_NAMES = ("v2", "a", "r", "sketch")
VARIANTS = tuple(
    Data(f"--imagenet_{name}", f"BVG_IMAGENET_{name.upper()}", f"imagenet-{name}")
    for name in _NAMES
)
KINDS = {
    "imagenet": Kind("eval_imagenet.py", (IMAGENET,), "imagenet", 50_000, declared="IMAGENET"),
    "imagenet_real": Kind(
        "eval_imagenet_real.py",
        (IMAGENET, Data("--real", "BVG_REAL", "imagenet-real/real.json", optional=True)),
        "imagenet_real", 46_837, declared="REAL",
    ),
    "imagenet_ood": Kind(
        "eval_imagenet_ood.py", VARIANTS, "|".join(f"imagenet_{name}" for name in _NAMES),
        98_389, any_of=True, declared="OOD",
    ),
    "imagenet_c": Kind(
        "eval_imagenet_c.py", (Data("--imagenet_c", "BVG_IMAGENET_C", "imagenet-c"),),
        "imagenet_c", 4_750_000, declared="CORRUPTED",
    ),
    "imagenet_c_generated": Kind(
        "eval_imagenet_c.py", (IMAGENET,), "imagenet_c_generated", 50_000, 96, ("--generate",),
        declared="CORRUPTED",
    ),
    "imagenet_cbar": Kind(
        "eval_imagenet_cbar.py", (Data("--imagenet_cbar", "BVG_IMAGENET_CBAR", "imagenet-c-bar"),),
        "imagenet_cbar", 2_500_000, declared="CORRUPTED",
    ),
    "imagenet_p": Kind(
        "eval_imagenet_p.py",
        (Data("--imagenet_p", "BVG_IMAGENET_P", "imagenet-p", cached=False),),
        "imagenet_p", 500_000, 31, declared="IMAGENET_P",
    ),
    "model_vs_human": Kind(
        "eval_model_vs_human.py",
        (
            Data("--stimuli", "BVG_MODEL_VS_HUMAN", "model-vs-human"),
            Data("--humans", "BVG_HUMANS", "human-decisions", optional=True),
        ),
        "imagenet_model_vs_human", 18_080, declared="MODEL_VS_HUMAN",
    ),
    "shape_bias": Kind(
        "eval_shape_bias.py", (Data("--stimuli", "BVG_STIMULI", "model-vs-human/cue-conflict"),),
        "imagenet_shape_bias", 1_280, declared="SHAPE_BIAS",
    ),
    "spectral": Kind(
        "eval_spectral.py", (IMAGENET,), "imagenet_spectral", 50_000, 23, declared="SPECTRAL"
    ),
    "criticalband": Kind(
        "eval_criticalband.py", (IMAGENET,), "imagenet_criticalband", 50_000, 29,
        declared="CRITICAL_BAND",
    ),
    "adv": Kind(
        "eval_imagenet_adv.py", (IMAGENET,), "imagenet_adv_*", 50_000, 84, declared="ADVERSARIAL"
    ),
}  # fmt: skip


def lacking(kind: Kind, root: Path | None) -> list[Data]:
    """Return the data sets without which the benchmark cannot be measured here."""
    needed = [data for data in kind.data if not data.optional]
    absent = [data for data in needed if not data.is_there(root)]
    if kind.any_of:
        return absent if len(absent) == len(needed) else []
    return absent
