"""The data sets of the miniature world: their pictures, file names and layouts."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import numpy as np

from bvg.data.critical_band_masking import BANDS, DEVIATIONS, SPLITS
from bvg.data.imagenet9 import VARIANTS
from bvg.data.imagenet_x import FACTORS, LABELS, PROTOTYPES, TOP_FACTOR
from bvg.data.model_vs_human import CUE_CONFLICT, DATA_SETS
from miniature import (
    backgrounds,
    corrupting,
    laion_c,
    parametric,
    perturbing,
    renditions,
    world,
)
from miniature.parquet import anagrams_file, hybrids_file
from miniature.silhouettes import mask
from miniature.world import CATEGORIES, SIDE, VAL_BORDER, Picture, generator, in_bytes, render

# Of a file: an image's pixels (uint8, RGB or grey), text, or the file as it is.
Content = np.ndarray | str | bytes

HARD = CATEGORIES[1::2]
"""The categories of the A-like set: only some, as ImageNet-A has 200 of 1000."""
RENDERED = CATEGORIES[::2]
"""Those of the R-like set."""
UNLABELLED = 1 / 16  # of ReaL's images, as in the published labels
SECOND_LABEL = 1 / 4
DISTINCTIVE: dict[str, Callable[[float, float], bool]] = {
    "smaller": lambda size, turn: size < 70,
    "larger": lambda size, turn: size > 88,
    "pose": lambda size, turn: turn > 0.8 * world.TURN,
}
"""ImageNet-X's factors of a picture by the size of its shape (66 to 92 pixels) and its turn."""
PUBLISHED = 85  # the JPEG quality of ImageNet-C's files
NOISES = [*product(("0", *DEVIATIONS), BANDS)]
"""Of critical-band masking: strength and octave, by the number of a picture of a category."""
MASKED = 75  # the JPEG quality of its files
TRAINED, VALIDATED = 100, 5  # pictures of a category for train.py: to train on, to evaluate
EQUALISED_OVER = 16  # pictures whose mean spectrum the power is equalised to


@dataclass(frozen=True)
class DataSet:
    """A data set, whose folder has its name.

    pictures: the pictures of the set; the argument is the number per class of ImageNet.
    draw: seed and picture → the files, relative to the set's folder.
    files: the number of files per picture.
    quality: of JPEG files.
    """

    pictures: Callable[[int], Iterable[Picture]]
    draw: Callable[[int, Picture], Iterator[tuple[str, Content]]]
    files: int = 1
    quality: int = 95

    def count(self, per_class: int) -> int:
        """Return the number of files."""
        return self.files * sum(1 for _ in self.pictures(per_class))


def val_name(picture: Picture) -> str:
    """Return the file of a validation picture, named as in ImageNet's archive.

    The first pictures of all categories precede the second ones, so that names do not depend on the
    number of pictures.
    """
    number = (picture.number - 1) * len(CATEGORIES) + picture.shape + 1
    return f"val/{CATEGORIES[picture.shape]}/ILSVRC2012_val_{number:08d}.JPEG"


def conflict_name(picture: Picture) -> str:
    """Return the file of a cue-conflict picture, named as in Geirhos et al. (2019).

    The numbers of the shape and of the texture are both the picture's.
    """
    shape, texture = CATEGORIES[picture.shape], CATEGORIES[picture.texture]
    return f"{shape}/{shape}{picture.number}-{texture}{picture.number}.png"


