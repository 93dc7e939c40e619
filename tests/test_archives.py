"""Archives appear whole under their final name or not at all, and write nothing outside."""

import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from bvg.data.archives import unpack
from conftest import refusal


def tar(path: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def special(kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def place(tmp_path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_good_archive_becomes_the_folder(place):
    archive = tar(place / "a.tar.gz", ("x/cat/1.png", b"one"), ("x/dog/2.png", b"two"))
    assert unpack(archive, place / "stimuli") == place / "stimuli"
    assert (place / "stimuli" / "cat" / "1.png").read_bytes() == b"one"
    assert (place / "stimuli" / "dog" / "2.png").read_bytes() == b"two"
    assert {path.name for path in place.iterdir()} == {"a.tar.gz", "stimuli"}


@pytest.mark.parametrize(
    "member",
    [
        ("../escaped", b"x"),
        ("stimuli/../../escaped", b"x"),
        ("/tmp/escaped-absolutely", b"x"),
        ("stimuli/link", special(tarfile.SYMTYPE, "../../escaped")),
        ("stimuli/link", special(tarfile.SYMTYPE, "/etc")),
        ("stimuli/link", special(tarfile.LNKTYPE, "/etc/hostname")),
        ("stimuli/device", special(tarfile.CHRTYPE)),
        ("stimuli/pipe", special(tarfile.FIFOTYPE)),
    ],
    ids=["up", "hidden up", "absolute", "link up", "link away", "hard link", "device", "pipe"],
)
def test_a_hostile_archive_is_refused_and_writes_nothing(place, member):
    archive = tar(place / "a.tar.gz", ("stimuli/1.png", b"one"), member)
    assert "cannot be unpacked" in refusal(unpack, archive, place / "stimuli")
    assert {path.name for path in place.iterdir()} == {"a.tar.gz"}
    assert {path.name for path in place.parent.iterdir()} == {"cache"}
    assert not Path("/tmp/escaped-absolutely").exists()


def test_a_link_out_cannot_be_written_through(place):
    link = ("stimuli/link", special(tarfile.SYMTYPE, str(place.parent)))
    archive = tar(place / "a.tar.gz", link, ("stimuli/link/escaped", b"x"))
    refusal(unpack, archive, place / "stimuli")
    assert not (place.parent / "escaped").exists()


def test_a_link_that_stays_inside_is_kept(place):
    link = ("stimuli/2.png", special(tarfile.SYMTYPE, "1.png"))
    archive = tar(place / "a.tar.gz", ("stimuli/1.png", b"one"), link)
    unpack(archive, place / "stimuli")
    assert (place / "stimuli" / "2.png").read_bytes() == b"one"


def test_broken_archives_are_refused(place):
    def flipped(whole: bytes) -> bytes:
        return whole[:5000] + bytes(byte ^ 255 for byte in whole[5000:5100]) + whole[5100:]

    noise = random.Random(0).randbytes(50_000)
    # Noise is stored as it is: only the checksum gives a change away. Text is compressed.
    stored = tar(place / "s.tar.gz", ("stimuli/1.png", noise)).read_bytes()
    packed = tar(place / "p.tar.gz", ("stimuli/1.txt", noise.hex().encode())).read_bytes()
    for broken in (
        *(stored[: len(stored) // 2], packed[: len(packed) // 2], stored[:-8]),
        *(flipped(stored), flipped(packed), b"no archive", b""),
    ):
        archive = place / "a.tar.gz"
        archive.write_bytes(broken)
        sentence = refusal(unpack, archive, place / "stimuli")
        assert f"{archive} cannot be unpacked" in sentence
        assert "delete it and a.tar.gz.sha256, and download it again" in sentence
        assert not (place / "stimuli").exists()
        assert not list(place.glob("*unpacking*"))


def test_an_interruption_leaves_nothing_and_the_next_call_completes(place, monkeypatch):
    archive = tar(place / "a.tar.gz", ("1.png", b"one"), ("2.png", b"two"))
    extract, seen = tarfile.TarFile.extract, []

    def interrupted(self, member, *words, **options):
        if seen:
            assert not (place / "stimuli").exists()
            raise KeyboardInterrupt
        seen.append(member.name)
        return extract(self, member, *words, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tarfile.TarFile, "extract", interrupted)
        unpack(archive, place / "stimuli")
    assert seen == ["1.png"]
    assert {path.name for path in place.iterdir()} == {"a.tar.gz"}
    unpack(archive, place / "stimuli")
    assert names(place / "stimuli") == {"1.png", "2.png"}


def test_memory_does_not_fill_with_the_members_of_an_archive(place, monkeypatch):
    archive = tar(place / "a.tar.gz", *((f"{n}.png", b"") for n in range(9)))
    extract, known = tarfile.TarFile.extract, []

    def watched(self, *words, **options):
        known.append(len(self.members))
        return extract(self, *words, **options)

    monkeypatch.setattr(tarfile.TarFile, "extract", watched)
    unpack(archive, place / "stimuli")
    assert len(known) == 9 and max(known) <= 1


def test_what_a_killed_process_left_is_not_taken_over(place):
    archive = tar(place / "a.tar.gz", ("stimuli/1.png", b"one"))
    left = place / "a.tar.gz.unpacking" / "stimuli"
    left.mkdir(parents=True)
    (left / "half.png").write_bytes(b"ha")
    unpack(archive, place / "stimuli")
    assert names(place / "stimuli") == {"1.png"}


def test_a_place_that_cannot_be_written_is_one_sentence(place):
    archive = tar(place / "a.tar.gz", ("stimuli/1.png", b"one"))
    assert "choose another folder with BVG_CACHE" in refusal(
        unpack, archive, Path("/proc/no/stimuli")
    )


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_are_recognised_whatever_their_compression_or_name(place, mode):
    with tarfile.open(place / "a.tar.gz", mode) as archive:
        info = tarfile.TarInfo("other/cat/1.png")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"one"))
    unpack(place / "a.tar.gz", place / "stimuli")
    assert names(place / "stimuli") == {"cat", "cat/1.png"}


def test_a_zip_becomes_the_folder(place):
    archive = zipped(
        place / "a.zip",
        ("sketch/", b""),
        ("sketch/cat/1.png", b"one"),
        ("sketch/dog/2.png", b"two" * 1000),
        ("__MACOSX/sketch/._cat", b"rubbish"),
    )
    unpack(archive, place / "stimuli")
    assert names(place / "stimuli") == {"cat", "cat/1.png", "dog", "dog/2.png"}
    assert (place / "stimuli" / "dog" / "2.png").read_bytes() == b"two" * 1000


@pytest.mark.parametrize(
    "member",
    [
        ("../escaped", b"x"),
        ("stimuli/../../escaped", b"x"),
        ("/tmp/escaped-absolutely", b"x"),
        ("..\\escaped", b"x"),
    ],
    ids=["up", "hidden up", "absolute", "backslash"],
)
def test_a_hostile_zip_is_refused_and_writes_nothing(place, member):
    archive = zipped(place / "a.zip", ("stimuli/1.png", b"one"), member)
    assert "cannot be unpacked" in refusal(unpack, archive, place / "stimuli")
    assert {path.name for path in place.iterdir()} == {"a.zip"}
    assert {path.name for path in place.parent.iterdir()} == {"cache"}
    assert not Path("/tmp/escaped-absolutely").exists()


def test_a_link_in_a_zip_is_no_link_when_it_is_unpacked(place):
    archive = zipped(place / "a.zip", (zip_link("stimuli/link"), b"/etc/hostname"))
    unpack(archive, place / "stimuli")
    assert not (place / "stimuli" / "link").is_symlink()
    assert (place / "stimuli" / "link").read_bytes() == b"/etc/hostname"


def test_broken_zips_are_refused(place):
    whole = zipped(place / "w.zip", ("stimuli/1.txt", b"text" * 5000)).read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:40] + b"\0\0\0" + whole[43:]):
        archive = place / "a.zip"
        archive.write_bytes(broken)
        assert "cannot be unpacked" in refusal(unpack, archive, place / "stimuli")
        assert not (place / "stimuli").exists()


def test_only_the_asked_folder_and_files_are_taken(place):
    archive = tar(
        place / "a.tar.gz",
        ("repository-1234/README.md", b"x"),
        ("repository-1234/link", special(tarfile.SYMTYPE, "/etc")),  # not taken: does no harm
        ("repository-1234/raw-data/edge/edge_subject-01.csv", b"human"),
        ("repository-1234/raw-data/edge/edge_resnet50.csv", b"model"),
        ("repository-1234/code/raw-data/edge/edge_subject-02.csv", b"elsewhere"),
    )
    unpack(archive, place / "humans", "*/raw-data", "*_subject-*.csv")
    assert names(place / "humans") == {"edge", "edge/edge_subject-01.csv"}
    for inside, files in (("*/data", "*.csv"), ("*", "*.png")):
        assert f"folders {inside} with files" in refusal(
            unpack, archive, place / "other", inside, files
        )


def test_two_folders_where_one_is_expected_are_refused(place):
    archive = tar(place / "a.tar.gz", ("one/data/1.csv", b"1"), ("two/data/2.csv", b"2"))
    assert "it holds 2 folders */data" in refusal(unpack, archive, place / "stimuli", "*/data")


def test_everything_is_taken_where_there_is_no_single_top_folder(place):
    archive = tar(place / "a.tar.gz", ("cat/1.png", b"1"), ("dog/2.png", b"2"))
    unpack(archive, place / "stimuli")
    assert names(place / "stimuli") == {"cat", "cat/1.png", "dog", "dog/2.png"}
