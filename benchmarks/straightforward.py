"""The benchmarks as one would write them first: one condition, one image, one pass at a time.

    python benchmarks/straightforward.py --what spectral --model FILE.py:factory --images FILE …

prints what such a run costs, without the imports: {"clock": …, "cpu": …}. It is what
benchmarks/conditions.py measures the project against. Nothing here is shared between conditions,
and nothing is needlessly slow either: filters and pyramids are whole-array operations of PyTorch
and SciPy; only pixels that leave [0, 1] are looked at one by one.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import correlate1d
from torchvision import transforms

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "code"))

from bvg.zoo.loading import load_model
from measuring import timed

CUTOFFS = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
DEVIATIONS = (0.02, 0.04, 0.08, 0.16)
_TAPS = np.sqrt(2) * np.array([1, 4, 6, 4, 1]) / 16
_CROP = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])

Stimulus = Callable[[Image.Image], torch.Tensor]  # a crop → (3, 224, 224) in [0, 1]


def one_condition() -> dict[str, Stimulus]:
    """Return the unchanged image."""
    return {"clean": transforms.ToTensor()}


def spectral_conditions() -> dict[str, Stimulus]:
    """Return the unfiltered image and the 22 spectral conditions."""
    conditions: dict[str, Stimulus] = {"clean": transforms.ToTensor()}
    for cutoff in CUTOFFS:
        conditions[f"lowpass/{cutoff}"] = partial(_filtered, share=cutoff, low=True)
        conditions[f"highpass/{cutoff}"] = partial(_filtered, share=1 - cutoff, low=False)
    return conditions


def critical_band_conditions() -> dict[str, Stimulus]:
    """Return the grey image and the 28 conditions with noise."""
    random = np.random.default_rng(0)
    conditions: dict[str, Stimulus] = {
        "criticalband/f=0/sd=0": lambda crop: _in_colour(_grey(crop)),
    }
    for f in range(7):
        for sd in DEVIATIONS:
            conditions[f"criticalband/f={f}/sd={sd}"] = partial(_masked, f=f, sd=sd, random=random)
    return conditions


@torch.inference_mode()
def run(
    files: list[Path],
    conditions: dict[str, Stimulus],
    model: torch.nn.Module,
    batch_size: int,
    device: str,
) -> dict[str, torch.Tensor]:
    """Return each condition's top-1 answers: a pass over the files for every condition."""
    answers = {}
    for name, stimulus in conditions.items():
        batches = _batches(files, stimulus, batch_size)
        answers[name] = torch.cat([model(batch.to(device)).argmax(1) for batch in batches])
    return answers


def crop_of(file: Path) -> Image.Image:
    """Return the study's 224 x 224 crop."""
    return _CROP(Image.open(file).convert("RGB"))


def _batches(files: list[Path], stimulus: Stimulus, size: int) -> Iterator[torch.Tensor]:
    for start in range(0, len(files), size):
        yield torch.stack([stimulus(crop_of(file)) for file in files[start : start + size]])


def _filtered(crop: Image.Image, share: float, low: bool) -> torch.Tensor:
    image = transforms.ToTensor()(crop)
    height, width = image.shape[1:]
    y, x, r_y, r_x = height // 2, width // 2, int(share * (height // 2)), int(share * (width // 2))
    mask = torch.zeros(height, width)
    mask[y - r_y : y + r_y, x - r_x : x + r_x] = 1
    spectrum = torch.fft.fftshift(torch.fft.fft2(image), dim=(-2, -1))
    kept = torch.fft.ifftshift(spectrum * (mask if low else 1 - mask), dim=(-2, -1))
    return torch.fft.ifft2(kept).real.clamp(0, 1)


def _grey(crop: Image.Image) -> np.ndarray:
    grey = np.asarray(crop.convert("L")) / 255
    return (grey - grey.mean()) * 0.2 + 0.449


def _masked(crop: Image.Image, f: int, sd: float, random: np.random.Generator) -> torch.Tensor:
    image = _grey(crop)
    noise = _band(sd * random.normal(size=image.shape), f)
    total = image + noise
    for i, j in np.argwhere((total < 0) | (total > 1)):
        wanted = (0.1 if total[i, j] < 0 else 0.9) - noise[i, j]
        if (total[i, j] < 0 and wanted <= 1) or (total[i, j] > 1 and wanted >= 0):
            image[i, j] = wanted
        else:
            while not 0 <= image[i, j] + noise[i, j] <= 1:
                noise[i, j] = random.normal(0, sd)
    return _in_colour(image + noise)


def _in_colour(grey: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(grey).float().expand(3, -1, -1)


def _band(noise: np.ndarray, f: int) -> np.ndarray:
    """Return the noise of one octave, as strong as the finest level of the pyramid."""
    level = 6 - f
    finest = noise - _blurred(noise, 1)
    band = finest if level == 0 else _blurred(noise, level)
    if 0 < level < 6:
        band = band - _blurred(noise, level + 1)
    return band * np.sqrt((finest**2).mean() / (band**2).mean())


def _blurred(noise: np.ndarray, times: int) -> np.ndarray:
    shapes, small = [], noise
    for _ in range(times):
        shapes.append(small.shape)
        small = _smooth(small)[::2, ::2]
    for shape in reversed(shapes):
        stuffed = np.zeros(shape)
        stuffed[::2, ::2] = small
        small = _smooth(stuffed)
    return small


def _smooth(field: np.ndarray) -> np.ndarray:
    return correlate1d(
        correlate1d(field, _TAPS, axis=0, mode="mirror"), _TAPS, axis=1, mode="mirror"
    )


def main() -> None:
    """Print the cost of one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--what", choices=CONDITIONS, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", nargs="+", type=Path, required=True)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--device", default="cpu", help="for the model (default: cpu)")
    arguments = parser.parse_args()

    def work() -> None:
        model = load_model(arguments.model).eval().to(arguments.device)
        conditions = CONDITIONS[arguments.what]()
        run(arguments.images, conditions, model, arguments.batch_size, arguments.device)

    print(json.dumps(asdict(timed(work))))


CONDITIONS = {
    "one condition": one_condition,
    "spectral": spectral_conditions,
    "critical band": critical_band_conditions,
}

if __name__ == "__main__":
    main()
