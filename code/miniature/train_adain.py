"""Train the stylizer of the miniature world, which stylize.py --weights miniature uses.

    python code/miniature/train_adain.py

Source: Huang & Belongie 2017. As there, the encoder learns to classify pictures, and then the
decoder to have the content's features and the style's statistics. Takes two minutes on one core.
The same seed gives the same file on the same machine with the same version of PyTorch.
Writes adain.safetensors, next to this file (or into --out).
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import trange

if not __package__:  # run as a script: put code/ on the path instead of this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bvg.files import make_folder
from bvg.run.command_line import guarded, parse_words, plain_parser
from bvg.stylize.adain import adain, statistics
from miniature import world
from miniature.renditions import surface
from miniature.stylizer import WEIGHTS, WIDTHS, Networks, save_miniature

PER_CLASS = 40  # pictures of each category, and textures alone
SIDE = 64  # pixels of the random crops
BATCH = 8
COLOURS = 3  # channels
WEIGHT_DECAY = 1e-4
ENCODER_STEPS, ENCODER_RATE = 900, 1e-3
DECODER_STEPS, DECODER_RATE = 300, 4e-4
PIXEL_WEIGHT, STYLE_WEIGHT = 50.0, 0.5
TAPS = (0, 4, 11, 18, 31)  # modules between which relu1_1, relu2_1, relu3_1 and relu4_1 lie


def pictures(seed: int) -> torch.Tensor:
    """Return PER_CLASS pictures of each category, and as many textures alone.

    uint8 (2, 16 x PER_CLASS, 3, 224, 224).
    """
    keys = list(world.matched(PER_CLASS))
    contents = [world.render(seed, "adain", key) for key in keys]
    styles = [
        surface(key.texture, world.generator(seed, "adain/style", key), world.SIDE) for key in keys
    ]
    return torch.from_numpy(np.stack([contents, styles])).permute(0, 1, 4, 2, 3)


def crops(images: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return crops of some images, (BATCH, 3, SIDE, SIDE) in [0, 1], and which images they are.

    The colour channels are swapped at random.
    """
    chosen = torch.randint(len(images), (BATCH,), generator=rng)
    y, x = torch.randint(world.SIDE - SIDE + 1, (2,), generator=rng).tolist()
    channels = torch.randperm(3, generator=rng)
    parts = images[chosen][:, channels, y : y + SIDE, x : x + SIDE] / 255
    return parts.contiguous(memory_format=torch.channels_last), chosen


@torch.no_grad()
def initialise(both: Networks) -> None:
    """Draw the weights, except that three channels pass on the colours from layer to layer.

    The networks have neither normalization layers nor shortcuts. So they begin with a coarse copy
    of the picture, which they would otherwise take long to learn.
    """
    for module in chain(both.encoder, both.decoder):
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
            nn.init.dirac_(module.weight[:COLOURS])
    for name in ("encoder.0.weight", f"decoder.{len(both.decoder) - 1}.weight"):
        weight = both.get_parameter(name)  # inside, colours are in VGG's order
        weight.copy_(weight.flip(0))


def optimise(
    parameters: Iterable[nn.Parameter], rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return an optimizer, and a schedule of its learning rate."""
    optimizer = torch.optim.AdamW(parameters, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
    return optimizer, schedule


def update(
    loss: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    """Make a step of the optimizer and of its schedule."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()


def train_encoder(both: Networks, images: torch.Tensor, rng: torch.Generator) -> float:
    """Train the encoder to classify by its statistics, and with the decoder to keep the picture.

    Returns the accuracy in the last quarter.
    """
    encoder, decoder = both.encoder, both.decoder
    initialise(both)
    head = nn.Linear(2 * WIDTHS[-1], len(world.CATEGORIES))
    labels = torch.arange(len(world.CATEGORIES)).repeat_interleave(PER_CLASS).repeat(2)
    learning = [*encoder[1:].parameters(), *decoder.parameters(), *head.parameters()]
    optimizer, schedule = optimise(learning, ENCODER_RATE, ENCODER_STEPS)
    hits = []
    for _step in trange(ENCODER_STEPS, desc="encoder", disable=None):
        x, chosen = crops(images.flatten(0, 1), rng)
        features = encoder(x)
        logits = head(statistics(features))
        loss = F.cross_entropy(logits, labels[chosen])
        loss = loss + PIXEL_WEIGHT * F.mse_loss(decoder(features), x)
        update(loss, optimizer, schedule)
        hits.append((logits.argmax(dim=1) == labels[chosen]).float().mean().item())
    return float(np.mean(hits[-ENCODER_STEPS // 4 :]))


def train_decoder(both: Networks, images: torch.Tensor, rng: torch.Generator) -> float:
    """Train the decoder for stylization; return the loss in the last quarter."""
    encoder, decoder = both.encoder.requires_grad_(False), both.decoder
    optimizer, schedule = optimise(decoder.parameters(), DECODER_RATE, DECODER_STEPS)
    losses = []
    for _step in trange(DECODER_STEPS, desc="decoder", disable=None):
        content, style = crops(images[0], rng)[0], crops(images.flatten(0, 1), rng)[0]
        with torch.no_grad():
            wanted = [statistics(features) for features in layers(encoder, style)]
            target = adain(encoder(content), wanted[-1])
        found = layers(encoder, decoder(target))
        loss = F.mse_loss(found[-1], target)
        loss = loss + PIXEL_WEIGHT * F.mse_loss(decoder(encoder(content)), content)
        for features, numbers in zip(found, wanted, strict=True):
            # Twice, since the means' and the deviations' errors are added.
            loss = loss + STYLE_WEIGHT * 2 * F.mse_loss(statistics(features), numbers)
        update(loss, optimizer, schedule)
        losses.append(loss.item())
    return float(np.mean(losses[-DECODER_STEPS // 4 :]))


def layers(encoder: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    """Return the features of relu1_1, relu2_1, relu3_1 and relu4_1."""
    found = []
    for start, end in pairwise(TAPS):
        x = encoder[start:end](x)
        found.append(x)
    return found


def train(seed: int, path: Path) -> None:
    """Train both networks, and write their weights."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    images = pictures(seed)
    both = Networks().to(memory_format=torch.channels_last)
    accuracy = train_encoder(both, images, rng)
    loss = train_decoder(both, images, rng)
    figures = {"encoder_accuracy": round(accuracy, 4), "decoder_loss": round(loss, 4)}
    origin = {"seed": seed, "world_version": world.VERSION, "torch": torch.__version__}
    save_miniature(path, both, origin | figures)
    print(f"{path}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the stylizer; return the exit code."""
    parser = plain_parser(__doc__)
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--out",
        type=Path,
        default=WEIGHTS.parent,
        metavar="DIR",
        help="directory for the weights (default: next to this script)",
    )
    args = parse_words(parser, arguments)
    return guarded(lambda: _train(args), "--out")


def _train(args: argparse.Namespace) -> None:
    make_folder(args.out, "--out")
    train(args.seed, args.out / WEIGHTS.name)


if __name__ == "__main__":
    sys.exit(main())
