"""The zoo's rows: files downloaded, checked and merged; libraries in order; seeds."""

import argparse
import hashlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from bvg.data.preprocessing import Preprocessing
from bvg.errors import UserError
from bvg.zoo import libraries, loading, table
from bvg.zoo.loading import CheckpointOptions, load_model
from conftest import refusal
from zoo_helpers import HEAD, IMAGENET, normalised, pixels, prefixed, saved

pytest_plugins = ["download_fixtures"]

# A small network in the robustness library's layout.

ROW = """[tiny_model]
{head}arch = "{net}:tiny"
files = [{{ source = ["{url}/w.pth"], container = "model", {strip}{more} }}]
"""
STRIP = 'keep = "module.model.", strip = "module.model."'


@pytest.fixture
def publish(site, use_table, net_file, tiny):
    """Return a function that publishes a state, tiny's if none is given, with its row."""

    def do(state: dict | None = None, more: str = "") -> bytes:
        state = tiny.state_dict() if state is None else state
        model = prefixed(state, "module.model.") | {"module.attacker.x": torch.ones(1)}
        site.files["/w.pth"] = saved({"model": model})
        use_table(ROW.format(head=HEAD, net=net_file, url=site.url, strip=STRIP, more=more))
        return site.files["/w.pth"]

    return do


@pytest.fixture
def weights_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("BVG_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_a_published_file_is_downloaded_once_and_computes_what_was_trained(
    publish, tiny, site, weights_dir
):
    publish()
    for _ in range(2):
        model = load_model("tiny_model")
        assert torch.equal(model(pixels()), tiny(normalised(pixels())))
    assert len(site.requests) == 1
    assert (weights_dir / "tiny_model--w.pth").is_file()


def test_without_a_folder_of_its_own_the_cache_is_used(publish, tmp_path, monkeypatch):
    monkeypatch.setenv("BVG_CACHE", str(tmp_path / "cache"))
    publish()
    load_model("tiny_model")
    assert (tmp_path / "cache" / "weights" / "tiny_model--w.pth").is_file()


def without(state: dict, key: str) -> dict:
    return {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda s: without(s, "fc.bias"), "missing keys: fc.bias"),
        (lambda s: s | {"fc.extra": torch.ones(1)}, "unexpected keys: fc.extra"),
        (lambda s: s | {"fc.bias": torch.ones(6)}, "fc.bias is (6,) instead of (5,)"),
        (lambda s: s | {"fc.bias": torch.ones(5, dtype=torch.int8)}, "fc.bias is torch.int8"),
        (lambda s: {}, "should hold tensors whose keys start with 'module.model.'"),
    ],
    ids=["missing", "extra", "shape", "integers", "nothing"],
)
def test_a_published_file_that_does_not_fit_is_refused(damage, words, publish, tiny, weights_dir):
    publish(damage(tiny.state_dict()))
    sentence = refusal(load_model, "tiny_model")
    assert words in sentence
    assert str(weights_dir / "tiny_model--w.pth") in sentence
    assert "--arch" not in sentence  # which is no remedy for a row of the zoo


def test_a_download_of_another_hash_is_refused(publish, weights_dir):
    publish(more=', sha256 = "0123abcd"')
    assert "but 0123abcd… was published" in refusal(load_model, "tiny_model")
    assert not (weights_dir / "tiny_model--w.pth").exists()


def test_a_truncated_download_is_resumed(publish, tiny, site, retries, small_blocks):
    publish()
    site.break_after = 2_000
    assert torch.equal(load_model("tiny_model")(pixels()), tiny(normalised(pixels())))
    assert site.ranges_asked() == [None, "bytes=2000-"]


@pytest.mark.parametrize("status", [403, 404])
def test_a_server_that_refuses_is_named(status, publish, site, weights_dir):
    publish()
    site.statuses["/w.pth"] = status
    assert f"the server answered {status}" in refusal(load_model, "tiny_model")


