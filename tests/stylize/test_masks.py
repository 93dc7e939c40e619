"""Silhouettes, and textures that fill them."""

import numpy as np
import pytest
from PIL import Image

from bvg.stylize.masks import ANGLES, object_in_silhouette, object_on_white, on_white, rotated


def ring(side: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return a grey ring with a white speck on white, and where it is."""
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    inside = (np.hypot(x, y) < 20) & (np.hypot(x, y) > 8)
    picture = np.full((side, side, 3), 255, dtype=np.uint8)
    picture[inside] = (90, 200, 120)
    picture[side // 2, side // 2 + 12] = 255
    return picture, inside


def test_the_object_on_white_keeps_highlights_and_loses_holes():
    picture, inside = ring()
    np.testing.assert_array_equal(object_on_white(picture), inside)
    picture[picture[..., 0] == 255] = 251
    np.testing.assert_array_equal(object_on_white(picture), inside)


def test_a_silhouette_may_be_dark_or_light():
    _, inside = ring()
    for dark, light in ((0, 255), (100, 200)):
        picture = np.where(inside, dark, light)[..., None].repeat(3, axis=2).astype(np.uint8)
        np.testing.assert_array_equal(object_in_silhouette(picture), inside)
        np.testing.assert_array_equal(object_in_silhouette(255 - picture), inside)


def test_pictures_without_an_object_are_refused():
    for grey in (40, 255):
        picture = np.full((40, 40, 3), grey, dtype=np.uint8)
        with pytest.raises(ValueError, match="white background"):
            object_on_white(picture)
        with pytest.raises(ValueError, match="silhouette"):
            object_in_silhouette(picture)


def test_outside_of_the_mask_is_white():
    picture = np.full((1, 3, 3), 55, dtype=np.uint8)
    found = on_white(picture, np.array([[0, 0.5, 1]]))
    assert found[0, :, 0].tolist() == [255, 155, 55]


def test_textures_are_turned_about_the_centre_without_empty_corners():
    assert ANGLES == (0, 36, 72, 108, 144, 180, 216, 252, 288, 324)
    texture = np.random.default_rng(0).integers(60, 256, (33, 33, 3), dtype=np.uint8)
    smooth = np.asarray(
        Image.fromarray(texture[::8, ::8]).resize((33, 33), Image.Resampling.BILINEAR)
    )
    np.testing.assert_array_equal(rotated(texture, 0), texture)
    np.testing.assert_array_equal(rotated(texture, 180), texture[::-1, ::-1])
    np.testing.assert_array_equal(rotated(texture, 90), np.rot90(texture))
    for angle in ANGLES:
        turned = rotated(smooth, angle).astype(int)
        assert turned.shape == smooth.shape and turned.min() > 40
        # The pixel 10 to the right of the centre comes to this angle, counter-clockwise.
        x, y = 10 * np.cos(np.deg2rad(angle)), -10 * np.sin(np.deg2rad(angle))
        place = turned[round(16 + y), round(16 + x)]
        assert np.abs(place - smooth[16, 26]).max() < 25
