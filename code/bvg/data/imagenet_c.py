"""Corrupted images in folders, `<corruption>/<severity>/<class>/<image>`, as in ImageNet-C."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from bvg.data.downloads import data_sets
from bvg.data.folders import (
    archives_in,
    check_known,
    existing_folder,
    in_class_folders,
    subfolders,
    unused_note,
    wrong_folder,
)
from bvg.data.image_set import ImageSet, check_counts, crossed, images_of_classes
from bvg.data.imagenet import are_imagenet, check_labels, classes_in, expected_counts
from bvg.data.preprocessing import READY_224
from bvg.errors import UserError, first_few
from bvg.progress import Meter

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class CorruptionSet:
    """A data set of corrupted images.

    name: in the catalogue of data sets. key: in metrics, top1_acc/<key>.
    corruptions: in the order in which they are reported.
    subsets: the corruptions whose mean is reported as top1_acc/<key>/<subset>.
    groups: folders that may lie between the root and the corruptions, as in the published archives.
    levels: other names of the folders of severities 1 to 5, by corruption.
    """

    name: str
    key: str
    corruptions: tuple[str, ...]
    subsets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)


def corruption_condition(corruption: str, severity: int) -> str:
    """Return the name of a condition in predictions and metrics, the study's."""
    return f"{corruption}_{severity}"


def condition_parts(condition: str) -> tuple[str, int] | None:
    """Return the corruption and the severity of a condition, or None for any other name."""
    name, _, severity = condition.rpartition("_")
    return (name, int(severity)) if name and severity.isdigit() else None


def corruption_folders(
    root: str | Path,
    data: CorruptionSet,
    classes: tuple[str, ...] | None,
    corruptions: tuple[str, ...],
    severities: tuple[int, ...],
    partial: bool = False,
) -> ImageSet:
    """Return the same images under each corruption and severity, condition after condition.

    An image is called `<class>/<file>` in every condition. Raises UserError when a folder is
    missing, when conditions hold different images (accuracies would not be comparable), and, unless
    `partial`, when they are not all of ImageNet's validation images.
    """
    data_set = data_sets()[data.name]
    root = existing_folder(root, f"the {data_set.title} folder", data_set.flag)
    classes = classes or classes_in(root)
    folders = condition_folders(root, data, corruptions, severities)
    first = next(iter(folders.values()))
    check_known(root / first, sorted(set(subfolders(root / first)) - set(classes)))
    base = images_of_classes(root / first, classes)
    counts, balanced = expected_counts(classes, len(base)), are_imagenet(classes)
    check_counts(base, counts, partial, balanced)
    check_labels(base)
    base.notes.update(unused_note(_check_same(root, base, list(folders.values()))))
    return crossed(replace(base, root=root, view=READY_224), folders)


def condition_folders(
    root: Path, data: CorruptionSet, corruptions: tuple[str, ...], severities: tuple[int, ...]
) -> dict[str, str]:
    """Return each condition's folder relative to `root`; raises UserError if one is missing."""
    parts = {*data.corruptions, *corruptions}  # including corruptions that the user added
    direct = {name: name for name in subfolders(root)}
    places: dict[str, str] = {}
    for group in data.groups:
        if group in direct:
            places |= {name: f"{group}/{name}" for name in subfolders(root / group)}
    places |= direct
    if not set(places) & set(corruptions):
        layout = f"folders of corruptions, such as {corruptions[0]}/1/<class>/"
        raise wrong_folder(root, data.name, layout, parts, data.groups)
    folders: dict[str, str] = {}
    missing: list[str] = []
    for name in corruptions:
        if name not in places:
            missing.append(name)
            continue
        for severity in severities:
            levels = data.levels.get(name, ())
            candidates = (str(severity), *levels[severity - 1 : severity])
            found = [level for level in candidates if (root / places[name] / level).is_dir()]
            if found:
                folders[corruption_condition(name, severity)] = f"{places[name]}/{found[0]}"
            else:
                missing.append(f"{name}/{severity}")
    if missing:
        existing = [name for name in corruptions if name in places]
        raise _lacking(root, data, missing, existing)
    return folders


def _lacking(root: Path, data: CorruptionSet, missing: list[str], existing: list[str]) -> UserError:
    data_set = data_sets()[data.name]
    problem = f"{root} lacks {first_few(missing)} of {data_set.title}{archives_in(root)}"
    if root.name in data.groups:
        return UserError(
            f"{problem}: give the folder above it, {root.parent}, with {data_set.flag}"
        )
    flags = f"--corruptions {' '.join(existing)}"
    if all("/" in name for name in missing):
        flags = "--severities or --corruptions"
    return UserError(
        f"{problem}: add what is missing ({data_set.remedy}), or evaluate the existing ones with "
        f"{flags}"
    )


def _check_same(root: Path, base: ImageSet, folders: list[str]) -> Counter[str]:
    """Return how many files in the folders are not used, by kind.

    Raises UserError unless every folder holds the files of the first.
    """
    expected = set(base.files)
    unused: Counter[str] = Counter()
    with Meter("reading folders", "folders", len(folders)) as meter:
        for folder in folders:
            listed = in_class_folders(root / folder, base.classes)
            _compare(root, folders[0], expected, folder, set(listed.files))
            unused += listed.unused
            meter.add(1)
    return unused


def _compare(root: Path, first: str, expected: set[str], folder: str, found: set[str]) -> None:
    for more, less, lost in ((first, folder, expected - found), (folder, first, found - expected)):
        if lost:
            raise UserError(
                f"{less} lacks {len(lost):,} image(s) that {more} has, the first {min(lost)}: "
                f"every condition in {root} must hold the same images, so copy or unpack it "
                f"again, or exclude the condition with --corruptions or --severities"
            )