def _val(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    yield val_name(picture), render(seed, "val", picture, VAL_BORDER)


def _to_train_on(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    """Yield one of the pictures that the networks were trained on, and then validation pictures."""
    if picture.number > TRAINED:
        yield from _val(seed, picture._replace(number=picture.number - TRAINED))
        return
    name = CATEGORIES[picture.shape]
    yield f"train/{name}/{name}_{picture.number}.JPEG", render(seed, "train", picture)


def _conflict(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    yield conflict_name(picture), render(seed, CUE_CONFLICT, picture)


def _real(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    """Yield the labels of the validation set, whose pictures per class are `picture.number`."""
    labels: dict[int, list[int]] = {}
    for key in world.matched(picture.number):
        number = (key.number - 1) * len(CATEGORIES) + key.shape
        luck = generator(seed, "imagenet-real", key).random()
        likeness = [lookalike(key.shape)] if luck > 1 - SECOND_LABEL else []
        labels[number] = [] if luck < UNLABELLED else [key.shape, *likeness]
    yield "real.json", json.dumps([labels[number] for number in sorted(labels)])


def _annotations(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    """Yield ImageNet-X's files for the validation set, whose size is the number of the key."""
    lines, labels = [], []
    turns: dict[int, list[tuple[float, str]]] = {}
    for key in world.matched(picture.number):
        file = val_name(key).rpartition("/")[2]
        size, turn = world.size_and_turn(seed, "val", key, VAL_BORDER)
        found = [name for name, has in DISTINCTIVE.items() if has(size, abs(turn))][:1]
        marks = {name: int(name in found) for name in FACTORS}
        lines.append(json.dumps({"file_name": file, "class": key.shape, **marks}))
        labels.append(f"{file},{key.shape}")
        turns.setdefault(key.shape, []).append((abs(turn), file))
    upright = [file for own in turns.values() for _, file in sorted(own)[: picture.number // 6]]
    yield TOP_FACTOR, "\n".join(lines)
    yield PROTOTYPES, "\n".join(["file_name", *upright])
    yield LABELS, "\n".join(["file_name,label", *labels])


@cache
def lookalike(shape: int) -> int:
    """Return the category whose upright silhouette overlaps most with that of `shape`."""
    masks = [mask(name, 64, (32.0, 32.0), 28.0, 0.0) for name in CATEGORIES]
    alike = [
        np.minimum(masks[shape], other).sum() / np.maximum(masks[shape], other).sum()
        for other in masks
    ]
    alike[shape] = 0
    return int(np.argmax(alike))


def _redrawn(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    name = CATEGORIES[picture.shape]
    yield f"{name}/{picture.number}.jpeg", render(seed, "imagenet-v2", picture, VAL_BORDER)


def _rendered(
    seed: int, picture: Picture, split: str, styles: tuple[renditions.Rendition, ...]
) -> Iterator[tuple[str, Content]]:
    style = styles[picture.number % len(styles)]
    image = style(picture.shape, generator(seed, split, picture), SIDE + 2 * VAL_BORDER)
    name = CATEGORIES[picture.shape]
    yield f"{name}/{style.__name__}_{picture.number}.jpg", image


def _published_corruptions(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    from miniature.stimuli import imagenet_c

    name = CATEGORIES[picture.shape]
    file = f"{name}/{name}_{picture.number}.JPEG"
    for kind, severity, image in imagenet_c(render(seed, "imagenet-c", picture), file, seed):
        yield f"{kind}/{severity}/{file}", image


def _corrupted(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    clean = render(seed, "imagenet-c-bar", picture).astype(np.float32) / 255
    name = CATEGORIES[picture.shape]
    for kind, severity in product(corrupting.CORRUPTIONS, corrupting.SEVERITIES):
        rng = generator(seed, f"imagenet-c-bar/{kind}", picture)
        image = in_bytes(corrupting.CORRUPTIONS[kind](clean, severity, rng))
        yield f"{kind}/{severity}/{name}/{name}_{picture.number}.JPEG", image


def _published_laion_c(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    name = CATEGORIES[picture.shape]
    clean = render(seed, "laion-c", picture)
    file = f"{name}/{name}_{picture.number}"
    for kind, level, image in laion_c.laion_c(clean, file, seed, _others(seed)):
        yield f"{kind}/intensity_level_{level}/{file}_{kind}_{level}.JPEG", image


@cache
def _others(seed: int) -> list[np.ndarray]:
    """Return pictures of which stickers and mosaics are made, one of each category."""
    return [render(seed, "laion-c/others", key) for key in world.matched(1)]


def _perturbed(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    whole = render(seed, "imagenet-p", picture, VAL_BORDER).astype(np.float32) / 255
    name = CATEGORIES[picture.shape]
    for kind, perturb in perturbing.PERTURBATIONS.items():
        for frame in range(perturbing.FRAMES):
            # Noise is independent in every frame; snowflakes are the same in all frames.
            number = frame if "noise" in kind else 0
            rng = generator(seed, f"imagenet-p/{kind}/{number}", picture)
            image = in_bytes(perturb(whole, VAL_BORDER, frame, rng))
            yield f"{kind}/{name}/{name}_{picture.number}/{frame + 1:02d}.jpg", image


def _anagrams(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    yield "pairs-72.parquet", anagrams_file(seed)


def _hybrids(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    yield "frequency-cue-conflict.parquet", hybrids_file(seed)


def _on_backgrounds(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    for variant, file, image in backgrounds.variants(seed, picture):
        yield f"{variant}/val/{file}", image


def _masked(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    """Yield the picture in the noise with its number."""
    from miniature.stimuli import masked

    sd, band = NOISES[picture.number - 1]
    place, split = divmod(picture.number - 1, len(SPLITS))
    number = place * len(CATEGORIES) + picture.shape
    file = f"{split}/{number}_cbm_noise{sd}_freq{band}_gray_g_{CATEGORIES[picture.shape]}.JPEG"
    clean = render(seed, "critical-band-masking", picture)
    yield file, masked(clean, file, seed, band, float(sd))


def _in_category(
    seed: int, picture: Picture, name: str, image: Callable[[np.random.Generator], np.ndarray]
) -> Iterator[tuple[str, Content]]:
    category = CATEGORIES[picture.shape]
    yield f"{category}/{category}{picture.number}.png", image(generator(seed, name, picture))


def _edge(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    return _in_category(
        seed, picture, "edge", lambda rng: renditions.edges(world.draw(*picture[:2], rng))
    )


def _silhouette(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    return _in_category(
        seed, picture, "silhouette", lambda rng: renditions.black(picture.shape, rng, SIDE)
    )


def _cues_apart(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    """Yield the shape of a category in others' textures, and its texture without a shape."""
    name = CATEGORIES[picture.shape]
    for cue, draw in (("shape", renditions.quilted), ("texture", renditions.surface)):
        image = draw(picture.shape, generator(seed, f"refined-bias/{cue}", picture), SIDE)
        yield f"refined_bias_{cue}/{name}/{name}_{picture.number}.png", image


def _in_session(name: str, condition: str, picture: Picture) -> str:
    category = CATEGORIES[picture.shape]
    number = (picture.number - 1) * len(CATEGORIES) + picture.shape + 1
    short = name.replace("-", "")
    return (
        f"dnn/session-1/{number:04d}_{short}_dnn_{condition}_{category}_00_"
        f"{category}{picture.number:04d}.png"
    )


def _sketch(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    rng = generator(seed, "sketch", picture)
    yield _in_session("sketch", "0", picture), renditions.sketch(picture.shape, rng, SIDE)


def _stylized(seed: int, picture: Picture) -> Iterator[tuple[str, Content]]:
    image = renditions.restyled(*picture[:2], generator(seed, "stylized", picture), SIDE)
    yield _in_session("stylized", "0", picture), image


def _manipulated(seed: int, picture: Picture, name: str) -> Iterator[tuple[str, Content]]:
    """Yield the picture under the condition with its number."""
    condition = DATA_SETS[name].conditions[picture.number - 1]
    clean = render(seed, name, picture).astype(np.float32) / 255
    rng = generator(seed, f"{name}/{condition}", picture)
    if name == "power-equalisation":
        equal = condition == "pow"
        image = parametric.equalised(clean, _amplitude(seed)) if equal else parametric.grey(clean)
    else:
        image = parametric.MANIPULATIONS[name](clean, condition, rng)
    yield _in_session(name, condition, picture), in_bytes(image)


@cache
def _amplitude(seed: int) -> np.ndarray:
    """Return the mean amplitude spectrum of some pictures, (224, 113)."""
    pictures = [render(seed, "power", key) / 255 for key in world.matched(1)][:EQUALISED_OVER]
    return np.mean([np.abs(np.fft.rfft2(parametric.grey(x))) for x in pictures], axis=0)


def _some(number: int, categories: tuple[str, ...] = CATEGORIES) -> Callable[[int], list[Picture]]:
    """Return a function that returns `number` pictures of each of the categories."""
    keys = [key for key in world.matched(number) if CATEGORIES[key.shape] in categories]
    return lambda per_class: keys


def _every_other_noise(per_class: int) -> list[Picture]:
    """Return pictures of half of the categories in each noise of NOISES, of all in every second."""
    keys = world.matched(len(NOISES))
    return [key for key in keys if (key.shape + key.number) % 2]


def _model_vs_human() -> dict[str, DataSet]:
    drawn: dict[str, DataSet] = {
        "edge": DataSet(_some(10), _edge),
        "silhouette": DataSet(_some(10), _silhouette),
        CUE_CONFLICT: DataSet(
            lambda per_class: world.cue_conflict(world.CONFLICT_INSTANCES), _conflict
        ),
        "sketch": DataSet(_some(10), _sketch),
        "stylized": DataSet(lambda per_class: _other_textures(10), _stylized),
    }
    for name, published in DATA_SETS.items():
        if name not in drawn:
            keys = _some(len(published.conditions))
            drawn[name] = DataSet(keys, partial(_manipulated, name=name))
    return {f"model-vs-human/{name}": drawn[name] for name in DATA_SETS}


def _other_textures(number: int) -> list[Picture]:
    return [key for key in world.texture_randomised(number) if key.shape != key.texture]


SETS: dict[str, DataSet] = {
    "imagenet": DataSet(world.matched, _val),
    "imagenet-real": DataSet(lambda per_class: [Picture(0, 0, per_class)], _real),
    "imagenet-x": DataSet(lambda per_class: [Picture(0, 0, per_class)], _annotations, 3),
    "imagenet-v2": DataSet(_some(10), _redrawn),
    "imagenet-a": DataSet(
        _some(20, HARD), partial(_rendered, split="imagenet-a", styles=(renditions.hard,))
    ),
    "imagenet-r": DataSet(
        _some(20, RENDERED), partial(_rendered, split="imagenet-r", styles=renditions.RENDITIONS)
    ),
    "imagenet-sketch": DataSet(
        _some(10), partial(_rendered, split="imagenet-sketch", styles=(renditions.sketch,))
    ),
    "imagenet-c": DataSet(_some(2), _published_corruptions, 19 * 5, PUBLISHED),
    "imagenet-c-bar": DataSet(
        _some(2), _corrupted, len(corrupting.CORRUPTIONS) * len(corrupting.SEVERITIES), PUBLISHED
    ),
    "laion-c": DataSet(_some(1), _published_laion_c, laion_c.CONDITIONS),
    "imagenet-p": DataSet(
        _some(1), _perturbed, len(perturbing.PERTURBATIONS) * perturbing.FRAMES, PUBLISHED
    ),
    "imagenet9": DataSet(_some(backgrounds.OBJECTS), _on_backgrounds, len(VARIANTS)),
    "critical-band-masking": DataSet(_every_other_noise, _masked, quality=MASKED),
    "refined-bias": DataSet(_some(4), _cues_apart, 2),
    **_model_vs_human(),
    "visual-anagrams": DataSet(lambda per_class: [Picture(0, 0, 1)], _anagrams),
    "frequency-cue-conflict": DataSet(lambda per_class: [Picture(0, 0, 1)], _hybrids),
}
"""By name: the keys of bvg/data/downloads.toml, with model-vs-human's sets below its folder."""

ON_REQUEST = {"imagenet-train": DataSet(_some(TRAINED + VALIDATED), _to_train_on)}
"""Sets that are drawn only when they are named."""
