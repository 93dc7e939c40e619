"""What a cell takes, from the model's speed: measured by benchmarks/cells.py, see docs/scale.md."""

from study.cells import Cell

START = 8.0  # seconds: start-up, and scores and figures at the end
# Core-seconds to read and decode a file: photographs as ImageNet's; ready crops of 224 pixels, as
# those of ImageNet-C; and, of a sequence, each frame.
_PHOTOGRAPH, _CROP, _FRAME = 0.0037, 0.0007, 0.0004
_CROPS = ("imagenet_c", "imagenet_cbar", "model_vs_human", "shape_bias")
# Core-seconds to make a stimulus on the CPU, beside the model's passes.
_STIMULUS = {"spectral": 0.0003, "criticalband": 0.0001, "imagenet_c_generated": 0.0010}
_WORKERS = 8  # the most that decode for one cell


def modelled(cell: Cell, rate: float, cores: float, gpu: bool) -> float:
    """Return the seconds of a cell where the model alone takes `rate` inputs per second.

    cores: for the cell. gpu: workers decode ahead of it; else model and decoding take turns.
    Stimuli are taken as made on the cores, which on a GPU only some of them are.
    """
    work, name = cell.count(), cell.benchmark
    frames = sum(part.images * part.frames for part in work.parts)
    each = _CROP if name in _CROPS else _FRAME if name == "imagenet_p" else _PHOTOGRAPH
    stimuli = sum(part.stimuli() for part in work.parts) * _STIMULUS.get(name, 0)
    device = cell.inputs / rate + stimuli / cores
    decoding = frames * each / min(cores, _WORKERS)
    return START + (max(device, decoding) if gpu else device + decoding)


def disk(cell: Cell) -> float:
    """Return the bytes of a cell's predictions.

    Five answers take 10 bytes; 2 for the rest of a row, 5 for the image's name. Answers like each
    other take less.
    """
    each = [part.images * (5 + part.shown * (2 + 10 * part.frames)) for part in cell.count().parts]
    return len(cell.models) * sum(each)
