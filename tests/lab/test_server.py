"""The lab's server without a browser: what it writes, what it refuses, and what survives."""

import errno
import http.client
import io
import json
import os
import socket
import threading
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import eval_shape_bias
import lab.serve
from bvg.data.categories import CATEGORIES
from bvg.errors import UserError
from bvg.scores.decision_table import COLUMNS, read_decisions
from bvg.scores.humans import human_decisions, humans_of_one_set
from bvg.scores.shape_bias import count_table
from conftest import draw, refusal
from lab.icons import icon
from lab.mask import mask, noise
from lab.serve import main
from lab.server import MOST_BYTES
from lab.stimuli import in_order, stimuli_in
from lab.tables import MEASURED, TIMING, Study, check_protocol
from lab_helpers import (
    TOKEN,
    answer,
    asked,
    draw_conflicts,
    made_study,
    needs_libraries,
    process_serving,
    sent,
    served,
    url_of,
)
from miniature.world import CATEGORIES as SHAPES


@pytest.fixture(scope="module")
def conflicts(tmp_path_factory):
    return draw_conflicts(tmp_path_factory.mktemp("lab") / "cue-conflict")


@pytest.fixture
def study(conflicts, tmp_path) -> Study:
    return made_study(conflicts, tmp_path / "out")


@pytest.fixture
def server(study):
    with served(study) as server:
        asked(f"{url_of(server)}/begin", {"subject": 1, "token": TOKEN})
        yield server


def test_what_is_written_is_read_as_published_tables_are(server, study):
    order = study.order(1)
    responses = [order[0].category, None, *["cat"] * 18]
    for trial, response in enumerate(responses, start=1):
        rt = 0.25 if response else None
        assert sent(server, answer(trial, response, rt=rt))[0] == 200
    assert study.table(1).name == "cue-conflict_subject-01_session_1.csv"
    assert study.table(1).read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)
    table = humans_of_one_set(study.out)
    assert list(table["trial"]) == list(range(1, 21))
    assert list(table["object_response"]) == [response or "na" for response in responses]
    assert list(table["category"]) == [stimulus.category for stimulus in order]
    assert [*table["rt"].astype(str)] == ["0.25", "NaN", *["0.25"] * 18]
    first = order[0]
    assert table["imagename"][0] == f"0001_neutral_s01_0_{first.category}_00_{first.file}"
    timing = pd.read_csv(study.timing_table(1), sep="\t")
    assert [*timing["trial"]] == [*range(1, 21)] and {*MEASURED} < {*timing}


def test_subjects_have_different_orders_and_each_always_the_same(study):
    orders = [[stimulus.key for stimulus in study.order(subject)] for subject in range(1, 9)]
    assert len({tuple(order) for order in orders}) == 8
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    shuffled = in_order(study.stimuli[::-1], study.seed, 3)
    assert [stimulus.key for stimulus in shuffled] == orders[2]


