// The session: setting up, instructions, practice, blocks of trials, all of it resumable.
import { Outbox, post } from "/page/saving.js";
import { Screen, distanceFor } from "/page/screen.js";
import { measureInterval } from "/page/timing.js";
import { PictureTrial } from "/page/trial.js";

const CARD_MM = 85.6; // the width of a bank card (ISO/IEC 7810 ID-1)
const RETRY = 3000; // milliseconds
const BEEP = { hertz: 200, seconds: 0.15, gain: 0.2 };
const SCREEN_KEY = "lab px per cm";

const byId = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const percent = (share) => `${(100 * share).toFixed(0)} %`;
const paragraph = (text) => `<p class="text">${text}</p>`;

async function load(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} could not be loaded`);
  return response.blob();
}

// Returns a drawing that scales without loss; pictures of practice are drawings as well.
async function drawing(url) {
  const image = new Image();
  image.src = URL.createObjectURL(await load(url));
  await image.decode();
  return image;
}

async function onWhite(url) {
  const image = await drawing(url);
  const canvas = new OffscreenCanvas(224, 224);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, 224, 224);
  context.drawImage(image, 0, 0, 224, 224);
  return canvas.transferToImageBitmap();
}

const picture = async (url) => url.startsWith("/icon/") ? onWhite(url) : createImageBitmap(await load(url));

function beep() {
  beep.context ??= new AudioContext();
  const { context } = beep, tone = context.createOscillator(), volume = context.createGain();
  tone.frequency.value = BEEP.hertz;
  volume.gain.value = BEEP.gain;
  tone.connect(volume).connect(context.destination);
  tone.start();
  tone.stop(context.currentTime + BEEP.seconds);
}

function legend(grid) {
  const figures = grid.flat().map((name) =>
    `<figure><img src="/icon/${name}" alt=""><figcaption>${name}</figcaption></figure>`).join("");
  const rows = Math.max(...grid.map((column) => column.length));
  return `<div class="legend" style="grid-template-rows: repeat(${rows}, auto)">${figures}</div>`;
}

class Session {
  constructor(plan, identity, practise, measure) {
    Object.assign(this, { plan, identity, practise, measure });
    this.outbox = new Outbox(plan.id, identity);
    this.jsPsych = initJsPsych();
  }

  async run() {
    await this.outbox.send(); // what an earlier session has left here
    if (this.outbox.problem) throw new Error(this.outbox.problem);
    this.plan = await post("/begin", this.identity); // which knows these trials now
    const { grid, settings } = this.plan;
    const names = grid.flat();
    const icons = await Promise.all(names.map((name) => drawing(`/icon/${name}`)));
    const byName = Object.fromEntries(names.map((name, k) => [name, icons[k]]));
    this.screen = new Screen(byId("screen"), grid, byName, settings);
    byId("experimenter").hidden = true;
    const retrying = setInterval(() => this.outbox.send(), RETRY);
    await this.jsPsych.run(this.timeline());
    while (this.outbox.waiting.length && !this.outbox.lost) {
      this.jsPsych.getDisplayElement().innerHTML = this.ending();
      await pause(RETRY / 3);
    }
    clearInterval(retrying);
    this.jsPsych.getDisplayElement().innerHTML = this.ending();
    document.documentElement.dataset.finished = "yes";
  }

  ending() {
    if (this.outbox.lost) return paragraph(`This window has stopped: ${this.outbox.problem}.`);
    const thanks = paragraph("<b>This part is over. Thank you!</b>");
    return thanks + (this.saving() || paragraph("All trials are saved. You can close this window."));
  }

  // What subjects are told where the server has not written all trials yet.
  saving() {
    const { waiting, problem } = this.outbox;
    if (!problem) return "";
    return paragraph(`<span class="problem">Please call the experimenter: ${waiting.length} trial(s) are kept in this
      browser and not yet saved, because ${problem}. They are sent again every few seconds.</span>`);
  }

  page(html, choice) {
    return { type: jsPsychHtmlButtonResponse, stimulus: html, choices: [choice] };
  }

  timeline() {
    const { settings, trials, done, practice } = this.plan;
    const finished = new Set(done);
    const remaining = trials.filter(({ trial }) => !finished.has(trial));
    const blocks = [...new Set(remaining.map(({ block }) => block))];
    const count = trials.at(-1).block + 1;
    if (!blocks.length) return [this.fullscreen(false)];
    const part = practice.slice(0, settings.practice_trials).map((one, k) => ({ ...one, trial: k + 1 }));
    return [
      this.fullscreen(true),
      ...this.sizes(),
      ...(settings.consent ? [this.page(settings.consent, "I agree")] : []),
      this.instructions(),
      ...(this.practise ? this.block(part, "Practice", true) : []),
      ...blocks.flatMap((number) => this.block(
        remaining.filter(({ block }) => block === number), `Block ${number + 1} of ${count}`, false, number + 1 < count)),
      this.fullscreen(false),
    ];
  }

  fullscreen(enter) {
    const message = paragraph("The experiment fills the whole screen. Please leave it only in the pauses.");
    return { type: jsPsychFullscreen, fullscreen_mode: enter, message, button_label: "Continue", delay_after: 200 };
  }

  // The size of the screen's pixels by a bank card, and the distance for the right angle.
  sizes() {
    const card = {
      type: jsPsychVirtualChinrest, blindspot_reps: 0, item_width_mm: CARD_MM,
      adjustment_prompt: paragraph("Hold a bank card against the screen and drag the red corner until the grey box is as large as the card (85.6 mm wide)."),
      adjustment_button_prompt: "It has the card's size",
      on_finish: (data) => localStorage.setItem(SCREEN_KEY, (10 * data.item_width_px) / CARD_MM),
    };
    const told = () => {
      const { cm, degrees, distance_cm, fits, device_pixel_ratio: ratio } = this.fit();
      const wanted = this.plan.settings.degrees;
      const angle = cm === null
        ? "The screen has not been measured: the size of the pictures is not recorded."
        : `At ${distance_cm} cm from the eyes, a picture (${cm.toFixed(1)} cm) has ${degrees.toFixed(2)}°. For
          ${wanted.toFixed(1)}° the eyes have to be <b>${distanceFor(cm, wanted).toFixed(0)} cm</b> away.`;
      const warnings = [
        ...(fits ? [] : ["The window is too small for the sixteen icons: enlarge it, or choose a higher resolution."]),
        ...(Number.isInteger(ratio) ? [] : ["The browser's zoom, or the system's scaling, is not a whole number: set it to 100 %."]),
      ];
      return paragraph("For the experimenter") + paragraph(angle)
        + warnings.map((text) => paragraph(`<span class="problem">${text}</span>`)).join("");
    };
    return [...(this.measure ? [card] : []), this.page(told, "Continue")];
  }

  fit() {
    const measured = Number(localStorage.getItem(SCREEN_KEY)) || null;
    this.geometry = this.screen.fit(measured, this.plan.distance_cm);
    return this.geometry;
  }

  instructions() {
    const { texts, grid, settings } = this.plan;
    const start = settings.click_to_start ? "To start each trial, click on the white dot in the frame. Keep looking there." : "";
    return {
      type: jsPsychInstructions, show_clickable_nav: true, allow_keys: false,
      pages: [
        texts.map(paragraph).join("") + paragraph(start),
        paragraph("These are the categories. The icons always have the same places.") + legend(grid),
      ],
    };
  }

  block(trials, title, practice, more = true) {
    const queue = [...trials];
    const tally = { shown: 0, right: 0, missed: 0 };
    const repeats = {};
    let interrupted = null;
    const { settings } = this.plan;
    const trial = {
      type: PictureTrial,
      picture: () => queue[0].bitmap,
      mask: () => queue[0].noise,
      right: () => queue[0].right,
      feedback: practice,
      screen: () => this.screen,
      interval: () => this.interval,
      milliseconds: () => settings.milliseconds,
      click_to_start: settings.click_to_start,
      beep,
      on_start: () => { byId("screen").hidden = false; },
      on_finish: (data) => {
        const one = queue.shift();
        interrupted = data.interrupted;
        if (interrupted) {
          repeats[one.trial] = (repeats[one.trial] ?? 0) + 1;
          queue.push(one);
        } else {
          if (!one.catch) {
            tally.shown += 1;
            tally.right += Number(data.response === one.right);
            tally.missed += Number(data.response === null);
          }
          const { response, rt, measured } = data;
          const record = { trial: one.trial, response, rt, repeats: repeats[one.trial] ?? 0, ...this.geometry, ...measured };
          if (!practice) this.outbox.add(record);
        }
        if (interrupted || !queue.length || this.outbox.lost) byId("screen").hidden = true;
        if (this.outbox.lost) this.jsPsych.abortExperiment(this.ending());
      },
    };
    const stopped = {
      timeline: [this.page(() => paragraph(`The experiment was interrupted: ${interrupted}. This trial is repeated later.`), "Continue")],
      conditional_function: () => interrupted !== null,
    };
    const returned = { // to the full screen, if the subject had left it
      timeline: [this.fullscreen(true)],
      conditional_function: () => interrupted !== null && !document.fullscreenElement,
    };
    return [
      this.page(paragraph(`<b>${title}</b>, ${trials.length} trials`) + (practice ? paragraph("If your answer is wrong, the right icon is shown in grey.") : ""), "Start"),
      { type: jsPsychCallFunction, async: true, func: (ready) => this.prepare(trials, practice).then(ready) },
      { timeline: [stopped, returned, trial], loop_function: () => queue.length > 0 },
      this.page(() => { release(trials); return this.summary(title, tally, more); }, "Continue"),
    ];
  }

  // Decodes the block's pictures and masks, and measures the screen's rate; waits for the server if it
  // does not answer.
  async prepare(trials, practice) {
    const display = this.jsPsych.getDisplayElement();
    display.innerHTML = paragraph("One moment …");
    for (const one of trials) {
      const number = practice ? this.plan.trials.length + one.trial : one.trial; // other noise
      while (!one.noise) {
        try {
          one.bitmap ??= await picture(one.url);
          one.noise = await createImageBitmap(await load(`/mask/${this.plan.id}/${this.identity.subject}/${number}`));
        } catch {
          display.innerHTML = paragraph(`<span class="problem">A picture could not be loaded. Please call the experimenter, who may have to start the server again.</span>`);
          await pause(RETRY);
        }
      }
    }
    while (!this.fit().fits) {
      display.innerHTML = paragraph(`<span class="problem">The window is too small for the icons: enlarge it.</span>`);
      await pause(RETRY / 3);
    }
    display.innerHTML = "";
    while (!((this.interval = await measureInterval()) > 0)) {
      display.innerHTML = paragraph(`<span class="problem">This browser hides the times of its frames, so that nothing can be timed. Please call the experimenter: Chrome, Edge or Firefox with default settings is needed.</span>`);
      await pause(RETRY / 3);
    }
  }

  summary(title, { shown, right, missed }, more) {
    const admonition = missed / shown > this.plan.settings.missed_share_to_admonish
      ? paragraph("Please click on an icon in every trial, even if you have to guess.") : "";
    const shares = shown ? ` Correct: ${percent(right / shown)}; without an answer: ${percent(missed / shown)}.` : "";
    return paragraph(`<b>${title}</b> is over.${shares}`)
      + admonition + this.saving() + (more ? paragraph("Take a break, as long as you like.") : "");
  }
}

function release(trials) {
  for (const one of trials) {
    one.bitmap.close();
    one.noise.close();
  }
}

document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, problem = form.querySelector(".problem"), button = form.querySelector("button");
  if (button.disabled) return; // a second click, or a key that is held
  button.disabled = true;
  const token = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const identity = { subject: form.subject.valueAsNumber, token };
  problem.textContent = "";
  try {
    const plan = await post("/begin", identity);
    await new Session(plan, identity, form.practise.checked, form.measure.checked).run();
  } catch (error) {
    problem.textContent = `${error.message}.`;
    byId("experimenter").hidden = false;
  } finally {
    button.disabled = false;
  }
});