def test_a_web_page_instead_of_the_file_is_refused(publish, site, weights_dir):
    publish()
    site.files["/w.pth"] = b"<!doctype html><title>Quota exceeded</title>"
    assert "a web page instead of the file" in refusal(load_model, "tiny_model")


def test_a_file_that_changes_after_its_first_use_is_refused(publish, tiny, weights_dir):
    publish()
    load_model("tiny_model")
    other = {key: value + 1 for key, value in tiny.state_dict().items()}
    changed = {"model": prefixed(other, "module.model.")}
    (weights_dir / "tiny_model--w.pth").write_bytes(saved(changed))
    assert "was pinned at the first download" in refusal(load_model, "tiny_model")


def test_a_class_in_a_published_file_is_refused_unless_the_row_allows_it(
    publish, tiny, site, weights_dir
):
    content = {"model": prefixed(tiny.state_dict(), "module.model."), "args": argparse.Namespace()}
    publish()
    site.files["/w.pth"] = saved(content)
    assert "argparse.Namespace" in refusal(load_model, "tiny_model")
    publish(more=', safe_globals = ["argparse.Namespace"]')
    site.files["/w.pth"] = saved(content)
    assert torch.equal(load_model("tiny_model")(pixels()), tiny(normalised(pixels())))


def test_two_files_that_hold_the_same_key_are_refused(site, use_table, net_file, tiny, weights_dir):
    site.files["/a.pth"] = saved(tiny.state_dict())
    site.files["/b.pth"] = saved({"fc.bias": torch.ones(5)})
    sources = ", ".join(f'{{ source = ["{site.url}/{name}.pth"] }}' for name in "ab")
    use_table(f'[tiny_model]\n{HEAD}arch = "{net_file}:tiny"\nfiles = [{sources}]\n')
    assert "two files of the zoo's tiny_model hold fc.bias" in refusal(load_model, "tiny_model")


def test_a_rows_own_statistics_are_used(publish, tiny, use_table, site, net_file, weights_dir):
    publish()
    row = ROW.format(head=HEAD, net=net_file, url=site.url, strip=STRIP, more="")
    use_table(row + "mean = [0, 0, 0]\nstd = [1, 1, 1]\n")
    assert torch.equal(load_model("tiny_model")(pixels()), tiny(pixels()))


def test_a_row_may_correct_a_librarys_statistics(use_table, monkeypatch, tiny):
    of_library = loading.NormalizedModel(tiny, *IMAGENET, origin={"timm": "x"})
    monkeypatch.setattr(libraries, "timm_model", lambda name: of_library)
    plain = f'[a]\n{HEAD}library = ["timm:resnet18"]\n'
    use_table(plain)
    assert torch.equal(load_model("a")(pixels()), tiny(normalised(pixels())))
    use_table(plain + "mean = [0, 0, 0]\nstd = [1, 1, 1]\n")
    model = load_model("a")
    assert torch.equal(model(pixels()), tiny(pixels()))
    assert model.origin == {"timm": "x", "zoo": "a"}


def test_the_second_library_is_asked_when_the_first_fails(use_table, monkeypatch, tiny):
    def fails(name):
        raise UserError("no timm today")

    monkeypatch.setattr(libraries, "timm_model", fails)
    second = SimpleNamespace(origin={"torchvision": "x"}, parameters=list)
    second.eval = lambda: second
    monkeypatch.setattr(libraries, "torchvision_model", lambda name: second)
    use_table(f'[a]\n{HEAD}library = ["timm:resnet18", "torchvision:resnet18/DEFAULT"]\n')
    assert load_model("a").origin == {"torchvision": "x", "zoo": "a"}


def test_an_untrained_model_has_the_initial_weights_of_its_seed(use_table, net_file):
    row = "[{name}]\n{head}arch = '{net}:tiny'\nseed = {seed}\n"
    rows = [("a", 0), ("b", 0), ("c", 1)]
    use_table("".join(row.format(name=n, head=HEAD, net=net_file, seed=s) for n, s in rows))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b, c = (load_model(name)(pixels()) for name in "abc")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_an_unavailable_model_says_why(use_table):
    use_table(f'[a]\n{HEAD}unavailable = "its authors never published it"\n')
    assert refusal(load_model, "a") == "model a is unavailable: its authors never published it"


