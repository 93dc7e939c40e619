"""The 16 entry-level categories and the ImageNet classes that belong to them.

Source: Geirhos et al., "Generalisation in humans and deep neural networks", NeurIPS 2018; used
since by Geirhos et al. 2019 (texture versus shape) and 2021 (model-vs-human).
"""

# Class indices in sorted-wnid order; "a-b" includes both ends.
_INDICES = {
    "airplane": "404",
    "bear": "294-297",
    "bicycle": "444 671",
    "bird": "8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145",
    "boat": "472 554 625 814 914",
    "bottle": "440 720 737 898 899 901 907",
    "car": "436 511 817",
    "cat": "281-286",
    "chair": "423 559 765 857",
    "clock": "409 530 892",
    "dog": "152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268",
    "elephant": "385 386",
    "keyboard": "508 878",
    "knife": "499",
    "oven": "766",
    "truck": "555 569 656 675 717 734 864 867",
}


def expand(ranges: str) -> tuple[int, ...]:
    """Return the class indices of a list such as "294-297 404"; "a-b" includes both ends."""
    indices: list[int] = []
    for part in ranges.split():
        first, _, last = part.partition("-")
        indices += range(int(first), int(last or first) + 1)
    return tuple(indices)


CATEGORY_INDICES: dict[str, tuple[int, ...]] = {
    name: expand(ranges) for name, ranges in _INDICES.items()
}
CATEGORIES: tuple[str, ...] = tuple(CATEGORY_INDICES)
