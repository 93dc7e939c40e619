"""Cue-conflict stimuli: their names, their layout, and what is said when it is another."""

import tarfile

import pytest
import requests

from bvg.data import shape_bias as module
from bvg.data.categories import CATEGORIES
from bvg.data.downloads import read_catalogue
from bvg.data.shape_bias import cue_conflict
from bvg.errors import UserError
from conftest import CLASSES, draw
from local_server import serve


@pytest.fixture
def stimuli(tmp_path):
    folder = tmp_path / "cue-conflict"
    for name in ("ant1-bee2", "ant10-ant3", "dog3-cat12"):
        draw(
            folder
            / name.rstrip("0123456789").partition("-")[0].rstrip("0123456789")
            / f"{name}.png",
            1,
        )
    return folder


def test_shape_is_the_folder_and_texture_the_last_word(stimuli):
    images = cue_conflict(stimuli, CLASSES)
    assert images.names == ("ant/ant1-bee2.png", "ant/ant10-ant3.png", "dog/dog3-cat12.png")
    assert images.labels.tolist() == [0, 0, 3]
    assert images.columns["texture"].tolist() == [1, 0, 2]
    assert images.notes == {"partial": {"images": 3, "expected_images": 1280}}


def test_the_folder_above_is_understood(stimuli):
    assert len(cue_conflict(stimuli.parent, CLASSES)) == 3


@pytest.mark.parametrize("name", ["ant1-wasp2.png", "bee1-cat2.png", "ant.png", "ant1bee2.png"])
def test_a_name_that_does_not_fit_is_refused(stimuli, name):
    draw(stimuli / "ant" / name, 1)
    with pytest.raises(UserError, match=f"{name} is not named <shape><n>-<texture><m>"):
        cue_conflict(stimuli, CLASSES)


def test_wrong_folders_are_explained(stimuli, tmp_path):
    with pytest.raises(UserError, match=f"give the folder that contains it, {stimuli}"):
        cue_conflict(stimuli / "ant", CLASSES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"category folders \(ant, bee, cat, …\)"):
        cue_conflict(tmp_path / "empty", CLASSES)
    outer = tmp_path / "outer"
    outer.mkdir()
    stimuli.rename(outer / "stimuli")
    with pytest.raises(UserError, match="outer/stimuli does: give that"):
        cue_conflict(outer, CLASSES)
    (outer / "stimuli" / "unicorn").mkdir()
    with pytest.raises(UserError, match="unicorn is not one of the 4 categories"):
        cue_conflict(outer / "stimuli", CLASSES)


def test_the_published_archive_is_downloaded_once_and_unpacked(monkeypatch, tmp_path, stimuli):
    archive = tmp_path / "published.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(stimuli, "cue-conflict")
    (source,) = read_catalogue()["model-vs-human/cue-conflict"].sources
    host, send = "https://github.com", requests.Session.request
    with serve() as site:
        site.files[source.removeprefix(host)] = archive.read_bytes()

        def request(self, method, url, **options):
            return send(self, method, url.replace(host, site.url), **options)

        monkeypatch.setattr(requests.Session, "request", request)
        for _ in range(2):
            folder = module.download_cue_conflict()
            assert len(cue_conflict(folder, CLASSES)) == 3
    assert site.requests == [(source.removeprefix(host), None)]


def test_textures_in_the_place_of_shapes_are_noticed(tmp_path, capsys):
    pairs = [(1, 1), (10, 3), (4, 2)]  # of a shape's images, and of a texture's
    for name, other in zip(CATEGORIES, CATEGORIES[1:] + CATEGORIES[:1], strict=True):
        for shape, texture in pairs:
            draw(tmp_path / "right" / name / f"{name}{shape}-{other}{texture}.png", 1)
            draw(tmp_path / "swapped" / name / f"{name}{texture}-{other}{shape}.png", 1)
    cue_conflict(tmp_path / "right", CATEGORIES)
    assert capsys.readouterr().err == ""
    cue_conflict(tmp_path / "swapped", CATEGORIES)
    assert "<shape><n>-<texture><m>" in capsys.readouterr().err
    (tmp_path / "manifest.json").write_text("{}")  # of make_cue_conflict.py
    cue_conflict(tmp_path / "swapped", CATEGORIES)
    assert capsys.readouterr().err == ""
