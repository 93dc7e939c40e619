"""Weather, digital and other ImageNet-C corruptions as they are defined: one image at a time.

Images are (H, W, 3) uint8, results (H, W, 3) float64 in [0, 1], clipped. Random draws are
arguments.
"""

import colorsys
from io import BytesIO
from math import ceil, cos, exp, radians, sin

import numpy as np
from PIL import Image
from scipy import ndimage

SNOW = {
    1: (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    2: (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    3: (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    4: (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    5: (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
}
FROST = {1: (1, 0.4), 2: (0.8, 0.6), 3: (0.7, 0.7), 4: (0.65, 0.7), 5: (0.6, 0.75)}
FOG = {1: (1.5, 2), 2: (2, 2), 3: (2.5, 1.7), 4: (2.5, 1.5), 5: (3, 1.4)}
BRIGHTNESS = {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4, 5: 0.5}
SATURATE = {1: (0.3, 0), 2: (0.1, 0), 3: (2, 0), 4: (5, 0.1), 5: (20, 0.2)}
CONTRAST = {1: 0.4, 2: 0.3, 3: 0.2, 4: 0.1, 5: 0.05}
ELASTIC = {
    1: (244 * 2, 244 * 0.7, 244 * 0.1),
    2: (244 * 2, 244 * 0.08, 244 * 0.2),
    3: (244 * 0.05, 244 * 0.01, 244 * 0.02),
    4: (244 * 0.07, 244 * 0.01, 244 * 0.02),
    5: (244 * 0.12, 244 * 0.01, 244 * 0.02),
}
PIXELATE = {1: 0.6, 2: 0.5, 3: 0.4, 4: 0.3, 5: 0.25}
JPEG = {1: 25, 2: 18, 3: 15, 4: 10, 5: 7}
SPATTER = {
    1: (0.65, 0.3, 4, 0.69, 0.6, 0),
    2: (0.65, 0.3, 3, 0.68, 0.6, 0),
    3: (0.65, 0.3, 2, 0.68, 0.5, 0),
    4: (0.65, 0.3, 1, 0.65, 1.5, 1),
    5: (0.67, 0.4, 1, 0.65, 1.5, 1),
}


def zoomed(layer: np.ndarray, zoom: float, size: int) -> np.ndarray:
    """Return a centre crop enlarged by `zoom` and cut to size x size."""
    large = ndimage.zoom(layer, (zoom, zoom), order=1)
    cut = (len(large) - size) // 2
    return large[cut : cut + size, cut : cut + size]


def motion_blurred(layer: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """Return the layer blurred along a line, with the edge pixels repeated outside."""
    taps = [exp(-(k**2) / (2 * sigma**2)) for k in range(2 * radius + 1)]
    rows, columns = np.indices(layer.shape)
    out = np.zeros(layer.shape)
    for k, tap in enumerate(taps):
        down = ceil(k * sin(radians(angle)) - 0.5)
        right = ceil(k * cos(radians(angle)) - 0.5)
        y = (rows + down).clip(0, layer.shape[0] - 1)
        x = (columns + right).clip(0, layer.shape[1] - 1)
        out += tap / sum(taps) * layer[y, x]
    return out


def snow(image: np.ndarray, severity: int, normal: np.ndarray, angle: float) -> np.ndarray:
    """Return the image under snow. normal: N(0, 1), of the crop that is zoomed."""
    mean, deviation, zoom, threshold, radius, sigma, keep = SNOW[severity]
    assert len(normal) == ceil(len(image) / zoom)
    layer = zoomed(normal * deviation + mean, zoom, len(image))
    layer[layer < threshold] = 0
    layer = np.floor(layer.clip(0, 1) * 255) / 255
    layer = np.round(motion_blurred(layer, radius, sigma, angle) * 255) / 255
    x = image / 255
    grey = (x * [0.299, 0.587, 0.114]).sum(2, keepdims=True)
    x = keep * x + (1 - keep) * np.maximum(x, 1.5 * grey + 0.5)
    return (x + (layer + np.rot90(layer, 2))[:, :, None]).clip(0, 1)


def frost(image: np.ndarray, severity: int, crop: np.ndarray) -> np.ndarray:
    """Return the image under frost. crop: of a photograph, uint8, as large as the image."""
    of_image, of_frost = FROST[severity]
    return (of_image * image.astype(float) + of_frost * crop).clip(0, 255) / 255


def plasma(draws: np.ndarray, decay: float, side: int = 256) -> np.ndarray:
    """Return diamond-square heights in [0, 1], point by point. draws: uniform in [-1, 1)."""
    heights = np.zeros((side, side))
    draws = iter(draws)
    step, wobble = side, 100.0
    while step >= 2:
        half = step // 2
        corners = [(y, x) for y in range(0, side, step) for x in range(0, side, step)]
        for dy, dx in ((half, half), (0, half), (half, 0)):
            for y, x in corners:
                a, b = y + dy, x + dx
                around = ((half, half), (half, -half), (-half, half), (-half, -half))
                if (dy, dx) != (half, half):
                    around = ((half, 0), (-half, 0), (0, half), (0, -half))
                total = sum(heights[(a + v) % side, (b + h) % side] for v, h in around)
                heights[a, b] = total / 4 + wobble * wobble * next(draws)
        step, wobble = half, wobble / decay
    assert next(draws, None) is None
    return (heights - heights.min()) / (heights.max() - heights.min())


def fog(image: np.ndarray, severity: int, draws: np.ndarray) -> np.ndarray:
    """Return the image in fog."""
    strength, decay = FOG[severity]
    x = image / 255
    height, width = x.shape[:2]
    foggy = x + strength * plasma(draws, decay)[:height, :width, None]
    return (foggy * x.max() / (x.max() + strength)).clip(0, 1)


def brightness(image: np.ndarray, severity: int) -> np.ndarray:
    """Return the image with V of HSV raised."""
    added = BRIGHTNESS[severity]
    return in_hsv(image, lambda h, s, v: (h, s, min(v + added, 1)))


def saturate(image: np.ndarray, severity: int) -> np.ndarray:
    """Return the image with S of HSV scaled and shifted."""
    times, plus = SATURATE[severity]
    return in_hsv(image, lambda h, s, v: (h, min(max(s * times + plus, 0), 1), v))


def in_hsv(image: np.ndarray, change) -> np.ndarray:
    """Return the image after a change of each pixel's hue, saturation and value."""
    known: dict[tuple, tuple] = {}
    out = np.empty(image.shape)
    for position in np.ndindex(*image.shape[:2]):
        pixel = tuple(int(level) for level in image[position])
        if pixel not in known:
            hsv = colorsys.rgb_to_hsv(*(level / 255 for level in pixel))
            known[pixel] = colorsys.hsv_to_rgb(*change(*hsv))
        out[position] = known[pixel]
    return out


def contrast(image: np.ndarray, severity: int) -> np.ndarray:
    """Return the image drawn towards its channels' means."""
    x = image / 255
    mean = x.mean(axis=(0, 1))
    return ((x - mean) * CONTRAST[severity] + mean).clip(0, 1)


def pixelate(image: np.ndarray, severity: int) -> np.ndarray:
    """Return the image box-resized and back, by Pillow."""
    height, width = image.shape[:2]
    small = (int(width * PIXELATE[severity]), int(height * PIXELATE[severity]))
    box = Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize(small, box).resize((width, height), box)) / 255


def jpeg_compression(image: np.ndarray, severity: int) -> np.ndarray:
    """Return the image from a JPEG of poor quality."""
    return jpeg(image, JPEG[severity])


def jpeg(image: np.ndarray, quality: int, **options) -> np.ndarray:
    """Return what Pillow reads from the JPEG file that it wrote."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, **options)
    return np.asarray(Image.open(BytesIO(file.getvalue()))) / 255


def elastic_transform(
    image: np.ndarray, severity: int, moves: np.ndarray, shifts: np.ndarray
) -> np.ndarray:
    """Return the image transformed.

    moves: of three points, uniform in [-1, 1), (3, 2), x and y. shifts: uniform in [-1, 1), of x
    and of y, (2, H, W).
    """
    alpha, sigma, reach = ELASTIC[severity]
    height, width = image.shape[:2]
    cx, cy, third = width // 2, height // 2, min(height, width) // 3
    points = [(cx + third, cy + third), (cx + third, cy - third), (cx - third, cy - third)]
    moved = np.array(points) + reach * moves
    # x = a x' + b y' + c, y = d x' + e y' + f for the three pairs of points.
    equations, known = [], []
    for (x, y), (u, v) in zip(points, moved, strict=True):
        equations += [[u, v, 1, 0, 0, 0], [0, 0, 0, u, v, 1]]
        known += [x, y]
    a, b, c, d, e, f = np.linalg.solve(np.array(equations), np.array(known, float))
    v, u = np.indices((height, width)).astype(float)
    x = fixed_point(np.rint(a * u * 1024) + np.rint((b * v + c) * 1024))
    y = fixed_point(np.rint(d * u * 1024) + np.rint((e * v + f) * 1024))
    channels = [
        ndimage.map_coordinates(channel / 255, [y, x], order=1, mode="mirror")
        for channel in np.moveaxis(image, 2, 0)
    ]
    dx, dy = (
        ndimage.gaussian_filter(shift, sigma, mode="reflect", truncate=3) * alpha
        for shift in shifts
    )
    moved_again = [
        ndimage.map_coordinates(channel, [v + dy, u + dx], order=1, mode="reflect")
        for channel in channels
    ]
    return np.stack(moved_again, axis=2).clip(0, 1)


def fixed_point(coordinate: np.ndarray) -> np.ndarray:
    """Return 1/1024ths of a pixel as pixels, rounded to 1/32."""
    return (coordinate.astype(np.int64) + 16 >> 5) / 32


def liquid(severity: int, normal: np.ndarray) -> np.ndarray:
    """Return the smooth field of which spatter is made."""
    mean, deviation, sigma = SPATTER[severity][:3]
    return ndimage.gaussian_filter(normal * deviation + mean, sigma, mode="nearest", truncate=4)


def spatter(image: np.ndarray, severity: int, normal: np.ndarray) -> np.ndarray:
    """Return the image spattered with water or mud."""
    *_, threshold, strength, mud = SPATTER[severity]
    x, field = image / 255, liquid(severity, normal)
    if mud:
        mask = (field > threshold).astype(float)
        mask = ndimage.gaussian_filter(mask, strength, mode="nearest", truncate=4)
        mask[mask < 0.8] = 0
        mask = mask[:, :, None]
        return (x * (1 - mask) + mask * np.array([63, 42, 20]) / 255).clip(0, 1)
    field[field < threshold] = 0
    drops = strength * water((field * 255).astype(np.uint8))
    return (x + drops[:, :, None] * np.array([175, 238, 238]) / 255).clip(0, 1)


def water(levels: np.ndarray) -> np.ndarray:
    """Return how bright drops are, the brightest 1."""
    distance = chamfer(canny(levels, 50, 150))
    capped = np.minimum(distance, 20)
    smooth = ndimage.convolve(capped, np.ones((3, 3)), mode="mirror") / 9
    equal = equalised(np.floor(smooth + 1e-9).astype(int))
    emboss = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    shaded = ndimage.correlate(equal, emboss, mode="mirror").clip(0, 255)
    shaded = np.rint(ndimage.convolve(shaded, np.ones((3, 3), int), mode="mirror") / 9)
    drops = levels * shaded
    return drops / drops.max() if drops.max() > 0 else drops


def canny(image: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return Canny's edges, pixel by pixel."""
    dx = ndimage.sobel(image.astype(int), axis=1, mode="nearest")
    dy = ndimage.sobel(image.astype(int), axis=0, mode="nearest")
    size = np.pad(abs(dx) + abs(dy), 1)
    ridge = np.zeros(image.shape, bool)
    for y, x in zip(*np.nonzero(size[1:-1, 1:-1] > low), strict=True):
        gx, gy, here = dx[y, x], dy[y, x], size[y + 1, x + 1]
        tangent = abs(gy) / abs(gx) if gx else np.inf
        if tangent < 13573 / 32768:
            ridge[y, x] = here > size[y + 1, x] and here >= size[y + 1, x + 2]
        elif tangent > 13573 / 32768 + 2:
            ridge[y, x] = here > size[y, x + 1] and here >= size[y + 2, x + 1]
        else:
            sign = -1 if gx * gy < 0 else 1
            ridge[y, x] = here > size[y, x + 1 - sign] and here > size[y + 2, x + 1 + sign]
    strong = ridge & (size[1:-1, 1:-1] > high)
    return ndimage.binary_propagation(strong, np.ones((3, 3)), mask=ridge)


def chamfer(edges: np.ndarray) -> np.ndarray:
    """Return the distance to the nearest edge, of all of them, up to 25 pixels."""
    reach = 25
    far = np.full(np.array(edges.shape) + 2 * reach, float(reach))
    for y, x in zip(*np.nonzero(edges), strict=True):
        window = far[y : y + 2 * reach + 1, x : x + 2 * reach + 1]
        np.minimum(window, MASK, out=window)
    return far[reach:-reach, reach:-reach]


def path_length(down: int, right: int) -> float:
    """Return the shortest way by steps of 1 (along), 1.4 (diagonal) and 2.1969 (knight's)."""
    long, short = max(abs(down), abs(right)), min(abs(down), abs(right))
    if long >= 2 * short:
        return (long - 2 * short) + 2.1969 * short
    return 2.1969 * (long - short) + 1.4 * (2 * short - long)


MASK = np.array([[path_length(y, x) for x in range(-25, 26)] for y in range(-25, 26)])


def equalised(levels: np.ndarray) -> np.ndarray:
    """Return levels by the share of pixels that are not darker; the darkest level becomes 0."""
    present = np.unique(levels)
    if len(present) == 1:
        return levels
    total = (levels > present[0]).sum()
    out = np.zeros(levels.shape, int)
    for level in present[1:]:
        below = ((levels > present[0]) & (levels <= level)).sum()
        out[levels == level] = round(float(np.float32(below) * (np.float32(255) / total)))
    return out
