"""The stylizer of the miniature world: AdaIN with an eighth of the channels, trained on it."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import nn

from bvg.files import sha256_of, written_atomically
from bvg.stylize import adain
from bvg.stylize.adain import ENCODER_USED, AdaIN, check_reconstruction
from bvg.zoo.weights import load_strictly

WEIGHTS = Path(__file__).resolve().parent / "adain.safetensors"
WIDTHS = (16, 16, 32, 64)  # channels of the four scales; the published networks' are 64 to 512


class Networks(nn.Module):
    """The encoder, up to relu4_1, and the decoder."""

    def __init__(self) -> None:
        """Build the networks with initial weights."""
        super().__init__()
        self.encoder: nn.Sequential = adain.encoder_network(WIDTHS)[:ENCODER_USED]
        self.decoder: nn.Sequential = adain.decoder_network(WIDTHS)


def load_miniature(device: torch.device, path: Path = WEIGHTS) -> AdaIN:
    """Return the engine with the weights that train_adain.py wrote.

    Raises UserError for other weights than the networks', or networks that do not reconstruct a
    picture.
    """
    both = Networks()
    again = "restore the file, or train it again with code/miniature/train_adain.py"
    load_strictly(both, load_file(path), str(path), again)
    both.requires_grad_(False).eval().to(device)
    record = {"engine": "adain", "weights": {path.name: sha256_of(path)}}
    engine = AdaIN(both.encoder, both.decoder, record)
    check_reconstruction(engine, again)
    return engine


def save_miniature(path: Path, both: Networks, training: dict[str, object]) -> None:
    """Write the weights in half precision, with how they were trained in the metadata."""
    state = {key: value.half().contiguous() for key, value in both.state_dict().items()}
    # A single metadata key, because safetensors writes several in any order.
    with written_atomically(path, "--out") as file:
        file.write(save(state, metadata={"training": json.dumps(training)}))
