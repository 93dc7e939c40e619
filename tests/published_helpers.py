"""Small copies of publishers' files, in their layouts, with invented models."""

import csv
import json
from pathlib import Path

from bvg.published import sources

TIMM_COLUMNS = list(sources._TIMM_COLUMNS)
OPENCLIP_COLUMNS = [
    *("name", "pretrained", "params (M)"),
    *sources._OPENCLIP,
    *sources._OPENCLIP_UNUSED,
]
QUBA = """
<html><script>
  const COLORS = ["sampleData", 'x'];
  React.useEffect(() => {
      const sampleData = [
          {
              Model: "Twin",
              Architecture: ' <svg width="15"><rect fill="#4e79a7"/></svg> CNN',
              Dataset: " ImageNet-1k", Setup: " ■ Supervised learning", 'Text': "",
              Title: "It's \\"deep\\", {really}: [1]",
              Accuracy: 0.5652, "Adversarial Robustness": 0.0352,
              "Corruption Robustness": .3442, "OOD Robustness": 1.0571,
              "Calibration Error": 1.7e-3, "Class Balance": 0.7319,
              "Object Focus": 0.8, "Shape Bias": 0.2636, Parameters: 61.1,
          },
          {
              Model: "Twin", Architecture: "", Dataset: "", Setup: "", Text: "", Title: "",
              Accuracy: 0.7, "Adversarial Robustness": 0.1, "Corruption Robustness": 0.4,
              "OOD Robustness": 0.5, "Calibration Error": 0.03, "Class Balance": 0.9,
              "Object Focus": 0.9, "Shape Bias": 0.5, Size: 149.6
          },
      ];
      setData(sampleData);
  }, []);
</script></html>
"""
QUBA_ROWS = (
    "model,display,accuracy,source,source_name\none,Twin,0.5652,TIMM,one\ntwo,Twin,0.7,CLIP,two\n"
)


def write_csv(path: Path, columns: list[str], rows: list[list[object]]) -> Path:
    """Return `path`, a CSV file of these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    return path


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_quba(folder: Path, page: str = QUBA, rows: str = QUBA_ROWS) -> Path:
    """Return the folder, with QUBA's page of two models and the table that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quba_index.html").write_text(page, encoding="utf-8")
    (folder / "rows.csv").write_text(rows, encoding="utf-8")
    return folder


def timm_row(model: str, size: int = 224, top1: float = 80.0, count: str = "25.56") -> list[object]:
    return [model, size, top1, 100 - top1, 95.0, 5.0, count, "0.950", "bicubic"]


def write_timm(folder: Path, rows: list[list[object]]) -> Path:
    """Return the folder, with eight result files of the same rows, in one of timm's folders."""
    for name, (measure, *_) in sources._TIMM.items():
        is_clean = name == "results-imagenet.csv" or measure.endswith("-clean")
        differences = () if is_clean else sources._TIMM_DIFFERENCES
        changed = [[*row, *("-1.0", "+2.0", "0")[: len(differences)]] for row in rows]
        write_csv(folder / "results" / name, [*TIMM_COLUMNS, *differences], changed)
    return folder


def write_openclip(folder: Path, models: list[str]) -> Path:
    """Return the folder, with open_clip's results of the models, each "name/pretrained"."""
    rows = [
        [*model.split("/"), 149.62, *[0.5 + number / 100] * (len(OPENCLIP_COLUMNS) - 3)]
        for number, model in enumerate(models)
    ]
    write_csv(folder / "docs" / "openclip_results.csv", OPENCLIP_COLUMNS, rows)
    return folder
