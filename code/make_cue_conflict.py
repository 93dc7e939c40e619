"""New cue-conflict stimuli: the shape of one picture in the texture of another.

    python code/make_cue_conflict.py --contents objects --textures materials --out new
    python code/eval_shape_bias.py --model resnet50.tv_in1k --stimuli new

Papers: Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019 (the stimuli);
Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016 (gatys); for
adain and ghiasi see stylize.py.
Data: pictures of objects, on white as the published ones or on anything else, and of textures: in
folders of categories (cat/anything.jpg), or named by category (cat1.jpg). The published stimuli are
of 10 contents and 3 textures of each of 16 categories, none of them public.
Engines: gatys, the published method, optimises each picture (--encoder: the network whose features
are matched); adain and ghiasi are fast; fill puts the texture, turned by a random multiple of 36
degrees, into the object's silhouette, as the paper's second set (filled silhouettes).
By default each ordered pair of categories gets 5 stimuli, its own included, and no content picture
meets a texture category twice, as published: 1,280 stimuli of 16 categories.
Stimuli are made with --size pixels a side and saved with 224. On one core of a CPU, gatys takes
three quarters of an hour for a stimulus of the published size: see --dry_run.
Writes <out>/cue-conflict/<shape>/<shape><n>-<texture><m>.png, <out>/manifest.json (how they were
made), <out>/manifest.csv (the pictures of each; a later call takes it as --pairs) and
<out>/contact_sheet.png. A file appears once it is complete, and the same command resumes an
interrupted run.
exit codes: 0 done; 2 a problem you can fix (one sentence says how); 75 another process is writing
to the same --out; 130 interrupted (the same command resumes).
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from bvg.data.categories import CATEGORIES
from bvg.data.fetch import weights_folder
from bvg.data.folders import existing_folder
from bvg.data.image_set import ImageSet, class_balanced, unused_sentence
from bvg.data.preprocessing import MIN_SIDE, Preprocessing, as_rgb, decode
from bvg.errors import UserError, first_few, is_out_of_memory
from bvg.figures.contact_sheet import contact_sheet
from bvg.files import lock_folder, make_folder, written_atomically
from bvg.progress import Meter, duration, size
from bvg.run.command_line import (
    STIMULUS_SIDE,
    device_flag,
    guarded,
    parse_words,
    part,
    plain_parser,
    positive,
    positive_number,
    weights_dir_flag,
)
from bvg.run.models import portable
from bvg.run.settings import best_device, keep_freed_memory
from bvg.stimuli.randomness import keyed_generator
from bvg.stylize import gatys
from bvg.stylize.adain import LEAST, load_adain
from bvg.stylize.batches import read_ahead
from bvg.stylize.conflicts import Pair, balanced, by_category, check_names, listed, name_of
from bvg.stylize.contents import existing
from bvg.stylize.ghiasi import Ghiasi
from bvg.stylize.manifest import TABLE, check_record, write_table
from bvg.stylize.masks import ANGLES, object_in_silhouette, object_on_white, on_white, rotated
from bvg.stylize.styles import style_picture

FOLDER, SHEET = "cue-conflict", "contact_sheet.png"
PER_PAIR = 5  # stimuli of each ordered pair of categories, as published
SIZE = 512  # pixels of the shorter side while a stimulus is made, as published
WHITE = "white"  # --masks: the contents' own background
BYTES = 2 * STIMULUS_SIDE**2  # of a PNG file, about
_OF_GATYS = ("encoder", "style_layers", "content_layer", "style_weight", "steps")


def main(argv: list[str] | None = None) -> int:
    """Make the stimuli; return the exit code."""
    args = parse_words(_parser(), argv)
    return guarded(lambda: _make(args), "--out")


def _parser() -> argparse.ArgumentParser:
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("--contents", required=True, metavar="DIR", help="folder of pictures of shapes (required)")
    add("--textures", required=True, metavar="DIR", help="folder of textures (required)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the stimuli (required)")
    add(
        "--engine",
        choices=("gatys", "adain", "ghiasi", "fill"),
        default="gatys",
        help="how a shape gets a texture (default: gatys)",
    )
    add(
        "--per_pair",
        type=positive,
        metavar="N",
        help=f"stimuli of each ordered pair of categories (default: {PER_PAIR})",
    )
    add(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="make these stimuli instead: a CSV file with the columns content and texture, which "
        "name pictures by file (cat/cat7.png) or by category and number (cat7)",
    )
    add(
        "--masks",
        metavar="DIR",
        help="make everything around the object white: a folder with a silhouette for each content "
        f"picture, of the same size and file name (or .png), or {WHITE} if the contents' own "
        f"background is white (default: {WHITE} for fill, else no mask)",
    )
    add(
        "--size",
        type=positive,
        default=SIZE,
        metavar="PIXELS",
        help=f"side of a stimulus while it is made; larger pictures get finer textures (default: "
        f"{SIZE})",
    )
    add("--alpha", type=part, help="strength of adain and ghiasi, above 0 and up to 1 (default: 1)")
    group = parser.add_argument_group("gatys")
    add = group.add_argument
    add(
        "--encoder",
        metavar="NAME",
        help=f"{gatys.VGG19} (torchvision's weights, downloaded), a file *.pth of Gatys' layout "
        "(vgg_conv.pth), or any model as --model of the evaluation scripts takes it, with "
        f"--style_layers and --content_layer (default: {gatys.VGG19})",
    )
    add(
        "--style_layers",
        nargs="+",
        metavar="LAYER",
        help=f"layers whose Gram matrices are the texture's (default: "
        f"{' '.join(gatys.STYLE_LAYERS)} of VGG-19)",
    )
    add(
        "--content_layer",
        metavar="LAYER",
        help=f"layer whose features are the content's (default: {gatys.CONTENT_LAYER} of VGG-19)",
    )
    add(
        "--style_weight",
        type=positive_number,
        metavar="W",
        help="weight of the style, divided by the square of each layer's number of channels; the "
        f"content's is 1 (default: {gatys.STYLE_WEIGHT:g})",
    )
    add(
        "--steps",
        type=positive,
        metavar="N",
        help="evaluations of the loss, 20 at a time, after which a stimulus is finished (default: "
        f"{gatys.STEPS}, which are 520)",
    )
    group = parser.add_argument_group("run")
    add = group.add_argument
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add(
        "--limit",
        type=positive,
        metavar="N",
        help="make a subset of N stimuli, balanced over shapes (default: all)",
    )
    add(
        "--dry_run",
        action="store_true",
        help="check the pictures, write nothing, and print the number of stimuli, disk space and "
        "time",
    )
    device_flag(group)
    weights_dir_flag(group)
    return parser


@dataclass(frozen=True)
class Maker:
    """What makes a stimulus.

    make: (content, texture, stimulus' name, function to call after each step) → picture; all
    pictures are (H, W, 3) uint8. record: what the pictures depend on. steps: of one stimulus,
    about. seconds: returns how long one takes, if that need not be tried.
    """

    make: Callable[[np.ndarray, np.ndarray, str, Callable[[], None]], np.ndarray]
    record: dict[str, Any]
    steps: int = 1
    seconds: Callable[[np.ndarray, np.ndarray], float] | None = None


@dataclass(frozen=True)
class Inputs:
    """The pictures, and how they are read.

    masks: a folder, WHITE, or "" for none. size: pixels of their shorter sides. whole_textures: not
    only their central squares.
    """

    contents: ImageSet
    textures: ImageSet
    masks: str
    size: int
    whole_textures: bool

    def content(self, index: int) -> np.ndarray:
        """Return the central square of a content picture, (size, size, 3) uint8."""
        return Preprocessing(self.size, self.size)(_on_white(self.contents.path(index)))

    def texture(self, index: int) -> np.ndarray:
        """Return a texture: its central square, or the whole picture, (H, W, 3) uint8."""
        path = self.textures.path(index)
        if not self.whole_textures:
            return style_picture(path, self.size)
        image = decode(path)
        scale = self.size / min(image.size)
        whole = [max(self.size, round(scale * side)) for side in image.size]
        return np.asarray(image.resize((whole[0], whole[1]), Image.Resampling.BILINEAR))

    def content_and_mask(self, index: int) -> np.ndarray:
        """Return a content picture whose mask can be read, too."""
        self.mask(index)
        return self.content(index)

    def mask(self, index: int) -> np.ndarray | None:
        """Return how much of each pixel of a stimulus is the object's, (224, 224), or None.

        Raises ValueError if the object cannot be told from its background.
        """
        if not self.masks:
            return None
        image = _on_white(self.contents.path(index))
        if self.masks == WHITE:
            inside = object_on_white(np.asarray(image))
        else:
            path = Path(self.masks) / self.contents.files[index]
            path = path if path.exists() else path.with_suffix(".png")
            if not path.exists():
                raise ValueError(f"there is no mask {path}")
            silhouette = decode(path)
            if silhouette.size != image.size:
                raise ValueError(f"its mask {path} has another size")
            inside = object_in_silhouette(np.asarray(silhouette))
        grey = Image.fromarray(inside.astype(np.uint8) * 255)
        return Preprocessing(STIMULUS_SIDE, STIMULUS_SIDE)(grey).astype(np.float32) / 255


def _on_white(path: Path) -> Image.Image:
    """Return a picture as RGB, with white where it is transparent."""
    with Image.open(path) as image:
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            rgb = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        else:
            rgb = as_rgb(image)
    if min(rgb.size) < MIN_SIDE:
        raise ValueError(f"it is only {rgb.width} x {rgb.height} pixels")
    return rgb


def _make(args: argparse.Namespace) -> None:
    _check_flags(args)
    contents, textures = (
        by_category(existing_folder(given, f"the folder of {what}", flag), flag)
        for given, what, flag in (
            (args.contents, "contents", "--contents"),
            (args.textures, "textures", "--textures"),
        )
    )
    for images in (contents, textures):
        if unused := unused_sentence(images):
            print(unused)
        if args.out.resolve().is_relative_to(images.root.resolve()):
            raise UserError(f"{args.out} is inside {images.root}: choose another folder with --out")
    if args.pairs:
        pairs = listed(args.pairs, contents, textures)
    else:
        pairs = balanced(contents, textures, args.per_pair or PER_PAIR, args.seed)
    check_names(contents, textures, pairs)
    if unknown := sorted({*contents.classes, *textures.classes} - {*CATEGORIES}):
        print(
            f"{first_few(unknown)} are not among the 16 categories of ImageNet's models "
            f"({', '.join(CATEGORIES)}): eval_shape_bias.py evaluates only models of these classes"
        )
    of_design = pairs
    if args.limit:
        pairs = _subset(contents, textures, pairs, args.limit, args.seed)
    masks = args.masks or (WHITE if args.engine == "fill" else "")
    if masks not in ("", WHITE):
        masks = str(existing_folder(masks, "the folder of masks", "--masks"))
    inputs = Inputs(contents, textures, masks, args.size, args.engine == "gatys")
    _check_pictures(inputs, pairs)
    maker = _maker(args)
    if args.dry_run:
        print(_plan(args, inputs, maker, pairs))
        return
    with ExitStack() as lock:
        out = make_folder(args.out, "--out")
        lock_folder(out, lock, "--out")
        check_record(out, _record(args, inputs, maker, of_design), set())
        failures = _write(out, inputs, maker, pairs)
        _write_overview(out, inputs, of_design)
    if failures:
        examples = first_few([f"{name}: {why}" for name, why in failures.items()])
        raise UserError(
            f"{len(failures):,} of {len(pairs):,} stimuli could not be optimised ({examples}): use "
            "another --style_weight or --encoder, and another folder with --out"
        )


def _check_flags(args: argparse.Namespace) -> None:
    """Raise UserError for flags that do not fit together."""
    given = [name for name in _OF_GATYS if getattr(args, name) is not None]
    if given and args.engine != "gatys":
        raise UserError(f"--{given[0]} is of --engine gatys: drop it, or use that engine")
    if args.alpha and args.engine not in ("adain", "ghiasi"):
        raise UserError(f"--alpha is of adain and ghiasi: drop it with --engine {args.engine}")
    if args.engine == "adain" and args.size < LEAST:
        raise UserError(f"adain needs {LEAST} pixels a side: use a larger --size")
    if args.pairs and args.per_pair:
        raise UserError("--pairs lists all stimuli: drop --per_pair")
    if args.encoder and args.encoder.startswith("file://"):
        raise UserError(
            "a checkpoint of another architecture than VGG-19 needs code that builds the network: "
            "use --encoder path/to/file.py:factory"
        )
    own = args.encoder in (None, gatys.VGG19) or args.encoder.endswith(".pth")
    if not own and not (args.style_layers and args.content_layer):
        raise UserError(
            f"the layers of {args.encoder} are unknown: give some with --style_layers, and one "
            "with --content_layer"
        )


def _maker(args: argparse.Namespace) -> Maker:
    """Return the engine; raises UserError for weights that cannot be had, and unknown layers."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    keep_freed_memory()
    if args.engine == "fill":
        return _filling(args.seed)
    if args.engine == "gatys":
        return _optimising(args, best_device(args.device))
    if args.engine == "ghiasi":
        return _fast(Ghiasi(), args.alpha or 1.0)
    folder = weights_folder(args.weights_dir) / "adain"
    return _fast(load_adain(folder, best_device(args.device)), args.alpha or 1.0)


def _filling(seed: int) -> Maker:
    def make(content: np.ndarray, texture: np.ndarray, name: str, tick: Callable) -> np.ndarray:
        return rotated(texture, angle_of(name, seed))

    return Maker(make, {"engine": "fill", "angles": [*ANGLES]})


def angle_of(name: str, seed: int) -> int:
    """Return the angle in degrees by which fill turns the texture of a stimulus."""
    draw = torch.randint(len(ANGLES), (), generator=keyed_generator(seed, "angle", name))
    return ANGLES[int(draw)]


def _fast(engine: Any, alpha: float) -> Maker:
    def make(content: np.ndarray, texture: np.ndarray, name: str, tick: Callable) -> np.ndarray:
        return engine.stylize(content[None], engine.encode(texture[None]), alpha)[0]

    return Maker(make, {**engine.record, "alpha": alpha})


def _optimising(args: argparse.Namespace, device: torch.device) -> Maker:
    name = args.encoder or gatys.VGG19
    encoder = gatys.load_encoder(name, args.weights_dir, device)
    layers = args.style_layers or gatys.STYLE_LAYERS
    content_layer = args.content_layer or gatys.CONTENT_LAYER
    gatys.check_layers(encoder, name, [*layers, content_layer], args.size)
    engine = gatys.Gatys(
        encoder,
        layers,
        content_layer,
        args.style_weight or gatys.STYLE_WEIGHT,
        args.steps or gatys.STEPS,
    )

    def make(content: np.ndarray, texture: np.ndarray, name: str, tick: Callable) -> np.ndarray:
        return engine.make(content, texture, tick)

    shown = Path(name).name if name.endswith(".pth") else portable(name)
    return Maker(make, engine.record(shown), engine.evaluations, engine.seconds)


def _subset(
    contents: ImageSet, textures: ImageSet, pairs: list[Pair], count: int, seed: int
) -> list[Pair]:
    names = [name_of(contents, textures, pair) for pair in pairs]
    labels = contents.labels[[pair.content for pair in pairs]]
    stimuli = ImageSet(contents.root, names, names, labels, contents.classes)
    chosen = {*class_balanced(stimuli, count, seed).names}
    return [pair for pair, name in zip(pairs, names, strict=True) if name in chosen]


def _check_pictures(inputs: Inputs, pairs: list[Pair]) -> None:
    """Raise UserError, naming them, for pictures and masks of the pairs that cannot be used."""
    contents, textures = (sorted({*column}) for column in zip(*pairs, strict=True))
    problems: list[str] = []
    with Meter("checking pictures", "img", len(contents) + len(textures)) as meter:
        for images, read, chosen in (
            (inputs.contents, inputs.content_and_mask, contents),
            (inputs.textures, inputs.texture, textures),
        ):
            for pictures, bad in read_ahead(read, chosen, 16):
                problems += [f"{images.path(index)}: {why}" for index, why in bad.items()]
                meter.add(len(pictures) + len(bad))
    if problems:
        raise UserError(
            f"{len(problems):,} pictures cannot be used ({first_few(problems)}): replace or remove "
            "them, or choose others with --pairs"
        )


def _record(
    args: argparse.Namespace, inputs: Inputs, maker: Maker, pairs: list[Pair]
) -> dict[str, Any]:
    """Return what decides the stimuli's bytes, except for the subset."""
    contents, textures = inputs.contents, inputs.textures
    masks = inputs.masks
    if masks not in ("", WHITE):
        masks = by_category(Path(masks), "--masks").fingerprint
    listing = "\n".join(f"{contents.names[c]}\t{textures.names[t]}" for c, t in pairs)
    return {
        "stylizer": {
            **maker.record,
            "size": args.size,
            "seed": args.seed,
            "masks": masks,
        },
        "stimuli": {
            "count": len(pairs),
            "pairs": hashlib.sha256(listing.encode(errors="backslashreplace")).hexdigest(),
        },
        "contents": {"count": len(contents), "fingerprint": contents.fingerprint},
        "textures": {"count": len(textures), "fingerprint": textures.fingerprint},
        "pillow": PIL.__version__,
    }


def _write(out: Path, inputs: Inputs, maker: Maker, pairs: list[Pair]) -> dict[str, str]:
    """Write the missing stimuli; return those that cannot be optimised, and why."""
    names = [name_of(inputs.contents, inputs.textures, pair) for pair in pairs]
    done = existing(out / FOLDER, names)
    todo = [(name, pair) for name, pair in zip(names, pairs, strict=True) if name not in done]
    failures: dict[str, str] = {}
    unit = "img" if maker.steps == 1 else "steps"
    start = len(done) * maker.steps
    with Meter("making stimuli", unit, len(names) * maker.steps, start) as meter:
        for number, (name, pair) in enumerate(todo, len(done) + 1):
            try:
                picture = _stimulus(inputs, maker, pair, name, partial(meter.add, 1))
            except gatys.DivergedError as error:
                failures[name] = str(error)
            else:
                path = out / FOLDER / name
                make_folder(path.parent, "--out")
                with written_atomically(path, "--out") as file:
                    Image.fromarray(picture).save(file, "PNG")
            meter.show(number * maker.steps)
    made = len(todo) - len(failures)
    print(f"wrote {made:,} stimuli to {out / FOLDER} ({len(done):,} existed already)")
    return failures


def _stimulus(
    inputs: Inputs, maker: Maker, pair: Pair, name: str, tick: Callable[[], None]
) -> np.ndarray:
    """Return a stimulus, (224, 224, 3) uint8. Raises UserError where the memory is too small."""
    content, texture = inputs.content(pair.content), inputs.texture(pair.texture)
    try:
        picture = maker.make(content, texture, name, tick)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            "the memory is too small for one stimulus: use another --device, or a smaller --size"
        ) from error
    side = STIMULUS_SIDE
    if picture.shape[:2] != (side, side):
        resized = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
        picture = np.asarray(resized)
    mask = inputs.mask(pair.content)
    return picture if mask is None else on_white(picture, mask)


