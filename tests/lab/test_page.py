"""The lab's page in headless Chromium, with a clock of our own and a subject who clicks as told."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from browser import chromium, complaints
from bvg.data.categories import CATEGORIES
from bvg.scores.decision_table import read_decisions
from bvg.scores.humans import humans_of_one_set
from bvg.scores.shape_bias import count_table
from conftest import draw
from lab.mask import mask
from lab.server import HERE
from lab_helpers import (
    PLACES,
    asked,
    begin,
    draw_conflicts,
    made_study,
    needs_libraries,
    press,
    process_serving,
    seat_subject,
    served,
    until,
    url_of,
)

PAGE = "document.querySelector('.jspsych-content button:not([disabled])')"
FINISHED = "document.documentElement.dataset.finished"


@pytest.fixture(scope="module")
def conflicts(tmp_path_factory):
    return draw_conflicts(tmp_path_factory.mktemp("lab") / "cue-conflict")


@pytest.fixture(scope="module")
def driver():
    needs_libraries()
    with chromium() as driver:
        yield driver


@pytest.fixture(autouse=True)
def no_complaints(request, driver):
    complaints(driver)
    yield
    expected = "net::ERR_CONNECTION_REFUSED", "status of 507", "status of 40"
    said = [line for line in complaints(driver) if not any(word in line for word in expected)]
    assert said == []


def click(category: str, milliseconds: float = 400) -> list:
    return [milliseconds, *PLACES[category]]


def settings_with(folder, **changes):
    settings = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
    path = folder / "settings.json"
    path.write_text(json.dumps({**settings, **changes}), encoding="utf-8")
    return path


def finish(driver) -> str:
    """Press through what is left of a session, and return the last page's text."""
    while not driver.execute_script(f"return {FINISHED}"):
        until(driver, f"{PAGE} || {FINISHED}")
        if driver.execute_script(f"return Boolean({PAGE})"):
            press(driver)
    return driver.find_element("css selector", ".jspsych-content").text


