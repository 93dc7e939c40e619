"""Flags that several scripts have; each function adds some to a group of an argument parser."""

import argparse
from collections.abc import Sequence


def imagenet_flags(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say where ImageNet is and how its photographs are cropped."""
    imagenet_folder_flags(group)
    preprocess_flag(group)


def imagenet_folder_flags(group: argparse._ArgumentGroup) -> None:
    """Add the flags that say where ImageNet is."""
    group.add_argument(
        "--imagenet", metavar="DIR", help="ImageNet's folder (default: $BVG_IMAGENET)"
    )
    partial_flag(group)


def preprocess_flag(group: argparse._ArgumentGroup) -> None:
    """Add the flag that chooses how photographs are cropped."""
    group.add_argument(
        "--preprocess",
        choices=("study", "native"),
        default="study",
        help="study: Resize(256) + CenterCrop(224) for every model; native: each model's own",
    )


def partial_flag(group: argparse._ArgumentGroup) -> None:
    """Add the flag that accepts an incomplete data set."""
    group.add_argument("--partial", action="store_true", help="allow a subset of the images")


FROST_HELP = (
    "folder of frost photographs, or 'procedural' for a drawn texture (default: the published "
    "photographs if the package imagecorruptions or imagecorruptions-imaug is installed, else "
    "procedural); the result records which"
)


def condition_flags(
    group: argparse._ArgumentGroup, corruptions: Sequence[str], severities: Sequence[int]
) -> None:
    """Add the flags that choose corruptions and severities."""
    group.add_argument(
        "--corruptions",
        nargs="+",
        choices=corruptions,
        default=corruptions,
        metavar="NAME",
        help=f"corruptions to evaluate, of {' '.join(corruptions)} (default: all)",
    )
    group.add_argument(
        "--severities",
        nargs="+",
        type=int,
        choices=severities,
        default=severities,
        metavar="S",
        help=f"severities to evaluate, of {' '.join(map(str, severities))} (default: all)",
    )
