"""Filtered and masked photographs, and what real models decide on them, against the definitions.

BVG_EVERY=1 looks at all 400 photographs instead of every fiftieth (minutes instead of seconds).
"""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from bvg.data.imagenet import imagenet_classes, imagenet_val
from bvg.data.preprocessing import STUDY
from bvg.stimuli.criticalband import condition_name
from bvg.stimuli.randomness import keyed_generator, keyed_normal
from eval_criticalband import BANDS, DEVIATIONS
from eval_criticalband import stimuli as critical_band
from eval_spectral import stimuli as spectral
from oracles import critical_band as masking
from oracles import spectral as filtering
from stimulus_helpers import batch_of


@pytest.fixture(scope="module")
def crops(fixtures) -> dict[str, np.ndarray]:
    images = imagenet_val(fixtures / "imagenet", imagenet_classes(), partial=True)
    every = int(os.environ.get("BVG_EVERY", "50"))
    return {
        images.names[k]: STUDY(Image.open(images.path(k)).convert("RGB"))
        for k in range(0, len(images), every)
    }


@torch.inference_mode()
def test_spectral_conditions_and_decisions_on_photos_are_the_definitions(crops, networks):
    furthest, decisions = 0.0, 0
    for crop in crops.values():
        ours = dict(spectral(batch_of(crop)))
        names = filtering.CONDITIONS
        slow = np.stack([filtering.of_condition(crop / 255, name) for name in names])
        fast = torch.cat([ours[name] for name in names])
        exact = torch.from_numpy(slow).permute(0, 3, 1, 2).float()
        furthest = max(furthest, float((fast - exact).abs().max()))
        for network in networks.values():
            one, other = network(fast), network(exact)
            assert torch.equal(one.argmax(1), other.argmax(1))
            decisions += len(names)
    assert furthest < 1e-5
    assert decisions == len(crops) * 66
    print(f"{decisions:,} decisions equal; stimuli differ by at most {furthest:.1e}")


@torch.inference_mode()
def test_masked_photos_are_the_definitions(crops):
    for name, crop in [*crops.items()][:2]:
        batch = batch_of(crop, names=(name,), seed=3)
        ours = dict(critical_band(batch))
        field = keyed_normal(batch, "criticalband", (224, 224))[0].double().numpy()
        grey, levels = masking.low_contrast_grey(crop), masking.levels(field)
        assert np.abs(ours[condition_name(0, 0)][0, 1].numpy() - grey).max() < 1e-6
        for f in BANDS:
            for sd in DEVIATIONS:
                condition = condition_name(f, sd)

                def draws(condition=condition, name=name):
                    generator = keyed_generator(3, condition, name)
                    while True:
                        yield torch.randn((224, 224), generator=generator).double().numpy()

                expected = masking.masked(grey, sd * masking.band(levels, f), sd, draws)
                assert np.abs(ours[condition][0, 1].numpy() - expected).max() < 1e-5