def test_two_subjects_at_once_do_not_mix(server, study):
    def take_part(subject):
        for trial in range(1, 21):
            message = answer(
                trial, CATEGORIES[subject], subject=subject, token=f"{TOKEN} {subject}"
            )
            assert sent(server, message)[0] == 200

    threads = [threading.Thread(target=take_part, args=(subject,)) for subject in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for subject in (2, 3):
        table = read_decisions(study.table(subject))
        assert {*table["object_response"]} == {CATEGORIES[subject]} and len(table) == 20
        assert {*table["subj"]} == {f"subject-{subject:02d}"}
    assert human_decisions(study.out, "cue-conflict")["subj"].nunique() == 2


def test_a_trial_that_is_sent_again_is_kept_as_it_was(server, study):
    for response in ("cat", "dog"):
        assert sent(server, answer(4, response))[0] == 200
    assert [*read_decisions(study.table(1))["object_response"]] == ["cat"]
    begun = json.loads(asked(f"{url_of(server)}/begin", {"subject": 1, "token": TOKEN})[1])
    assert begun["done"] == [4] and len(begun["trials"]) == 20


@pytest.mark.parametrize("file", ["timing", "decisions"])
def test_a_full_disk_loses_nothing_that_was_saved(server, study, monkeypatch, file):
    sync = os.fsync
    assert sent(server, answer(1))[0] == 200
    before = study.table(1).read_bytes()
    calls = iter([file == "timing", True])

    def full(descriptor):
        if next(calls):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    status, body = sent(server, answer(2))
    monkeypatch.undo()
    assert status == 507 and "disk" in json.loads(body)["error"]
    assert study.table(1).read_bytes() == before
    assert sent(server, answer(2))[0] == 200
    assert [*read_decisions(study.table(1))["trial"]] == [1, 2]
    assert [*pd.read_csv(study.timing_table(1), sep="\t")["trial"]] == [1, 2]
    assert not [path for path in study.out.rglob("*") if "tmp" in path.name]


def test_a_killed_server_has_written_all_that_it_confirmed(conflicts, tmp_path):
    needs_libraries()
    confirmed = []

    def send(trial):
        study = json.loads((tmp_path / "out" / "protocol.json").read_text(encoding="utf-8"))["id"]
        status = asked(f"{url}trial", answer(trial, study=study))[0]
        assert status == 200
        confirmed.append(trial)

    with process_serving(conflicts, tmp_path / "out") as (process, url):
        for trial in range(1, 8):
            send(trial)
        killer = threading.Timer(0.005, process.kill)
        killer.start()
        with suppress(OSError, http.client.HTTPException):
            for trial in range(8, 21):
                send(trial)
        killer.join()
    written = [*read_decisions(next((tmp_path / "out").glob("*.csv")))["trial"]]
    assert written[: len(confirmed)] == confirmed and len(written) <= len(confirmed) + 1


def test_a_server_that_was_killed_goes_on_where_it_was(conflicts, study):
    with served(study) as server:
        asked(f"{url_of(server)}/begin", {"subject": 1, "token": TOKEN})
        sent(server, answer(1))
    # Killed after the timing was written, before the decision was.
    timing = study.timing_table(1)
    unfinished = "subject-01\t1\t2" + "\t" * (len(TIMING) - 3) + "\n"
    timing.write_text(timing.read_text(encoding="utf-8") + unfinished, encoding="utf-8")
    with served(made_study(conflicts, study.out)) as again:
        other = "another window"
        assert sent(again, answer(2, dropped=1))[0] == 200  # without a begin
        assert sent(again, answer(3, token=other))[0] == 409
        assert asked(f"{url_of(again)}/begin", {"subject": 1, "token": other})[0] == 200
        assert sent(again, answer(3))[0] == 409
        assert sent(again, answer(3, token=other))[0] == 200
    assert [*read_decisions(study.table(1))["trial"]] == [1, 2, 3]
    assert [*pd.read_csv(timing, sep="\t")["dropped"].fillna(0)] == [0, 1, 0]


def test_other_settings_in_the_same_folder_are_refused(conflicts, study):
    first = check_protocol(study)
    assert check_protocol(study) == first
    # As long as nobody has taken part, settings may change.
    assert check_protocol(made_study(conflicts, study.out, seed=1)) != first
    identity = check_protocol(study)
    study.save(1, answer(1), "")
    # The distance, which depends on the screen, may change: it is in the timing table.
    assert check_protocol(made_study(conflicts, study.out, distance=60)) == identity
    for changes in ({"seed": 1}, {"condition": "shape"}, {"trials": 5}):
        changed = made_study(conflicts, study.out, **changes)
        assert "--out" in refusal(check_protocol, changed)
    (study.out / "protocol.json").write_text("{", encoding="utf-8")
    assert "--out" in refusal(check_protocol, study)


def test_changed_pictures_in_the_same_folder_are_refused(tmp_path):
    study = made_study(draw_conflicts(tmp_path / "cue-conflict"), tmp_path / "out")
    check_protocol(study)
    study.save(1, answer(1), "")
    path = study.stimuli[0].path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the same size, and still a picture
    path.write_bytes(data)
    changed = made_study(tmp_path / "cue-conflict", study.out)
    assert "stimuli" in refusal(check_protocol, changed)


def test_tables_of_unknown_origin_are_not_continued(study):
    published = study.out / "cue-conflict_subject-01_session_1.csv"
    published.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    assert "--out" in refusal(check_protocol, study)


def test_a_table_of_something_else_is_not_overwritten(study):
    study.table(1).write_text("a,b\n1,2\n", encoding="utf-8")
    assert "--out" in refusal(study.saved, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"trial": 0},
        {"trial": 21},
        {"trial": "1"},
        {"trial": True},
        {"response": "../../etc/passwd"},
        {"response": "cat\n"},
        {"rt": None},
        {"rt": "fast"},
        {"response": None, "rt": 1},
        {"mask_ms": float("nan")},
        {"mask_ms": float("inf")},
        {"mask_ms": 10**400},
        {"dropped": [1]},
        {"first_response": "mouse"},
        {"subject": 0},
        {"subject": 1000},
        {"subject": "../1"},
        {"subject": None},
        {"token": 5},
        {"token": "x"},
    ],
)
def test_impossible_answers_are_refused_and_leave_no_file(server, study, changes):
    assert sent(server, {**answer(1), **changes})[0] == 400
    assert not [*study.out.rglob("*.?sv")]


