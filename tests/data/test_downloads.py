"""The catalogue of data sets, and getting one of them."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bvg.data.downloads import (
    data_folder,
    get,
    read_catalogue,
    select,
    state,
    usage,
)
from conftest import refusal
from download_helpers import A_TAR, LABELS, TABLES, archives, contents

pytest_plugins = ["download_fixtures"]
pytestmark = pytest.mark.usefixtures("once")

ALL = read_catalogue()


def test_the_catalogue_has_what_the_study_needs():
    groups = {name.partition("/")[0] for name in ALL}
    assert groups == {
        *(
            "model-vs-human",
            "refined-bias",
            "visual-anagrams",
            "frequency-cue-conflict",
            "imagenet9",
            "critical-band-masking",
            "imagenet-v2",
            "imagenet-a",
            "imagenet-r",
            "imagenet-sketch",
        ),
        *("laion-c", "stylized-imagenet"),
        *("imagenet-c-bar", "imagenet-real", "human-decisions", "study-table", "published-tables"),
        *("imagenet", "imagenet-c", "imagenet-p", "imagenet-x"),
    }
    assert sum(name.startswith("model-vs-human/") for name in ALL) == 17
    explained = {name for name, data_set in ALL.items() if data_set.explain}
    assert explained == {"imagenet", "imagenet-c", "imagenet-p", "laion-c", "stylized-imagenet"}


@pytest.mark.parametrize("name", ALL)
def test_every_entry_is_whole(name):
    data_set = ALL[name]
    assert data_set.what and data_set.use and data_set.licence
    assert data_set.about.startswith("https://")
    assert bool(data_set.sources) != bool(data_set.explain)
    for source in data_set.sources:
        assert source.startswith(("https://", "gdrive:"))
        assert "{" not in source
    if data_set.sources:
        assert data_set.checked
        assert data_set.file and not set(data_set.file) & set("/?&")
    assert data_set.kind in ("archive", "file")
    assert len(data_set.sha256) in (0, 64)
    assert int(data_set.sha256 or "0", 16) >= 0


def test_no_two_entries_share_an_archive_or_a_place():
    fetched = [data_set for data_set in ALL.values() if data_set.sources]
    assert len({data_set.file for data_set in fetched}) == len(fetched)
    assert len({data_set.path for data_set in fetched}) == len(fetched)


def test_members_have_addresses_of_their_own():
    edge = ALL["model-vs-human/edge"]
    assert [Path(urlsplit(source).path).name for source in edge.sources] == ["edge.tar.gz"]
    assert edge.file == "edge.tar.gz"


def test_an_unknown_field_is_a_mistake_in_the_table(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('["x"]\nwhat = ""\nuse = ""\nabout = ""\nlicence = ""\nsource = ["a"]\n')
    with pytest.raises(TypeError, match="source"):
        read_catalogue(path)


def test_names_groups_and_all_are_understood():
    assert [d.name for d in select(["imagenet-a"], ALL)] == ["imagenet-a"]
    assert [d.name for d in select(["model-vs-human/edge"], ALL)] == ["model-vs-human/edge"]
    assert len(select(["model-vs-human", "model-vs-human/edge"], ALL)) == 17
    assert select(["all"], ALL) == [d for d in ALL.values() if not d.explain]
    sentence = refusal(select, ["imagenet-e"], ALL)
    assert "no data set 'imagenet-e': choose from model-vs-human, imagenet-v2, " in sentence


def test_commands_name_the_folder(tmp_path):
    assert usage(ALL["imagenet-a"], tmp_path).endswith(f"--imagenet_a {tmp_path}/imagenet-a")
    assert usage(ALL["model-vs-human/edge"], tmp_path).endswith(f" {tmp_path}/model-vs-human")


def test_the_default_folder_is_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("BVG_CACHE", str(tmp_path))
    assert data_folder() == tmp_path / "data"


def test_an_archive_becomes_a_folder(catalogue, to):
    data_set = read_catalogue(catalogue)["set-a"]
    assert state(data_set, to) == "missing"
    assert get(data_set, to) == to / "set-a"
    assert contents(to) == {"set-a/n01/1.JPEG", "set-a/n02/2.JPEG"}
    assert archives(to) == set()
    assert state(data_set, to) == "downloaded"


def test_a_single_file_gets_a_folder(catalogue, to):
    data_set = read_catalogue(catalogue)["labels"]
    assert get(data_set, to) == to / "labels" / "real.json"
    assert contents(to) == {"labels/real.json"}
    assert (to / "labels" / "real.json").read_bytes() == LABELS
    assert archives(to) == set()


def test_several_files_get_a_folder_with_their_names(catalogue, to):
    for data_set in select(["tables"], read_catalogue(catalogue)):
        get(data_set, to)
    assert contents(to) == {f"tables/{name}" for name in TABLES}
    for name, text in TABLES.items():
        assert (to / "tables" / name).read_bytes() == text


def test_the_second_call_asks_nobody(catalogue, to, site):
    for _ in range(2):
        get(read_catalogue(catalogue)["set-a"], to)
    assert len(site.requests) == 1


def test_a_folder_of_the_users_is_taken_as_it_is(catalogue, to, site):
    (to / "set-a").mkdir(parents=True)
    assert get(read_catalogue(catalogue)["set-a"], to) == to / "set-a"
    assert site.requests == []
    assert contents(to) == set()


def test_an_archive_that_the_user_put_there_is_used(catalogue, to, site):
    (to / "archives").mkdir(parents=True)
    (to / "archives" / "a.tar").write_bytes(A_TAR)
    get(read_catalogue(catalogue)["set-a"], to)
    assert "set-a/n01/1.JPEG" in contents(to)
    assert site.requests == []


def test_the_disk_must_have_room_for_archive_and_files(catalogue, to, site, monkeypatch):
    free = type("Usage", (), {"free": 2 * len(A_TAR)})
    monkeypatch.setattr("bvg.data.downloads.shutil.disk_usage", lambda _: free)
    sentence = refusal(get, read_catalogue(catalogue)["set-a"], to)
    assert "set-a needs 158 kB of free disk space" in sentence
    assert "has 143 kB: free some space" in sentence
    assert site.requests == []


def test_killed_before_the_folder_has_its_name_nothing_is_downloaded_again(
    catalogue, to, site, monkeypatch
):
    data_set, replace = read_catalogue(catalogue)["set-a"], os.replace

    def killed(source, target):
        if Path(target) == to / "set-a":
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        get(data_set, to)
    assert contents(to) == set()
    get(data_set, to)
    assert "set-a/n01/1.JPEG" in contents(to)
    assert len(site.requests) == 1
    assert archives(to) == set()
