"""Corrupted images in folders, `<corruption>/<severity>/<class>/<image>`, as in ImageNet-C."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from bvg.data.crossed import crossed
from bvg.data.image_set import ImageSet, existing_folder, in_class_folders, subfolders, unused_note
from bvg.data.imagenet import VAL_CLASSES, VAL_IMAGES, are_imagenet, classes_in
from bvg.data.layouts import check_counts, check_known, first_few
from bvg.data.preprocessing import READY_224
from bvg.errors import UserError
from bvg.progress import Meter

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class CorruptionSet:
    """A data set of corrupted images, and its names.

    name: for sentences. key: in metrics, top1_acc/<key>. flag: gives its folder. where: to get it.
    corruptions: in the order in which they are reported.
    subsets: the corruptions whose mean is reported as top1_acc/<key>/<subset>.
    groups: folders that may lie between the root and the corruptions, as in the published archives.
    levels: other names of the folders of severities 1 to 5, by corruption.
    """

    name: str
    key: str
    flag: str
    where: str
    corruptions: tuple[str, ...]
    subsets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)


def condition_parts(condition: str) -> tuple[str, int] | None:
    """Return the corruption and the severity that a condition names, or None for any other."""
    name, _, severity = condition.rpartition("_")
    return (name, int(severity)) if name and severity.isdigit() else None


def corruption_condition(corruption: str, severity: int) -> str:
    """Return what predictions and metrics call the condition."""
    return f"{corruption}_{severity}"


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
    classes = classes or classes_in(Path(root))
    base, folders = first_condition(root, data, classes, corruptions, severities, partial)
    base.notes.update(unused_note(_check_same(base.root, base, list(folders.values()))))
    return crossed(base, folders)


def first_condition(
    root: str | Path,
    data: CorruptionSet,
    classes: tuple[str, ...],
    corruptions: tuple[str, ...],
    severities: tuple[int, ...],
    partial: bool = False,
) -> tuple[ImageSet, dict[str, str]]:
    """Return the images of the first condition, and every condition's folder.

    Quick, because the other conditions' files are not listed. Raises UserError as
    corruption_folders does, but for conditions that hold different images.
    """
    given = existing_folder(root, f"the {data.name} folder", data.flag)
    places = _places(given, data, corruptions)
    folders: dict[str, str] = {}
    missing = [name for name in corruptions if name not in places]
    for name, place in places.items():
        for severity in severities:
            found = _severity_folder(given / place, data.levels.get(name, ()), severity)
            if found is None:
                missing.append(f"{name}/{severity}")
            else:
                folders[corruption_condition(name, severity)] = f"{place}/{found}"
    if missing:
        raise UserError(_lacking(given, data, missing, list(places)))
    return _first(given, next(iter(folders.values())), classes, partial), folders


def _places(given: Path, data: CorruptionSet, wanted: tuple[str, ...]) -> dict[str, str]:
    """Return where each corruption's folder is below `given`; raises UserError if none is there."""
    names = (*data.corruptions, *wanted)  # including added corruptions
    found = _found(given, data, names)
    if set(found) & set(wanted):
        return {name: found[name] for name in wanted if name in found}
    layout = f"the folders of {data.name} (such as {wanted[0]}/1/<class>/)"
    for above in given.resolve().parents:
        if _found(above, data, names):
            raise UserError(
                f"{given} is inside {data.name}: give the whole data set, {above}, with {data.flag}"
            )
    for inner in subfolders(given):
        if _found(given / inner, data, names):
            raise UserError(
                f"{given} does not hold {layout}, but {given / inner} does: give that with "
                f"{data.flag}"
            )
    raise UserError(
        f"{given} does not hold {layout}{_packed(given)}: give the right folder with {data.flag}; "
        f"get the data set from {data.where}"
    )


def _found(folder: Path, data: CorruptionSet, names: tuple[str, ...]) -> dict[str, str]:
    """Return the corruptions' folders in `folder` or in a group's folder in it."""
    try:
        inside = subfolders(folder)
    except UserError:  # a folder above that is not ours to read
        return {}
    found: dict[str, str] = {}
    for group in data.groups:
        if group in inside:
            found |= {name: f"{group}/{name}" for name in subfolders(folder / group)}
    found |= {name: name for name in inside}
    return {name: found[name] for name in names if name in found}


def _severity_folder(folder: Path, levels: tuple[str, ...], severity: int) -> str | None:
    names = [str(severity), *levels[severity - 1 : severity]]
    return next((name for name in names if (folder / name).is_dir()), None)


def _packed(folder: Path) -> str:
    archives = sorted(path.name for path in folder.glob("*.tar*") if path.is_file())
    return f" ({first_few(archives)}: unpack it first)" if archives else ""


def _lacking(given: Path, data: CorruptionSet, missing: list[str], there: list[str]) -> str:
    whole = f"{given} lacks {first_few(missing)} of {data.name}{_packed(given)}"
    if given.name in data.groups:
        return f"{whole}: give the folder above it, {given.parent}, with {data.flag}"
    if all("/" in name for name in missing):
        return (
            f"{whole}: add what is missing ({data.where}), or choose others with --severities "
            "or --corruptions"
        )
    return (
        f"{whole}: add what is missing ({data.where}), or evaluate the existing ones with "
        f"--corruptions {' '.join(there)}"
    )


def _first(root: Path, folder: str, classes: tuple[str, ...], partial: bool) -> ImageSet:
    """Return the images of one condition, which all the others must hold."""
    check_known(root / folder, sorted(set(subfolders(root / folder)) - set(classes)))
    files, labels, names, unused = in_class_folders(root / folder, classes)
    notes = unused_note(unused)
    base = ImageSet(root, tuple(files), tuple(names), labels, classes, notes=notes, view=READY_224)
    whole = (VAL_IMAGES, VAL_CLASSES) if are_imagenet(classes) else (len(files), len(classes))
    check_counts(replace(base, root=root / folder), whole, partial)  # shares the notes
    return base


def _check_same(root: Path, base: ImageSet, folders: list[str]) -> Counter[str]:
    """Return how many files in the folders are not used, by kind.

    Raises UserError unless every folder holds the files of the first.
    """
    wanted = set(base.files)
    unused: Counter[str] = Counter()
    with Meter("reading folders", "folders", len(folders)) as meter:
        for folder in folders:
            found = in_class_folders(root / folder, base.classes)
            _compare(root, folders[0], wanted, folder, set(found.files))
            unused += found.unused
            meter.add(1)
    return unused


def _compare(root: Path, first: str, wanted: set[str], folder: str, found: set[str]) -> None:
    for more, less, lost in ((first, folder, wanted - found), (folder, first, found - wanted)):
        if lost:
            raise UserError(
                f"{less} lacks {len(lost):,} image(s) that {more} has, the first {min(lost)}: "
                f"every condition in {root} must hold the same images, so copy or unpack it "
                f"again, or exclude the condition with --corruptions or --severities"
            )