def pixels_of(driver) -> np.ndarray:
    """Return the canvas, (H, W, 3) uint8."""
    url = driver.execute_script("return document.getElementById('screen').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def hold(driver, phase: str | None) -> None:
    """Let the clock go on, up to the next phase of this name."""
    driver.execute_script("subject.hold = arguments[0]; subject.held = false", phase)
    if phase:
        until(driver, "subject.held")


def press_and_hold(driver, phase: str) -> str:
    """Press the page's button, stop the clock at the phase, and return the page's text."""
    driver.execute_script("subject.hold = arguments[0]; subject.held = false", phase)
    text = press(driver)
    until(driver, "subject.held")
    return text


def test_a_whole_session_gives_the_shape_bias_as_clicked(driver, conflicts, tmp_path):
    study = made_study(conflicts, tmp_path / "out")
    order = study.order(1)
    by_shape = [number < 13 for number in range(20)]
    clicked = [
        stimulus.right("shape" if shape else "texture", study.categories)
        for stimulus, shape in zip(order, by_shape, strict=True)
    ]
    practice = [[click("knife")]] * 16
    seat_subject(driver, 60, [*practice, *([click(category, 500)] for category in clicked)])
    with served(study) as server:
        texts = begin(driver, server, practise=True)
        assert "guess" in " ".join(texts) and "elephant" in texts[-1]
        for _ in range(2):
            press(driver)  # the practice begins, and is over
        assert "Thank you" in finish(driver)
    table = humans_of_one_set(study.out)
    assert [*table["object_response"]] == clicked
    assert [*table["category"]] == [stimulus.category for stimulus in order]
    assert table["rt"].astype(float).between(0.5, 0.5 + 2 / 60).all()
    assert count_table(table).bias().value == pytest.approx(13 / 20)
    timing = pd.read_csv(study.timing_table(1), sep="\t")
    assert not timing["dropped"].any() and (timing["clicks"] == 1).all()
    assert (timing[["cursor_x", "cursor_y"]] == 0).all(axis=None)


@pytest.mark.parametrize(
    ("rate", "frames"),
    [
        (60, (18, 12, 1, 12, 1, 90, 18)),
        (75, (23, 15, 1, 15, 1, 113, 23)),
        (120, (36, 24, 1, 24, 1, 180, 36)),
        (144, (44, 29, 1, 29, 1, 216, 44)),
    ],
)
def test_phases_last_whole_frames_of_any_screen(driver, conflicts, tmp_path, rate, frames):
    study = made_study(conflicts, tmp_path / "out", trials=3)
    seat_subject(driver, rate, [[click("cat")]] * 3)
    with served(study) as server:
        begin(driver, server)
        driver.execute_script("subject.late = [1]")  # one frame of the second trial
        finish(driver)
    timing = pd.read_csv(study.timing_table(1), sep="\t")
    phases = ["fixation", "stimulus", "blank_1", "mask", "blank_2", "response", "gap", "end"]
    lasted = timing[[f"{phase}_ms" for phase in phases]].diff(axis=1).iloc[:, 1:] * rate / 1000
    assert timing["refresh_ms"].tolist() == pytest.approx([1000 / rate] * 3, rel=1e-6)
    assert [*timing["dropped"]] == [0, 1, 0]
    for trial in (0, 2):
        assert lasted.iloc[trial].tolist() == pytest.approx(frames, abs=1e-3)
    assert lasted.iloc[1, 1] >= 30


def test_answers_that_change_or_are_missing(driver, conflicts, tmp_path):
    answers = [
        [click("cat", 300), click("dog", 900)],  # the last one counts
        [],  # none
        [[400, 134, 64]],  # between two icons
        [click("truck", 1480), click("knife", 1520)],  # the second one is too late
        [[200, 0.5, 0.5], [300, 545, 545]],  # the corners of knife and dog
    ]
    study = made_study(conflicts, tmp_path / "out", trials=5)
    seat_subject(driver, 60, answers)
    with served(study) as server:
        begin(driver, server)
        press(driver)
        until(driver, PAGE)
        assert "Please click on an icon in every trial" in press(driver)
        finish(driver)
    table = read_decisions(study.table(1))
    assert [*table["object_response"]] == ["dog", "na", "na", "truck", "dog"]
    rt = table["rt"].astype(float)
    assert rt[0] == pytest.approx(0.9, abs=0.02) and rt.isna().tolist() == [
        False,
        True,
        True,
        False,
        False,
    ]
    timing = pd.read_csv(study.timing_table(1), sep="\t")
    assert [*timing["clicks"]] == [2, 0, 0, 1, 2]
    assert timing["first_response"].fillna("").tolist() == ["cat", "", "", "truck", "knife"]
    assert timing["first_rt"][0] == pytest.approx(0.3, abs=0.02)


INTERRUPTIONS = {
    "hidden": "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});"
    "document.dispatchEvent(new Event('visibilitychange')); delete document.hidden",
    "in front": "window.dispatchEvent(new Event('blur'))",
    "full screen": "document.exitFullscreen()",
}


def test_interrupted_trials_are_repeated_later(driver, conflicts, tmp_path):
    study = made_study(conflicts, tmp_path / "out", trials=4)
    names = ["cat", "dog", "bird", "oven", "car", "boat", "truck"]
    seat_subject(driver, 60, [[click(name)] for name in names])
    with served(study) as server:
        begin(driver, server)
        for reason, script in INTERRUPTIONS.items():
            press_and_hold(driver, "response")
            driver.execute_script(script)
            until(driver, f"document.body.innerText.includes('{reason}')")
        press(driver)
        driver.execute_script("subject.hold = null")
        press(driver)  # back to the full screen
        assert until(driver, "document.fullscreenElement")
        finish(driver)
    timing = pd.read_csv(study.timing_table(1), sep="\t")
    assert [*timing["repeats"]] == [1, 1, 1, 0]
    table = read_decisions(study.table(1))
    # Trial 4 came first after three interruptions.
    assert [*table["object_response"]] == [*names[4:], names[3]]
    assert [*table["trial"]] == [1, 2, 3, 4]


def test_a_reload_within_a_block_resumes_after_the_last_trial(driver, conflicts, tmp_path):
    settings = settings_with(tmp_path, trials_per_block=6)
    study = made_study(conflicts, tmp_path / "out", settings, trials=10)
    order = study.order(1)
    seat_subject(driver, 60, [[click(stimulus.category)] for stimulus in order])
    with served(study) as server:
        begin(driver, server)
        press_and_hold(driver, "stimulus")
        for phase in 4 * ["gap", "stimulus"]:  # up to the fifth picture
            hold(driver, phase)
        seat_subject(driver, 60, [[click(stimulus.category)] for stimulus in order[4:]])
        begin(driver, server)
        assert "2 trials" in press(driver)
        finish(driver)
    table = read_decisions(study.table(1))
    assert [*table["trial"]] == [*range(1, 11)]
    assert (table["object_response"] == table["category"]).all()


def test_catch_trials_are_shown_and_count_for_nothing(driver, conflicts, tmp_path):
    for number, category in enumerate(CATEGORIES):
        draw(tmp_path / "photos" / category / f"{category}1.png", number, (224, 224))
    settings = settings_with(tmp_path, trials_per_block=5, catch_rate=0.2)
    changes = {"trials": 10, "catch": tmp_path / "photos"}
    study = made_study(conflicts, tmp_path / "out", settings, **changes)
    order = study.order(1)
    right = [not one.is_catch for one in order]  # all pictures, but no catch trial
    answers = [[click(s.category)] if r else [] for s, r in zip(order, right, strict=True)]
    seat_subject(driver, 60, answers)
    with served(study) as server:
        begin(driver, server)
        texts = [press_and_hold(driver, "stimulus")]
        middle = pixels_of(driver)[161:385, 161:385]
        with Image.open(order[0].path) as image:
            assert (middle == np.asarray(image)).all()
        hold(driver, None)
        for _ in range(3):  # over, block 2, over
            texts.append(press(driver))
        finish(driver)
    assert "of 2, 6 trials" in texts[0] and "of 2, 6 trials" in texts[2]
    assert all("Correct: 100 %; without an answer: 0 %" in text for text in (texts[1], texts[3]))
    assert "break" in texts[1] and "break" not in texts[3]
    table = read_decisions(study.table(1))
    assert (table["object_response"] == table["category"]).all() and len(table) == 10
    assert study.catch_score(1) == ["subject-01", "2", "0", "2", "0.0"]


def test_a_form_that_is_sent_twice_begins_one_session(driver, conflicts, tmp_path):
    study = made_study(conflicts, tmp_path / "out", trials=2)
    seat_subject(driver, 60, [[click("cat")]] * 2)
    with served(study) as server:
        driver.get(url_of(server))
        until(driver, "document.querySelector('form').subject")
        driver.execute_script(
            "const form = document.querySelector('form'); form.subject.value = 1;"
            "form.practise.checked = form.measure.checked = false;"
            "form.requestSubmit(); form.requestSubmit()"
        )
        assert "saved" in finish(driver)
    assert [*read_decisions(study.table(1))["trial"]] == [1, 2]


def test_a_window_of_another_study_neither_shows_nor_writes_anything(driver, conflicts, tmp_path):
    study = made_study(conflicts, tmp_path / "out", trials=3)
    other = made_study(draw_conflicts(tmp_path / "edge"), tmp_path / "other")
    seat_subject(driver, 60, [[click("cat")]] * 3)
    with served(study) as server:
        begin(driver, server)
        port = server.server_port
    driver.execute_script("subject.hold = 'gap'")
    with served(other, port):
        press(driver)
        until(driver, "document.body.innerText.includes('could not be loaded')")
    with served(study, port):
        until(driver, "subject.held")
    with served(other, port):
        hold(driver, None)
        until(driver, PAGE)
        press(driver)
        until(driver, "document.body.innerText.includes('another experiment')")
    with served(study, port):
        assert "All trials are saved" in until(
            driver, f"{FINISHED} && document.querySelector('.jspsych-content').innerText"
        )
    assert [*read_decisions(study.table(1))["trial"]] == [1, 2, 3]
    assert not other.table(1).exists()


def test_the_server_dies_and_the_disk_is_full_and_no_trial_is_lost(
    driver, conflicts, tmp_path, monkeypatch
):
    study = made_study(conflicts, tmp_path / "out", trials=9)
    order = study.order(1)
    seat_subject(driver, 60, [[click(stimulus.category)] for stimulus in order])
    with process_serving(conflicts, study.out, "--trials", "9") as (process, url):
        begin(driver, url)
        press_and_hold(driver, "gap")
        for phase in ("stimulus", "gap"):  # of the second trial
            hold(driver, phase)
        process.kill()
    hold(driver, None)
    until(driver, PAGE)
    assert "not yet saved" in press(driver)
    until(driver, "document.body.innerText.includes('Thank you')")
    assert not driver.execute_script(f"return {FINISHED}")
    assert [*read_decisions(study.table(1))["trial"]] == [1]
    # The window is closed before the server is back; the next one brings the trials.
    driver.get("about:blank")
    again = made_study(conflicts, study.out, trials=9)

    def full(*_):
        raise OSError(28, "No space left on device")

    port = int(url.strip("/").rpartition(":")[2])  # what waits belongs to this address
    with served(again, port) as server, monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        driver.get(url_of(server))
        until(driver, "document.querySelector('form').subject")
        driver.execute_script(
            "const form = document.querySelector('form');"
            "form.subject.value = 1; form.requestSubmit()"
        )
        assert "disk" in until(driver, "document.querySelector('.problem').textContent")
        patched.undo()
        driver.execute_script("document.querySelector('form').requestSubmit()")
        assert "All trials are saved" in finish(driver)
    table = read_decisions(study.table(1))
    assert [*table["trial"]] == [*range(1, 10)]
    assert (table["object_response"] == table["category"]).all()


def test_two_subjects_at_once_and_one_subject_twice(driver, conflicts, tmp_path):
    study = made_study(conflicts, tmp_path / "out", trials=4)
    seat_subject(driver, 60, [[click("cat")]] * 4)
    with served(study) as server, chromium() as other:
        seat_subject(other, 144, [[click("dog")]] * 8)
        for window, subject in ((driver, 1), (other, 2)):
            begin(window, server, subject)
            press(window)
        for window in (driver, other):
            finish(window)
        begin(other, server, 3)
        press_and_hold(other, "fixation")
        asked(f"{url_of(server)}/begin", {"subject": 3, "token": "another window"})
        hold(other, None)
        until(other, "document.body.innerText.includes('another window')")
    assert {*read_decisions(study.table(1))["object_response"]} == {"cat"}
    assert {*read_decisions(study.table(2))["object_response"]} == {"dog"}
    assert len(read_decisions(study.table(1))) == len(read_decisions(study.table(2))) == 4
    assert not study.table(3).exists()


@pytest.mark.parametrize("ratio", [1, 2])
def test_every_pixel_is_where_the_experiment_had_it(driver, conflicts, tmp_path, ratio):
    study = made_study(conflicts, tmp_path / "out", trials=2)
    screen = {"width": 1440, "height": 900, "deviceScaleFactor": ratio, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    seat_subject(driver, 60, [[click("cat")]] * 2)
    seen = {}
    with served(study) as server:
        begin(driver, server)
        press_and_hold(driver, "fixation")
        for phase in ("fixation", "stimulus", "blank_1", "mask", "blank_2", "response"):
            if phase != "fixation":
                hold(driver, phase)
            whole = pixels_of(driver)
            assert whole.shape == (546 * ratio, 546 * ratio, 3)
            seen[phase] = whole[::ratio, ::ratio]
            assert (np.repeat(np.repeat(seen[phase], ratio, 0), ratio, 1) == whole).all() or (
                phase == "response"  # drawings are as fine as the screen
            )
        box = driver.execute_script(
            "return document.getElementById('screen').getBoundingClientRect().toJSON()"
        )
        hold(driver, None)
        finish(driver)
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**screen, "deviceScaleFactor": 1})
    assert (box["x"], box["y"], box["width"]) == (447, 177, 546)
    grey = np.full((546, 546, 3), 194)
    middle = slice(161, 385)
    expected = {"blank_1": grey, "blank_2": grey}
    frame = grey.copy()
    frame[158:388, 158:388] = 255
    frame[160:386, 160:386] = 194
    expected["fixation"] = frame
    expected["stimulus"], expected["mask"] = grey.copy(), grey.copy()
    with Image.open(study.order(1)[0].path) as image:
        expected["stimulus"][middle, middle] = np.asarray(image)
    expected["mask"][middle, middle] = mask(0, 1, 1)[..., None]
    for phase, image in expected.items():
        assert (seen[phase] == image).all(), phase
    icons, boxes = seen["response"], np.zeros((546, 546), dtype=bool)
    for x, y in PLACES.values():
        left, top = int(x - 64.5), int(y - 64.5)
        boxes[top : top + 129, left : left + 129] = True
        inside = icons[top : top + 129, left : left + 129]
        assert (inside[0] == 255).all() and (inside[:, -1] == 255).all()
        assert 0.05 < (inside == 0).mean() < 0.5  # a black drawing
    assert (icons[~boxes] == 194).all()
    assert len(
        {
            icons[int(y) - 60 : int(y) + 60, int(x) - 60 : int(x) + 60].tobytes()
            for x, y in PLACES.values()
        }
    ) == len(CATEGORIES)