def test_a_missing_file_of_the_repository_is_one_sentence(use_table, net_file):
    use_table(
        f'[a]\n{HEAD}arch = "{net_file}:tiny"\nfiles = [{{ source = ["code/bvg/zoo/no.pth"] }}]\n'
    )
    assert "code/bvg/zoo/no.pth does not exist" in refusal(load_model, "a")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
        (b"quota exceeded", "not a checkpoint: neither torch.save nor safetensors wrote it"),
        (b"PK\x03\x04 and no more", "only part of a checkpoint: it may be truncated"),
        (b"", "an empty file"),
    ],
)
def test_what_is_no_checkpoint_is_not_kept(content, words, publish, site, weights_dir):
    publish()
    site.files["/w.pth"] = content
    assert words in refusal(load_model, "tiny_model")
    assert [path.name for path in weights_dir.iterdir()] == ["tiny_model--w.pth.lock"]


def test_where_only_an_md5_was_published_it_must_fit(publish, tiny, site, weights_dir):
    content = publish(more=', md5 = "0123ab"')
    assert "not the published file, whose MD5 is 0123ab…" in refusal(load_model, "tiny_model")
    assert not (weights_dir / "tiny_model--w.pth").exists()
    publish(more=f', md5 = "{hashlib.md5(content).hexdigest()[:6]}"')
    assert torch.equal(load_model("tiny_model")(pixels()), tiny(normalised(pixels())))


@pytest.mark.parametrize("name", ["w.pth", "tiny_model--w.pth"])
def test_a_file_that_the_user_has_is_not_downloaded(name, publish, tiny, site, tmp_path):
    content = publish()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(content)
    model = load_model("tiny_model", CheckpointOptions(weights_dir=tmp_path / "mine"))
    assert torch.equal(model(pixels()), tiny(normalised(pixels())))
    assert site.requests == []


def test_a_mirror_is_asked_where_the_first_source_fails(publish, tiny, site, weights_dir):
    publish()
    site.files["/mirror.pth"] = site.files["/w.pth"]
    row = table.zoo()["tiny_model"]
    both = (row.files[0].source[0], f"{site.url}/mirror.pth")
    table.zoo()["tiny_model"] = replace(row, files=(replace(row.files[0], source=both),))
    site.statuses["/w.pth"] = 404
    assert torch.equal(load_model("tiny_model")(pixels()), tiny(normalised(pixels())))
    assert (weights_dir / "tiny_model--w.pth").is_file()


def test_a_guess_is_said(publish, site, use_table, net_file, tiny, weights_dir, capsys):
    site.files["/w.pth"] = saved({"state_dict": prefixed(tiny.state_dict(), "module.")})
    row = ROW.format(head=HEAD, net=net_file, url=site.url, strip="guess = true", more="")
    row = row.replace('container = "model", ', "")
    use_table(row.replace("files =", 'guess = "whose it is"\nfiles ='))
    model = load_model("tiny_model")
    assert model.origin["found"] == "under 'state_dict', without the prefix 'module.'"
    assert capsys.readouterr().err.splitlines() == [
        "tiny_model: unconfirmed: whose it is",
        "tiny_model: the layout of tiny_model--w.pth is a guess; the weights were found under "
        "'state_dict', without the prefix 'module.'",
    ]


def test_the_view_of_a_row_is_the_models_native_one(
    publish, use_table, net_file, site, weights_dir
):
    publish()
    assert load_model("tiny_model").native == Preprocessing(256, 224, "bilinear")
    row = ROW.format(head=HEAD, net=net_file, url=site.url, strip=STRIP, more="")
    use_table(row + 'native = { resize = 40, crop = 32, interpolation = "bicubic" }\n')
    assert load_model("tiny_model").native == Preprocessing(40, 32, "bicubic")
