// Durations in frames of the screen that is really there: no refresh rate is taken for granted.

const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

// Returns the milliseconds between two frames: the mean over the intervals near the median one, since
// some browsers round timestamps to milliseconds; NaN if they are rounded to more than a frame.
export async function measureInterval(count = 150) {
  const times = [];
  while (times.length <= count) times.push(await nextFrame());
  const intervals = times.slice(1).map((time, k) => time - times[k]);
  const median = [...intervals].sort((a, b) => a - b)[count >> 1];
  const regular = intervals.filter((interval) => Math.abs(interval - median) < median / 4);
  return regular.reduce((sum, interval) => sum + interval, 0) / regular.length;
}

// Returns the least number of frames that last so long. A tenth of a frame is allowed for, so that an
// interval that was measured a little too short does not add one.
export const framesFor = (milliseconds, interval) => Math.max(1, Math.ceil(milliseconds / interval - 0.1));