def _write_overview(out: Path, inputs: Inputs, pairs: list[Pair]) -> None:
    """Write the table of the stimuli that exist, of any subset, and the contact sheet."""
    contents, textures = inputs.contents, inputs.textures
    named = {name_of(contents, textures, pair): pair for pair in pairs}
    done = existing(out / FOLDER, [*named])
    rows = [
        (f"{FOLDER}/{name}", contents.names[pair.content], textures.names[pair.texture])
        for name, pair in named.items()
        if name in done
    ]
    write_table(out / TABLE, ("stimulus", "content", "texture"), rows)
    first: dict[tuple[str, str], Path] = {}
    for name, pair in named.items():
        if name in done:
            shape = contents.classes[contents.labels[pair.content]]
            texture = textures.classes[textures.labels[pair.texture]]
            first.setdefault((shape, texture), out / FOLDER / name)
    if first:
        with written_atomically(out / SHEET, "--out") as file:
            contact_sheet(first).save(file, "PNG")
        print(f"wrote {out / SHEET}: look at it before you evaluate models")


def _plan(args: argparse.Namespace, inputs: Inputs, maker: Maker, pairs: list[Pair]) -> str:
    """Return the number of stimuli, disk space and time."""
    pair = pairs[0]
    start = time.perf_counter()
    if maker.seconds:
        seconds = maker.seconds(inputs.content(pair.content), inputs.texture(pair.texture))
    else:
        name = name_of(inputs.contents, inputs.textures, pair)
        _stimulus(inputs, maker, pair, name, lambda: None)
        seconds = time.perf_counter() - start
    count, device = len(pairs), args.device or "this device"
    shapes = len(np.unique(inputs.contents.labels[[pair.content for pair in pairs]]))
    return (
        f"{count:,} stimuli of {shapes} shapes, about {size(count * BYTES)} and "
        f"{duration(count * seconds)} ({duration(seconds)} each on {device})"
    )


if __name__ == "__main__":
    sys.exit(main())
