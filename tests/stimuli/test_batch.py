from dataclasses import replace

import numpy as np
import pytest
import torch

from bvg.stimuli.batch import Batch, bytes_of, in_planes, in_threads, with_levels
from stimulus_helpers import batch_of, photo_like

IMAGES = np.stack([photo_like(seed, 20, 30) for seed in range(2)])


def known() -> Batch:
    """Return a batch that was told other levels than its pixels have, to tell the two apart."""
    return with_levels(batch_of(*IMAGES), 255 - IMAGES)


def test_levels_are_the_bytes_of_the_pixels():
    batch = batch_of(*IMAGES)
    assert np.array_equal(batch.levels, IMAGES)
    assert np.array_equal(bytes_of(batch.pixels.to(memory_format=torch.channels_last)), IMAGES)


def test_known_levels_are_not_asked_for():
    assert np.array_equal(known().levels, 255 - IMAGES)


def test_levels_of_other_pixels_are_other_levels():
    changed = replace(known(), pixels=torch.zeros(2, 3, 20, 30))
    assert not changed.levels.any()


def test_other_memory_has_the_same_levels():
    batch = known()
    pixels = batch.pixels.to(memory_format=torch.channels_last)
    planes = in_planes(with_levels(replace(batch, pixels=pixels), batch.levels))
    assert planes.pixels.is_contiguous() and torch.equal(planes.pixels, pixels)
    assert np.array_equal(planes.levels, 255 - IMAGES)
    assert np.array_equal(in_planes(batch_of(*IMAGES)).levels, IMAGES)


def test_the_decoded_images_cannot_be_changed():
    images = IMAGES.copy()
    batch = with_levels(batch_of(*images), images)
    with pytest.raises(ValueError, match="read-only"):
        batch.levels[0] = 0
    images[0] = 0  # whose memory it is may do so


@pytest.mark.parametrize("threads", [1, 4])
def test_work_in_threads_is_returned_in_order(threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert in_threads(lambda a, b: a + b, range(30), range(30)) == list(range(0, 60, 2))
