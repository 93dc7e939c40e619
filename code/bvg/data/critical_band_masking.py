"""The stimuli of critical-band masking, as published: each image in one noise, 16 categories.

Source: Subramanian et al., "Spatial-frequency channels, shape bias, and adversarial robustness",
NeurIPS 2023; https://github.com/ajaysub110/critical-band-masking. Five splits of 210 images, grey,
224 px; the folder `train`, with which human observers practised, is no part of the test.
"""

import re
from collections import Counter
from pathlib import Path

import numpy as np

from bvg.data.categories import CATEGORIES
from bvg.data.folders import existing_folder, image_files, subfolders, wrong_folder
from bvg.data.image_set import ImageSet, check_counts
from bvg.data.preprocessing import READY_224
from bvg.errors import UserError

IMAGES = 1_050
SPLITS = ("0", "1", "2", "3", "4")
DEVIATIONS = ("0.02", "0.04", "0.08", "0.16")  # of the noise, as files write them; 0 for none
BANDS = (0, 1, 2, 3, 4, 5, 6)
CONDITIONS = (
    "criticalband/f=0/sd=0",
    *(f"criticalband/f={band}/sd={sd}" for band in BANDS for sd in DEVIATIONS),
)
# The images by strength and octave, in the published trials of each of the networks.
TRIALS = {
    "0": (30, 28, 30, 32, 41, 28, 32),
    "0.02": (29, 31, 31, 30, 30, 20, 36),
    "0.04": (33, 34, 29, 29, 27, 32, 26),
    "0.08": (37, 24, 31, 36, 32, 32, 35),
    "0.16": (29, 32, 30, 20, 19, 32, 23),
}
OTHER_DRAW = "other_draw"  # the note for stimuli that are not those of the paper
_LAYOUT = "<number>_cbm_noise<SD>_freq<octave>_gray_g_<category>.JPEG"
_NAME = re.compile(
    rf"\d+_cbm_noise(?P<sd>0|{'|'.join(map(re.escape, DEVIATIONS))})_freq(?P<band>[0-6])"
    r"_gray_g_(?P<category>.+)"
)


def condition_of(sd: str, band: int) -> str:
    """Return the condition of noise of one octave: one of CONDITIONS, which has no noise once."""
    return f"criticalband/f={band}/sd={sd}" if sd != "0" else CONDITIONS[0]


def critical_band_masking(
    root: str | Path, classes: tuple[str, ...] | None, partial: bool = False
) -> ImageSet:
    """Return the stimuli `<split>/<n>_cbm_noise<SD>_freq<octave>_gray_g_<category>.JPEG`.

    root: the folder of the splits 0 to 4. classes: the categories, in the order of the labels; None
    for those in the files' names. Conditions are named as those of noise that is added to ImageNet
    (bvg.stimuli.criticalband). Stimuli whose numbers by strength and octave are not those of the
    paper's trials are noted as another draw.
    Raises UserError for other folders or names, and, unless `partial`, for other numbers of images
    or of the 16 categories than the published ones.
    """
    given = existing_folder(root, "the folder of the stimuli", "--critical_band_masking")
    below = (given / "stimuli" / "CBMSplit", given / "CBMSplit")
    folder = next((path for path in below if path.is_dir()), given)
    splits = [name for name in SPLITS if (folder / name).is_dir()]
    files = [f"{split}/{name}" for split in splits for name in image_files(folder / split)]
    if not files:
        layout = f"the splits {', '.join(SPLITS)} with files {_LAYOUT}"
        raise wrong_folder(given, "critical-band-masking", layout, SPLITS, ("CBMSplit",))
    if unknown := sorted({*subfolders(folder)} - {*SPLITS, "train"}):
        raise UserError(f"{folder / unknown[0]} is not one of the splits: remove it")
    matches = [_match(folder, file) for file in files]
    if classes is None:
        classes = tuple(sorted({match["category"] for match in matches}))
    for file, match in zip(files, matches, strict=True):
        if match["category"] not in classes:
            raise UserError(
                f"{folder / file} names none of the {len(classes)} categories "
                f"({', '.join(classes[:3])}, …): {_LAYOUT} is expected; rename or remove it"
            )
    counts = Counter((match["sd"], int(match["band"])) for match in matches)
    images = ImageSet(
        folder,
        tuple(files),
        tuple(files),
        np.array([classes.index(match["category"]) for match in matches], dtype=np.int64),
        classes,
        conditions=tuple(condition_of(match["sd"], int(match["band"])) for match in matches),
        view=READY_224,
    )
    if classes == CATEGORIES:
        check_counts(images, (IMAGES, len(CATEGORIES)), partial)
        known = {(sd, band): n for sd, row in TRIALS.items() for band, n in enumerate(row)}
        if "partial" not in images.notes and counts != known:
            images.notes[OTHER_DRAW] = "images by strength and octave are not those of the trials"
    return images


def _match(folder: Path, file: str) -> re.Match[str]:
    match = _NAME.fullmatch(Path(file).stem)
    if match is None:
        raise UserError(
            f"{folder / file} is not a stimulus of critical-band masking: {_LAYOUT} is expected; "
            "rename or remove it"
        )
    return match