def test_what_a_browser_calls_itself_is_cut_and_cleaned(server, study):
    agent = 'Mozilla "5"\t,' + 300 * "x"
    assert sent(server, answer(1), **{"User-Agent": agent})[0] == 200
    written = pd.read_csv(study.timing_table(1), sep="\t")["user_agent"][0]
    assert written == ('Mozilla "5",' + 300 * "x")[: len(written)] and len(written) == 199


@pytest.mark.parametrize(
    "path",
    [
        "/../settings.json",
        "/page/../settings.json",
        "/page/..%2fserve.py",
        "/lib/../../package.json",
        "/image/STUDY/20",
        "/image/STUDY/-1",
        "/image/STUDY/1/2",
        "/image/STUDY/..",
        "/image/STUDY//etc/passwd",
        "/image/another-study/1",
        "/image/1",
        "/image",
        "/practice/STUDY/0",
        "/catch/STUDY/0",
        "/icon/..",
        "/icon/mouse",
        "/mask/STUDY/1",
        "/mask/STUDY/1/" + "9" * 5000,
        "/begin",
        "/page/",
    ],
)
def test_only_listed_files_are_sent(server, path):
    # By a socket, since urllib would tidy the path.
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        path = path.replace("STUDY", server.identity)
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        assert connection.makefile("rb").readline().split()[1] == b"404"


def test_a_picture_that_was_removed_or_changed_is_not_there(tmp_path):
    study = made_study(draw_conflicts(tmp_path / "cue-conflict"), tmp_path / "out")
    with served(study) as server:
        study.stimuli[3].path.unlink()
        study.stimuli[4].path.write_bytes(study.stimuli[5].path.read_bytes())
        url = f"{url_of(server)}/image/{server.identity}"
        statuses = [asked(f"{url}/{number}")[0] for number in (2, 3, 4)]
    assert statuses == [200, 404, 404]


def test_bodies_have_a_limit_and_must_be_the_pages_own(server, study):
    url = f"{url_of(server)}/trial"
    assert asked(url, b'"' + b" " * MOST_BYTES + b'"')[0] == 400
    assert asked(url, b"[" * 9000)[0] == 400
    assert asked(url, [1])[0] == 400
    assert sent(server, answer(1), **{"Content-Type": "text/plain"})[0] == 400
    assert sent(server, answer(1), Origin="http://elsewhere.example")[0] == 400
    assert sent(server, answer(1), Host="elsewhere.example")[0] == 400
    for host in ("elsewhere.example", "elsewhere.example@localhost", "[::1"):
        assert asked(url_of(server), Host=host)[0] == 404
    assert asked(url_of(server), Host=f"localhost:{server.server_port}")[0] == 200
    assert asked(f"{url_of(server)}/other", answer(1))[0] == 400
    assert sent(server, answer(1, study="another"))[0] == 400
    assert not study.table(1).exists()
    assert sent(server, answer(1), Origin=url_of(server))[0] == 200


