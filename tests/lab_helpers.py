"""The lab's experiment for tests: pictures, a server, and a browser with a subject."""

import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bvg.data.categories import CATEGORIES
from lab.serve import _parser, study_of
from lab.server import HERE, LIBRARIES, Server
from lab.tables import Study, check_protocol

TOKEN = "a window"
# The published places of the icons, in pixels from the grid's top left to the middle of each.
COLUMNS = ("knife airplane keyboard elephant", "bicycle clock oven chair")
COLUMNS += ("bear boat cat bottle", "truck car bird dog")
PLACES = {
    name: (139 * x + 64.5, 139 * y + 64.5)
    for x, column in enumerate(COLUMNS)
    for y, name in enumerate(column.split())
}


def draw_conflicts(folder: Path, count: int = 20) -> Path:
    """Return a folder of cue-conflict pictures, each of one colour with a gradient."""
    for number in range(count):
        shape, texture = CATEGORIES[number % 16], CATEGORIES[(number + 1 + number // 16) % 16]
        path = folder / shape / f"{shape}{number + 1}-{texture}{number + 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((224, 224, 3), dtype=np.uint8)
        pixels[:, :, 0] = np.arange(224)
        pixels[:, :, 1] = np.arange(224)[:, None]
        pixels[:, :, 2] = 10 * number
        Image.fromarray(pixels).save(path)
    return folder


def made_study(
    folder: Path, out: Path, settings: Path = HERE / "settings.json", **changes
) -> Study:
    """Return the study of a folder, as the command line would make it."""
    words = [str(folder), "--out", str(out), "--settings", str(settings)]
    words += [word for flag, value in changes.items() for word in (f"--{flag}", str(value))]
    out.mkdir(parents=True, exist_ok=True)
    return study_of(_parser().parse_args(words))


@contextmanager
def served(study: Study, port: int = 0) -> Iterator[Server]:
    """Yield a server of the study that listens inside the block."""
    server = Server(("127.0.0.1", port), study, check_protocol(study))
    accept, connections = server.get_request, []

    def get_request():
        connections.append(accept())
        return connections[-1]

    server.get_request = get_request
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for connection, _ in connections:  # which browsers keep, and a process that ends does not
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def process_serving(folder: Path, out: Path, *words: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """Yield the command's own process, which may be killed, and the address that it prints."""
    command = [sys.executable, str(HERE / "serve.py"), str(folder), "--out", str(out)]
    command += ["--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout
        try:
            yield process, next(line for line in process.stdout if "http" in line).split()[1]
        finally:
            process.kill()


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def asked(url: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    """Return the status and the body of an answer; a `body` that is no bytes is sent as JSON."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers} if data is not None else headers
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def sent(server: Server, trial: dict, **headers: str) -> tuple[int, bytes]:
    """Return the status and the body of the answer to a trial of the server's study."""
    message = {"study": server.identity, **trial}
    return asked(f"{url_of(server)}/trial", message, **headers)


def answer(trial: int, response: str | None = "cat", **changes: object) -> dict:
    """Return what the page sends of a trial."""
    rt = None if response is None else 0.5
    return {"subject": 1, "token": TOKEN, "trial": trial, "response": response, "rt": rt, **changes}


def needs_libraries() -> None:
    """Skip the test where jsPsych was not installed."""
    if not all(path.exists() for path in LIBRARIES.values()):
        pytest.skip("jsPsych is not here: npm ci --prefix code/lab (make test does, with npm)")


# A clock that the page cannot tell from the screen's, and a subject who clicks as told. `answers`:
# by trial, clicks as [milliseconds after the icons' onset, x, y] in pixels of the canvas.
# `late`: the animation frame, by number of response screens before it, that comes one frame late.
_SUBJECT = """
(() => {
  const interval = 1000 / RATE, channel = new MessageChannel();
  let now = 1000, due = [], id = 0;
  performance.now = () => now;
  Object.defineProperty(Event.prototype, "timeStamp", { get: () => now });
  window.requestAnimationFrame = (act) => {
    if (!due.length) channel.port2.postMessage(0);
    due.push(act);
    return ++id;
  };
  const subject = { answers: ANSWERS, shown: 0, hold: null, late: [] };
  window.subject = subject;
  const canvas = () => document.getElementById("screen");
  const click = (x, y) => {
    const box = canvas().getBoundingClientRect(), scale = box.width / 546;
    const place = { clientX: box.left + x * scale, clientY: box.top + y * scale, bubbles: true };
    canvas().dispatchEvent(new PointerEvent("pointermove", place));
    canvas().dispatchEvent(new PointerEvent("pointerdown", place));
  };
  let before = null, onset = 0, clicks = [];
  const look = () => {
    const phase = canvas().hidden ? null : canvas().dataset.phase;
    if (phase !== before && phase === "response") {
      onset = now;
      clicks = [...(subject.answers[subject.shown] ?? [])];
      subject.shown += 1;
    }
    if (phase === "ready") click(273, 273);
    while (phase === "response" && clicks.length && now - onset >= clicks[0][0]) {
      const [, x, y] = clicks.shift();
      click(x, y);
    }
    before = phase;
  };
  const frame = () => {
    if (subject.hold && canvas()?.dataset.phase === subject.hold && !canvas().hidden) {
      subject.held = true;
      setTimeout(frame, 5);
      return;
    }
    subject.held = false;
    const acts = due;
    due = [];
    const slow = canvas()?.dataset.phase === "stimulus" && subject.late.includes(subject.shown);
    if (slow) subject.late = subject.late.filter((number) => number !== subject.shown);
    now += slow ? 30 * interval : interval;
    for (const act of acts) act(now);
    if (canvas()) look();
  };
  channel.port1.onmessage = frame;
})();
"""


def seat_subject(driver, rate: float, answers: Sequence[Sequence] = ()) -> None:
    """Install the clock and the subject in all pages that the driver opens from now on."""
    script = _SUBJECT.replace("RATE", str(rate)).replace("ANSWERS", json.dumps(answers))
    installed = getattr(driver, "subject_script", None)
    if installed:
        driver.execute_cdp_cmd(
            "Page.removeScriptToEvaluateOnNewDocument", {"identifier": installed}
        )
    done = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    driver.subject_script = done["identifier"]


def until(driver, script: str, seconds: float = 20):
    """Wait until the script returns something true, and return it."""
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(driver, seconds, poll_frequency=0.03)
    return wait.until(lambda d: d.execute_script(f"return {script}"))


def press(driver) -> str:
    """Press the last button of the present page once it is there, and return the page's text."""
    from selenium.webdriver.common.by import By

    until(driver, "document.querySelector('.jspsych-content button:not([disabled])')")
    text = driver.find_element(By.CSS_SELECTOR, ".jspsych-content").text
    driver.find_elements(By.CSS_SELECTOR, ".jspsych-content button:not([disabled])")[-1].click()
    return text


def begin(driver, server: Server | str, subject: int = 1, practise: bool = False) -> list[str]:
    """Begin a session up to the first block's page, and return the texts of the pages before it.

    server: or its address.
    """
    driver.get(server if isinstance(server, str) else url_of(server))
    until(driver, "document.querySelector('form').subject")
    driver.execute_script(
        "const form = document.querySelector('form'); form.subject.value = arguments[0];"
        "form.practise.checked = arguments[1]; form.measure.checked = false; form.requestSubmit();",
        subject,
        practise,
    )
    texts = []
    for _ in range(4):  # full screen, sizes, two pages of instructions
        texts.append(press(driver))
    return texts
