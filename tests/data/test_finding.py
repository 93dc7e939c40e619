"""Where data sets are found; the flags and environment variables of all of them."""

import re
import subprocess
import sys

import pytest

from bvg.data.downloads import data_folder, data_sets
from bvg.data.finding import find_data, look_for
from bvg.data.imagenet_ood import VARIANTS
from conftest import REPOSITORY, refusal
from eval_imagenet_c import IMAGENET_C
from eval_imagenet_cbar import IMAGENET_CBAR

NAMED = re.compile(r"BVG_[A-Z0-9_]+")
READ = re.compile(r"environ(?:\.get\(|\[)\\?[\"'](BVG_\w+)")
FLAGS = {
    "imagenet": "--imagenet",
    "imagenet-real": "--real",
    "imagenet-v2": "--imagenet_v2",
    "imagenet-a": "--imagenet_a",
    "imagenet-r": "--imagenet_r",
    "imagenet-sketch": "--imagenet_sketch",
    "imagenet-c": "--imagenet_c",
    "imagenet-c-bar": "--imagenet_cbar",
    "imagenet-p": "--imagenet_p",
    "model-vs-human": "--stimuli",
    "model-vs-human/cue-conflict": "--stimuli",
    "imagenet-x": "--imagenet_x",
    "refined-bias": "--refined_bias",
    "visual-anagrams": "--visual_anagrams",
    "frequency-cue-conflict": "--frequency_cue_conflict",
    "imagenet9": "--imagenet9",
    "stylized-imagenet": "--stylized_imagenet",
    "laion-c": "--laion_c",
    "critical-band-masking": "--critical_band_masking",
    "human-decisions": "--humans",
    "study-table": "--table",
    "published-tables": "--files",
}


def _text(*patterns: str) -> str:
    paths = sorted(path for pattern in patterns for path in REPOSITORY.glob(pattern))
    assert paths
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_each_data_set_has_the_flag_that_scripts_have():
    assert {name: data_set.flag for name, data_set in data_sets().items()} == FLAGS
    for name, data_set in data_sets().items():
        assert data_set.flag in data_set.use.split(), name
    assert {IMAGENET_C.name, IMAGENET_CBAR.name} <= {*data_sets()}


def test_no_two_data_sets_share_a_variable():
    variables = [data_set.variable for data_set in data_sets().values()]
    assert len({*variables}) == len(variables)
    assert all(NAMED.fullmatch(variable) for variable in variables)


def test_scripts_look_for_every_data_set_of_the_catalogue():
    code = _text("code/*.py", "code/bvg/**/*.py")
    make_published = _text("code/make_published.py")  # looks for one of two
    sought = {*re.findall(r"(?:find_data|look_for)\(\s*\"([^\"]+)", code)}
    sought |= {variant.key for variant in VARIANTS}
    sought |= {"study-table", "published-tables"} & {*re.findall(r"\"([a-z-]+)\"", make_published)}
    assert sought == {*data_sets()}


def test_every_variable_that_is_named_is_read_and_the_other_way_round():
    code = _text("code/**/*.py", "code/*.ipynb", "code/**/*.toml")
    docs = _text("README.md", "docs/*.md")
    tests = _text("tests/**/*.py")
    catalogue = {data_set.variable for data_set in data_sets().values()}
    read = catalogue | {*READ.findall(code)}
    for_tests = {"BVG_FIXTURES", "BVG_EVERY"}
    assert for_tests <= {*READ.findall(tests)}
    assert {*NAMED.findall(code)} <= read
    assert {*NAMED.findall(docs)} <= read | for_tests | {"BVG_MY_SKETCHES"}  # an example's
    assert read <= {*NAMED.findall(docs)}


@pytest.mark.parametrize("name", FLAGS)
def test_the_flag_wins_over_the_variable_and_this_over_what_was_fetched(
    name, tmp_path, monkeypatch
):
    data_set = data_sets()[name]
    assert look_for(name) is None
    sentence = refusal(find_data, name)
    assert data_set.flag in sentence and data_set.variable in sentence
    assert f"python code/download.py {name}" in sentence
    fetched = data_folder() / data_set.path
    fetched.mkdir(parents=True)
    assert find_data(name) == fetched
    for folder in ("named", "given"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv(data_set.variable, str(tmp_path / "named"))
    assert find_data(name) == tmp_path / "named"
    assert find_data(name, tmp_path / "given") == tmp_path / "given"
    assert data_set.flag in refusal(look_for, name, tmp_path / "none")
    monkeypatch.setenv(data_set.variable, str(tmp_path / "none"))
    assert data_set.variable in refusal(look_for, name)


def test_imagenet_c_can_be_generated_instead():
    assert "--generate" in refusal(find_data, "imagenet-c")
    assert "--generate" not in refusal(find_data, "imagenet-c-bar")


def test_a_data_set_of_one_file_is_that_file(tmp_path):
    assert data_sets()["imagenet-real"].path == "imagenet-real/real.json"
    assert data_sets()["imagenet-v2"].path == "imagenet-v2"


def test_the_catalogue_is_read_without_pytorch():
    code = (
        "import sys, bvg.data.finding as f; f.look_for('imagenet'); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=REPOSITORY / "code", capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("False\n", "")