def test_it_listens_on_loopback_unless_told_otherwise(conflicts, tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(lab.serve, "install_libraries", lambda: None)
    monkeypatch.setattr(
        lab.serve.Server, "serve_forever", lambda self: seen.append(self.server_address)
    )
    words = [str(conflicts), "--out", str(tmp_path / "o"), "--port", "0"]
    assert main(words) == 0 and seen.pop()[0] == "127.0.0.1"
    assert main([*words, "--host", "0.0.0.0"]) == 0 and seen.pop()[0] == "0.0.0.0"
    assert main([*words[:-1], "1", "--host", "192.0.2.1"]) == 2
    assert "--host" in capsys.readouterr().err
    assert main([*words[:-1], "99999"]) == 2
    assert "--port" in capsys.readouterr().err


def test_npm_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(lab.serve, "LIBRARIES", {"/lib/jspsych.js": tmp_path / "jspsych.js"})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Node.js" in refusal(lab.serve.install_libraries)


def test_every_layout_of_stimuli_is_read(conflicts, tmp_path):
    assert {stimulus.condition for stimulus in stimuli_in(conflicts)} == {"0"}
    suppressed = tmp_path / "suppression"
    for condition in ("original", "global_shape"):
        draw_conflicts(suppressed / condition)
    found = stimuli_in(suppressed)
    assert len(found) == 40 and {s.condition for s in found} == {"original", "global-shape"}
    session = tmp_path / "contrast" / "dnn" / "session-1"
    session.mkdir(parents=True)
    for condition in ("c50", "c03"):
        name = f"0001_cop_dnn_{condition}_dog_10_n02085936_{condition}.png"
        Image.new("RGB", (224, 224)).save(session / name)
    found = stimuli_in(tmp_path / "contrast")
    assert [(s.condition, s.category, s.file) for s in found] == [
        ("c03", "dog", "n02085936_c03.png"),
        ("c50", "dog", "n02085936_c50.png"),
    ]
    study = made_study(tmp_path / "contrast", tmp_path / "out")
    study.save(7, {"trial": 2, "response": "dog", "rt": 1.0}, "")
    row = human_decisions(study.out, "contrast").iloc[0]
    assert row["condition"] == study.order(7)[1].condition and row["subj"] == "subject-07"


def test_the_miniatures_categories_get_icons_of_their_own(tmp_path):
    for shape in SHAPES:
        (tmp_path / "m" / shape).mkdir(parents=True)
        Image.new("RGB", (224, 224)).save(tmp_path / "m" / shape / f"{shape}1-{shape}1.png")
    study = made_study(tmp_path / "m", tmp_path / "out")
    assert sorted(study.categories) == sorted(SHAPES) and [len(c) for c in study.grid] == [4] * 4
    assert all("<svg" in icon(name) for name in (*SHAPES, *CATEGORIES))


def test_folders_that_cannot_be_shown_are_refused(tmp_path, conflicts):
    assert refusal(stimuli_in, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert refusal(stimuli_in, tmp_path / "empty")
    large = tmp_path / "large" / "cat"
    large.mkdir(parents=True)
    Image.new("RGB", (256, 256)).save(large / "cat1.png")
    assert "256 x 256" in refusal(stimuli_in, tmp_path / "large")
    (large / "cat1.png").write_bytes(b"no image")
    assert "cat1.png" in refusal(stimuli_in, tmp_path / "large")
    with pytest.raises(UserError, match="--name"):
        made_study(conflicts, tmp_path / "out", name="a/b")
    unknown = tmp_path / "unknown" / "mouse"
    unknown.mkdir(parents=True)
    Image.new("RGB", (224, 224)).save(unknown / "mouse1.png")
    with pytest.raises(UserError, match="--practice"):
        made_study(conflicts, tmp_path / "out", practice=tmp_path / "unknown")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("background", "grey"),
        ("background", 194),
        ("trials_per_block", 0),
        ("catch_rate", 0.6),
        ("degrees", float("nan")),
        ("click_to_start", 1),
        ("consent", None),
        ("milliseconds", {"fixation": 300}),
        ("milliseconds", 5),
        ("instructions", {"neutral": "text", "shape": [], "texture": []}),
        ("grid_columns", [["knife"] * 4] * 4),
        ("grid_columns", "knife"),
    ],
)
def test_impossible_settings_are_refused(conflicts, tmp_path, name, changed):
    settings = json.loads((lab.serve.HERE / "settings.json").read_text(encoding="utf-8"))
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({**settings, name: changed}), encoding="utf-8")
    assert name in refusal(made_study, conflicts, tmp_path / "out", path)
    path.write_text("[]", encoding="utf-8")
    assert "settings.json" in refusal(made_study, conflicts, tmp_path / "out", path)


def test_odd_names_are_written_so_that_they_are_read_again(tmp_path):
    names = [
        "bear #1 100%-cat2.PNG",
        "bär, 'größer'-cat3.png",
        'q"uote-cat4.jpeg',
        "a_b c-cat5.png",
    ]
    for name in names:
        draw(tmp_path / "odd" / "bear" / name, 1, (224, 224))
    study = made_study(tmp_path / "odd", tmp_path / "out")
    with served(study) as server:
        for trial in range(1, 5):
            assert sent(server, answer(trial, "bear"))[0] == 200
            url = f"{url_of(server)}/image/{server.identity}/{trial - 1}"
            assert asked(url)[0] == 200
    table = human_decisions(study.out, "odd")
    assert {*table["imagename"].str.split("_00_").str[1]} == {*names}


def test_pictures_that_tables_could_not_tell_apart_are_refused(tmp_path):
    for name in ("cat/photo_1.png", "dog/1.png"):
        draw(tmp_path / "photos" / name, 1, (224, 224))
    assert "1.png" in refusal(made_study, tmp_path / "photos", tmp_path / "out")


