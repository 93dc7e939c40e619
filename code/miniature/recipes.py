"""Training recipes of the miniature models, each of which plants a bias."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Recipe:
    """A training recipe: the pictures, the cue used as label, and the augmentation."""

    pictures: str = "matched"
    label: str = "shape"
    per_class: int = 208
    epochs: int = 8
    batch_size: int = 32
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise, in units of the pixel range."""
    blur: int = 1
    """Largest side, in pixels, of the cells over which images are averaged."""
    epsilon: float = 0.0
    """Radius of the attack in adversarial training, in units of the pixel range."""
    norm: str = "inf"
    """Norm of that radius: L-infinity ("inf"), or L2 ("2") of the whole image."""
    seed: int = 0
    """Added to the seed of the call."""
    band: int | None = None
    """Restricts the noise to one octave of spatial frequency, a band of critical-band masking."""
    sharp: float = 0.0
    """Fraction of the images that are high-pass filtered."""
    grey: float = 0.0
    """Fraction of the batches that are made grey, with contrast reduced down to a sixth."""
    mix: str = ""
    """Mixes two pictures and their labels: blended ("mixup") or as a patch ("cutmix")."""
    smoothing: float = 0.0
    """Label smoothing."""
    frozen: str = ""
    """Layers with frozen random weights: the "stem", or the first three "3x3" convolutions."""
    contrastive: str = ""
    """Contrastive pre-training with positives of the same "label" or the same "image"."""


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
    """Return the recipe for the record: the fields of `ALWAYS`, and others if they are set."""
    default = {field.name: field.default for field in fields(Recipe)}
    return {
        name: value
        for name, value in asdict(recipe).items()
        if name in ALWAYS or value != default[name]
    }
