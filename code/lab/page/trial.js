// A trial as a jsPsych plugin: frame, picture, noise, icons. Its phases follow one another in one loop of
// animation frames; timestamps are of the frame in which a phase is drawn.
import { framesFor } from "/page/timing.js";

const { ParameterType } = jsPsychModule;
const BLANK = 1; // frames

export class PictureTrial {
  static info = {
    name: "picture-trial",
    version: "1.0.0",
    parameters: {
      picture: { type: ParameterType.OBJECT, default: undefined }, // an ImageBitmap, like the mask
      mask: { type: ParameterType.OBJECT, default: undefined },
      right: { type: ParameterType.STRING, default: undefined }, // the category
      feedback: { type: ParameterType.BOOL, default: false },
      screen: { type: ParameterType.OBJECT, default: undefined },
      interval: { type: ParameterType.FLOAT, default: undefined }, // milliseconds between frames
      milliseconds: { type: ParameterType.OBJECT, default: undefined },
      click_to_start: { type: ParameterType.BOOL, default: true },
      beep: { type: ParameterType.FUNCTION, default: () => {} },
    },
    data: {
      response: { type: ParameterType.STRING }, // the last category clicked, or null
      rt: { type: ParameterType.FLOAT }, // seconds from the icons' onset to that click, or null
      interrupted: { type: ParameterType.STRING }, // why the trial must be repeated, or null
      measured: { type: ParameterType.OBJECT },
    },
  };

  constructor(jsPsych) { this.jsPsych = jsPsych; }

  trial(display, { picture, mask, right, feedback, screen, interval, milliseconds, click_to_start, beep }) {
    const canvas = screen.canvas;
    const phases = [
      ...(click_to_start ? [["ready", Infinity, () => screen.frame(true)]] : []),
      ["fixation", framesFor(milliseconds.fixation, interval), () => screen.frame()],
      ["stimulus", framesFor(milliseconds.stimulus, interval), () => screen.picture(picture)],
      ["blank_1", BLANK, () => screen.clear()],
      ["mask", framesFor(milliseconds.mask, interval), () => screen.picture(mask)],
      ["blank_2", BLANK, () => screen.clear()],
      ["response", framesFor(milliseconds.response, interval), () => screen.responses()],
      ["feedback", framesFor(milliseconds.feedback, interval), () => screen.responses(right)],
      ["gap", framesFor(milliseconds.gap, interval), () => screen.frame()],
      ["end", 0, () => {}],
    ];
    const onsets = {}; // milliseconds, by phase
    const clicks = []; // [category, seconds from the icons' onset]
    let number = -1, started = false, over = false, dropped = 0;
    let at = [null, null], start = [null, null], path = 0;

    const [nameOf, lengthOf] = [() => phases[number]?.[0], () => phases[number][1]];
    const answer = () => clicks.at(-1) ?? [null, null];

    const enter = (time) => {
      const previous = nameOf();
      if (onsets[previous] !== undefined && lengthOf() !== Infinity) {
        const late = Math.abs(time - onsets[previous] - lengthOf() * interval);
        if (late > interval / 2) dropped = 1;
      }
      number += 1;
      const needed = feedback && answer()[0] !== right;
      if (nameOf() === "feedback" && !needed) number += 1;
      const name = nameOf();
      onsets[name] = time;
      phases[number][2]();
      canvas.style.cursor = ["ready", "response"].includes(name) ? "default" : "none";
      canvas.dataset.phase = name;
      if (name === "response") start = at;
      if (previous === "response" && answer()[0] === null) beep();
      if (name === "end") finish(null);
    };

    const step = (time) => {
      if (over) return;
      const elapsed = number < 0 ? Infinity : Math.round((time - onsets[nameOf()]) / interval);
      const clicked = nameOf() === "ready" && started;
      if (number < 0 || clicked || elapsed >= lengthOf()) enter(time);
      if (!over) requestAnimationFrame(step);
    };

    const press = (event) => {
      const place = screen.place(event);
      if (nameOf() === "ready") started ||= screen.inFrame(place);
      const category = screen.category(place);
      const seconds = (event.timeStamp - onsets.response) / 1000;
      if (nameOf() === "response" && category && seconds >= 0) clicks.push([category, seconds]);
    };
    const move = (event) => {
      const place = screen.place(event);
      if (nameOf() === "response") path += Math.hypot(place[0] - (at[0] ?? place[0]), place[1] - (at[1] ?? place[1]));
      at = place;
    };
    const menu = (event) => event.preventDefault(); // any button answers
    const wasFull = document.fullscreenElement !== null;
    const hidden = () => { if (document.hidden) finish("the page was hidden"); };
    const blurred = () => finish("another window was in front");
    const left = () => { if (wasFull && !document.fullscreenElement) finish("the full screen was left"); };
    const listeners = [
      [canvas, "pointerdown", press], [canvas, "contextmenu", menu], [window, "pointermove", move], [window, "blur", blurred],
      [document, "visibilitychange", hidden], [document, "fullscreenchange", left],
    ];

    const finish = (interrupted) => {
      if (over) return;
      over = true;
      delete canvas.dataset.phase;
      for (const [target, name, act] of listeners) target.removeEventListener(name, act);
      const [response, rt] = answer();
      const [first_response, first_rt] = clicks[0] ?? [null, null];
      const times = Object.fromEntries(Object.entries(onsets).map(([name, time]) => [`${name}_ms`, time]));
      const measured = {
        ...times, refresh_ms: interval, dropped, clicks: clicks.length, first_response, first_rt,
        cursor_x: start[0], cursor_y: start[1], cursor_path: path, fullscreen: Number(wasFull),
      };
      this.jsPsych.finishTrial({ response, rt, interrupted, measured });
    };

    for (const [target, name, act] of listeners) target.addEventListener(name, act);
    if (document.hidden) hidden();
    else requestAnimationFrame(step);
  }
}