def test_a_name_under_which_tables_could_not_be_scored_is_refused(tmp_path):
    for condition in ("low", "c50"):
        draw(tmp_path / "contrast" / condition / "cat" / "cat1.png", 1, (224, 224))
    assert "--name" in refusal(made_study, tmp_path / "contrast", tmp_path / "out")
    made_study(tmp_path / "contrast", tmp_path / "out", name="levels")


def test_pixels_are_those_that_models_see(tmp_path):
    ramp = np.arange(224 * 224, dtype=np.uint16).reshape(224, 224)
    folder = tmp_path / "grey" / "cat"
    folder.mkdir(parents=True)
    Image.fromarray(ramp).save(folder / "cat1.png")  # 16 bits
    alpha = np.zeros((224, 224, 4), dtype=np.uint8)
    alpha[..., 1] = 77
    Image.fromarray(alpha).save(folder / "cat2.png")  # transparent throughout
    with served(made_study(tmp_path / "grey", tmp_path / "out")) as server:
        url = f"{url_of(server)}/image/{server.identity}"
        shown = [asked(f"{url}/{number}")[1] for number in range(2)]
    deep, green = (np.asarray(Image.open(io.BytesIO(png))) for png in shown)
    assert (deep == np.round(ramp / 257)[..., None]).all()
    assert (green == (0, 77, 0)).all()


def test_told_to_answer_the_texture_it_is_what_counts_as_right(conflicts, tmp_path):
    for condition in ("neutral", "shape", "texture"):
        study = made_study(conflicts, tmp_path / condition, condition=condition)
        first = next(s for s in study.stimuli if s.file == "bear2-bicycle3.png")
        expected = "bicycle" if condition == "texture" else "bear"
        assert first.right(study.instruction, study.categories) == expected


def test_masks_are_the_published_noise():
    masks = np.stack([mask(0, 1, trial) for trial in range(1, 61)]) / 255
    assert masks.mean() == pytest.approx(0.50, abs=0.03)
    assert masks.std() == pytest.approx(0.35, abs=0.01)
    assert np.isin(masks, (0, 1)).mean() == pytest.approx(0.31, abs=0.02)
    unclipped = np.stack([noise(np.random.default_rng(seed)) for seed in range(30)])
    power = (np.abs(np.fft.fft2(unclipped)) ** 2).mean(axis=0)
    frequency = np.hypot(np.fft.fftfreq(224)[:, None], np.fft.fftfreq(224))
    inside = (frequency > 0) & (frequency < 0.5)
    slope = np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.02)


def test_masks_can_be_made_again_and_differ_between_trials():
    assert (mask(5, 2, 9) == mask(5, 2, 9)).all()
    others = [mask(6, 2, 9), mask(5, 3, 9), mask(5, 2, 8)]
    assert all(abs(np.corrcoef(mask(5, 2, 9).flat, m.flat)[0, 1]) < 0.1 for m in others)


def test_shape_bias_of_what_was_written(server, study):
    for trial, stimulus in enumerate(study.order(1), start=1):
        texture = stimulus.right("texture", study.categories)
        by_shape = trial <= 14
        message = answer(trial, stimulus.category if by_shape else texture)
        assert sent(server, message)[0] == 200
    assert count_table(humans_of_one_set(study.out)).bias().value == pytest.approx(14 / 20)


MODEL = """
import torch

class Constant(torch.nn.Module):
    classes = CLASSES

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.arange(16.0))

    def forward(self, x):
        return self.bias + x.mean((1, 2, 3))[:, None] * self.bias

def constant(): return Constant()
"""


def test_the_scripts_read_the_tables_unchanged(conflicts, tmp_path, capsys):
    study = made_study(conflicts, tmp_path / "humans")
    for trial, stimulus in enumerate(study.order(1), start=1):
        study.save(1, {"trial": trial, "response": stimulus.category, "rt": 0.5}, "")
    model = tmp_path / "constant.py"
    model.write_text(MODEL.replace("CLASSES", repr(CATEGORIES)), encoding="utf-8")
    words = ["--model", f"{model}:constant", "--stimuli", str(conflicts), "--num_workers", "0"]
    words += ["--results", str(tmp_path / "r"), "--humans", str(study.out), "--device", "cpu"]
    assert eval_shape_bias.main(words) == 0, capsys.readouterr().err
    assert (tmp_path / "r" / "imagenet_shape_bias" / "shape_bias.png").exists()
