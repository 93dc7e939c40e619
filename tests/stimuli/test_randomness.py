"""Keyed randomness: a pure function of seed, condition and image."""

import torch

from bvg.stimuli.batch import Batch
from bvg.stimuli.randomness import keyed_generator, keyed_normal


def _batch(names: tuple[str, ...], seed: int = 0) -> Batch:
    count = len(names)
    return Batch(torch.zeros(count, 3, 2, 2), names, torch.zeros(count), seed)


def test_an_images_draws_do_not_depend_on_its_batch():
    together = keyed_normal(_batch(("a", "b", "c")), "noise", (50, 50))
    alone = keyed_normal(_batch(("b",)), "noise", (50, 50))
    assert torch.equal(together[1], alone[0])


def test_seed_condition_and_name_each_change_the_draws():
    draws = {
        key: tuple(torch.randn(4, generator=keyed_generator(*key)).tolist())
        for key in [(0, "noise", "a"), (1, "noise", "a"), (0, "blur", "a"), (0, "noise", "b")]
    }
    assert len(set(draws.values())) == 4
    assert keyed_generator(0, "noise", "a").initial_seed() != 0


def test_the_draws_are_standard_normal_and_independent_between_images():
    draws = keyed_normal(_batch(("a", "b")), "noise", (200, 200)).double()
    assert abs(float(draws.mean())) < 0.02
    assert abs(float(draws.std()) - 1) < 0.02
    assert abs(float((draws[0] * draws[1]).mean())) < 0.02
