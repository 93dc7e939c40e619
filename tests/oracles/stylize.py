"""AdaIN in NumPy, image by image, channel by channel."""

import numpy as np

# The convolutions before each pooling (up to relu4_1), and before each enlargement.
ENCODER = ((2, 5), (9, 12), (16, 19, 22, 25), (29,))
DECODER = ((1,), (5, 8, 11, 14), (18, 21), (25, 28))


def convolution(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return a convolution of (C, H, W) behind a reflected border of one pixel."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    height, width = x.shape[1] - 2, x.shape[2] - 2
    out = np.empty((len(weight), height, width))
    for channel in range(len(weight)):
        for row in range(height):
            for column in range(width):
                patch = x[:, row : row + 3, column : column + 3]
                out[channel, row, column] = (patch * weight[channel]).sum() + bias[channel]
    return out


def pooled(x: np.ndarray) -> np.ndarray:
    """Return the maximum of 2 × 2 pixels, and of what is left at odd edges."""
    height, width = x.shape[1:]
    return np.array(
        [
            [
                [c[r : r + 2, k : k + 2].max() for k in range(0, width, 2)]
                for r in range(0, height, 2)
            ]
            for c in x
        ]
    )


def encoder(x: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """Return relu4_1 of (3, H, W) in [0, 1]."""
    first = state["0.weight"][:, :, 0, 0]
    x = np.einsum("oc,chw->ohw", first, x) + state["0.bias"][:, None, None]
    for number, layers in enumerate(ENCODER):
        if number:
            x = pooled(x)
        for layer in layers:
            x = np.maximum(convolution(x, state[f"{layer}.weight"], state[f"{layer}.bias"]), 0)
    return x


def decoder(x: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """Return RGB, (3, 8 H, 8 W)."""
    for number, layers in enumerate(DECODER):
        if number:
            x = x.repeat(2, axis=1).repeat(2, axis=2)
        for layer in layers:
            x = convolution(x, state[f"{layer}.weight"], state[f"{layer}.bias"])
            x = x if layer == 28 else np.maximum(x, 0)
    return x


def adain(content: np.ndarray, style: np.ndarray, alpha: float) -> np.ndarray:
    """Return (C, H, W) content with the means and deviations of the style's channels."""
    out = np.empty_like(content)
    for channel, (x, s) in enumerate(zip(content, style, strict=True)):
        own = np.sqrt(((x - x.mean()) ** 2).sum() / (x.size - 1) + 1e-5)
        theirs = np.sqrt(((s - s.mean()) ** 2).sum() / (s.size - 1) + 1e-5)
        out[channel] = alpha * ((x - x.mean()) / own * theirs + s.mean()) + (1 - alpha) * x
    return out
