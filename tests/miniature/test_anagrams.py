"""Anagrams consist of the same pieces; hybrids of the low and the high frequencies they should."""

from collections import Counter

import numpy as np
import pytest

from miniature.anagrams import PIECE, SHOWN, anagram, ordered_pairs
from miniature.hybrids import SIGMA, hybrids
from miniature.silhouettes import mask
from miniature.world import CATEGORIES


def pieces(picture: np.ndarray) -> Counter:
    across = range(0, 256, PIECE)
    return Counter(picture[y : y + PIECE, x : x + PIECE].tobytes() for y in across for x in across)


@pytest.mark.parametrize("number", [0, 17, 40, 71])
def test_both_pictures_have_the_same_pieces_in_other_places(number):
    first, second = anagram(*ordered_pairs()[number], 1, 0)
    assert first.shape == (256, 256, 3) and first.dtype == np.uint8
    assert pieces(first) == pieces(second) and len(pieces(first)) > 20
    assert (first != second).any(axis=2).mean() > 0.05


def test_each_picture_is_most_like_the_silhouette_of_its_category():
    plain = {name: mask(name, 256, (128, 128), 85, 0.0) > 0.5 for name in SHOWN}
    right = []
    for pair in ordered_pairs()[::5]:
        for name, picture in zip(pair, anagram(*pair, 1, 0), strict=True):
            inside = (picture != picture[0, 0]).any(axis=2)
            likeness = {k: (inside & v).sum() / (inside | v).sum() for k, v in plain.items()}
            right.append(max(likeness, key=likeness.__getitem__) == name)
    assert np.mean(right) > 0.9


def test_every_ordered_pair_is_there_once():
    pairs = ordered_pairs()
    assert len({*pairs}) == len(pairs) == 72 and pairs == sorted(pairs)
    assert [*SHOWN] == sorted(SHOWN) and {*SHOWN} <= {*CATEGORIES}


def test_a_hybrid_has_the_low_frequencies_of_one_and_the_high_ones_of_another():
    """Those of one low picture differ from each other by high frequencies only."""
    found = {(low, high, first): image for low, high, first, _, image in hybrids(0)}
    one, other = (
        next(v.astype(float) for (low, high, n), v in found.items() if (low, high, n) == key)
        for key in (("arrow", "comb", 1), ("arrow", "cross", 1))
    )
    spectrum = np.abs(np.fft.fft2((one - other).mean(axis=2))) ** 2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(224)] * 2))
    whole = np.abs(np.fft.fft2(one.mean(axis=2))) ** 2
    below = (frequency > 0) & (frequency < 1 / (8 * SIGMA))
    assert spectrum[below].sum() < 0.1 * whole[below].sum()
