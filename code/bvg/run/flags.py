"""Flags shared by several scripts; each function adds flags to an argument group."""

import argparse
from collections.abc import Sequence


def imagenet_flags(group: argparse._ArgumentGroup) -> None:
    """Add the flags for ImageNet's folder and the preprocessing of its images."""
    imagenet_folder_flags(group)
    preprocess_flag(group)


def imagenet_folder_flags(group: argparse._ArgumentGroup) -> None:
    """Add the flags for ImageNet's folder."""
    group.add_argument(
        "--imagenet", metavar="DIR", help="folder of ImageNet (default: $BVG_IMAGENET)"
    )
    partial_flag(group)


def preprocess_flag(group: argparse._ArgumentGroup) -> None:
    """Add the flag for the preprocessing of images."""
    group.add_argument(
        "--preprocess",
        choices=("study", "native"),
        default="study",
        help="'study': Resize(256) + CenterCrop(224) for every model; 'native': each model's own "
        "preprocessing (default: study)",
    )


def partial_flag(group: argparse._ArgumentGroup) -> None:
    """Add the flag that accepts an incomplete data set."""
    group.add_argument(
        "--partial", action="store_true", help="allow an incomplete data set (recorded)"
    )


FROST_HELP = (
    "folder of frost photographs, or 'procedural' for a synthetic texture (default: the published "
    "photographs if the package imagecorruptions or imagecorruptions-imaug is installed, else "
    "procedural); the choice is recorded"
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
