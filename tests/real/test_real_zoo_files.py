"""Real weights as rows of the zoo: downloaded, widened, strict, and the photographs' answers."""

import numpy as np
import pytest
import torch

import eval_imagenet
from bvg.predictions.table import read_predictions
from bvg.zoo.loading import CheckpointOptions, load_model
from bvg.zoo.table import read_table
from local_server import serve
from oracles import straight_line
from zoo_helpers import HEAD

FILES = {
    "mobilenet_v2": ("mobilenet_v2_1.0_224_quant", '"v2", 1.0, 224'),
    "mobilenet_v1_075": ("mobilenet_v1_0.75_192_quant", '"v1", 0.75, 192'),
    "mobilenet_v1_025": ("mobilenet_v1_0.25_128_quant", '"v1", 0.25, 128'),
}
ROW = """[zoo_{name}]
{head}arch = "{net}:{name}"
files = [{{ source = ["{url}/{file}.safetensors"] }}]
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""


@pytest.fixture(scope="module")
def rows(fixtures, tmp_path_factory):
    """Yield the zoo of the three real models, their files at a web server."""
    net = tmp_path_factory.mktemp("net") / "net.py"
    text = f"import sys\nsys.path.append({str(fixtures / 'models')!r})\n"
    text += "from mobilenet_tf import MobileNet\n"
    for name, (_, arguments) in FILES.items():
        text += f"def {name}(): return MobileNet({arguments}, normalize=False)\n"
    net.write_text(text)
    table = net.with_name("table.toml")
    with serve() as site:
        for file, _ in FILES.values():
            content = (fixtures / "models" / f"{file}.safetensors").read_bytes()
            site.files[f"/{file}.safetensors"] = content
        table.write_text(
            "".join(
                ROW.format(name=name, head=HEAD, net=net, url=site.url, file=file)
                for name, (file, _) in FILES.items()
            )
        )
        yield read_table(table)


@pytest.fixture
def zoo(rows, monkeypatch):
    monkeypatch.setattr("bvg.zoo.table.zoo", lambda: rows)
    monkeypatch.setattr("bvg.zoo.loading.zoo", lambda: rows)
    return rows


@pytest.mark.parametrize("name", FILES)
def test_half_precision_is_widened_without_a_change(name, zoo, networks, fixtures, tmp_path):
    from safetensors.torch import load_file

    model = load_model(f"zoo_{name}", CheckpointOptions(weights_dir=tmp_path))
    half = load_file(fixtures / "models" / f"{FILES[name][0]}.safetensors")
    assert {value.dtype for value in half.values()} == {torch.float16}
    own = model.network.state_dict()
    assert own.keys() == half.keys()
    assert all(torch.equal(own[key], half[key].float()) for key in half)
    assert {value.dtype for value in own.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("names", "count"), [(["mobilenet_v1_025"], 80), (["mobilenet_v2", "mobilenet_v1_075"], 16)]
)
def test_the_photographs_answers_equal_the_straight_lines(
    names, count, zoo, networks, fixtures, tmp_path
):
    specs = [f"{name}=zoo_{name}" for name in names]
    words = ["--imagenet", str(fixtures / "imagenet"), "--partial", "--results", str(tmp_path)]
    words += ["--weights_dir", str(tmp_path / "weights"), "--limit", str(count)]
    assert eval_imagenet.main(["--model", *specs, *words]) == 0
    for name in names:
        predictions = read_predictions(tmp_path / "imagenet" / name / "predictions.parquet")
        assert len(predictions) == count
        for image, answers in zip(predictions.images, predictions.answers, strict=True):
            path = fixtures / "imagenet" / "val" / image
            logits = straight_line.logits_of(networks[name], path, True)
            expected = straight_line.top_five(logits)
            assert answers[0] == expected[0], image
            # Beyond the first, classes of equal logits may be in either order.
            np.testing.assert_allclose(logits[answers], logits[expected], rtol=0, atol=2e-5)
