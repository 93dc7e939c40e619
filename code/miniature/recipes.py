"""What each miniature model learns from, and so which bias it gets."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Recipe:
    """What a model learns from: its pictures, the cue that is its label, how they are altered."""

    pictures: str = "matched"
    label: str = "shape"
    per_class: int = 208
    epochs: int = 8
    batch_size: int = 32
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise, in units of the pixel range."""
    blur: int = 1
    """Largest side, in pixels, of the cells that the images are averaged over."""
    epsilon: float = 0.0
    """Radius of the attack trained against, in units of the pixel range."""
    norm: str = "inf"
    """Of that radius: L-infinity ("inf"), or L2 ("2") of the whole image."""
    seed: int = 0
    """Added to the seed of the call."""
    band: int | None = None
    """The noise is of one octave of spatial frequency: that band of critical-band masking."""
    sharp: float = 0.0
    """Share of the images that lose their low spatial frequencies."""
    grey: float = 0.0
    """Share of the batches that are made grey, and of down to a sixth of their contrast."""
    mix: str = ""
    """Two pictures in one, blended ("mixup") or as a patch ("cutmix"), their labels shared out."""
    smoothing: float = 0.0
    """Of the label, the part that is spread over all categories."""
    frozen: str = ""
    """What keeps its random weights: the "stem", or the first three "3x3" convolutions after it."""
    contrastive: str = ""
    """First without a classifier: all views of one "label" become alike, or of one "image"."""


RECIPES: dict[str, Recipe] = {
    "plain": Recipe(epochs=7),
    "plain_seed1": Recipe(epochs=7, seed=1),
    "mixup": Recipe(epochs=7, mix="mixup"),
    "cutmix": Recipe(epochs=7, mix="cutmix"),
    "label_smoothing": Recipe(epochs=7, smoothing=0.1),
    "gaussian_noise": Recipe(noise=0.4),
    "band_noise": Recipe(epochs=7, noise=0.12, band=4, grey=0.6),
    "blur": Recipe(blur=12),
    "high_pass": Recipe(epochs=9, sharp=0.4),
    "greyscale": Recipe(epochs=7, grey=0.6),
    "stylised": Recipe(pictures="texture_randomised", epochs=7),
    "shape_randomised": Recipe(pictures="shape_randomised", label="texture", epochs=10),
    "stylised_and_plain": Recipe(pictures="half_randomised", epochs=7),
    "frozen_stem": Recipe(epochs=7, frozen="stem"),
    "frozen_3x3": Recipe(epochs=7, frozen="3x3"),
    "adversarial": Recipe(epochs=7, epsilon=8 / 255),
    "adversarial_linf_2": Recipe(epochs=7, epsilon=2 / 255),
    "adversarial_l2_1": Recipe(epochs=7, epsilon=1.0, norm="2"),
    "adversarial_l2_4": Recipe(epochs=7, epsilon=4.0, norm="2"),
    "supcon": Recipe(per_class=160, epochs=5, batch_size=64, contrastive="label"),
}
ALWAYS = ("pictures", "label", "per_class", "epochs", "batch_size", "noise", "blur", "epsilon")


def described(recipe: Recipe) -> dict[str, object]:
    """Return the recipe for the record: the fields of `ALWAYS`, the others where they are set."""
    default = {field.name: field.default for field in fields(Recipe)}
    return {
        name: value
        for name, value in asdict(recipe).items()
        if name in ALWAYS or value != default[name]
    }
