// What subjects see in a trial: one canvas, in units of the pictures' own pixels, of which each is a
// whole number of the screen's pixels wide.

const ICON = 129, GAP = 10, FRAME = 230, PICTURE = 224, LINE = 2, DOT = 8;
const PITCH = ICON + GAP;
const grey = (share) => { const level = Math.round(255 * share); return `rgb(${level}, ${level}, ${level})`; };

export class Screen {
  // grid: the categories, column by column. icons: an image of each.
  constructor(canvas, grid, icons, settings) {
    Object.assign(this, { canvas, grid, icons, settings });
    const [columns, rows] = [grid.length, Math.max(...grid.map((column) => column.length))];
    this.side = Math.max(PICTURE, FRAME, Math.max(columns, rows) * PITCH - GAP);
    this.corner = [columns, rows].map((count) => (this.side - (count * PITCH - GAP)) / 2); // of the icons
    this.context = canvas.getContext("2d", { alpha: false });
  }

  // Chooses the size, and returns it for the record. pxPerCm: CSS pixels, or null if not measured.
  fit(pxPerCm, distance) {
    const ratio = window.devicePixelRatio;
    const wanted = pxPerCm ? (angleToCm(this.settings.degrees, distance) * pxPerCm * ratio) / PICTURE : 1;
    const room = Math.floor((Math.min(window.innerWidth, window.innerHeight) * ratio) / this.side);
    const least = Math.ceil(ratio - 0.01); // never less than one CSS pixel for a pixel of the picture
    this.zoom = Math.max(least, Math.min(Math.round(wanted), room));
    const css = (this.zoom * this.side) / ratio;
    const corner = (length) => Math.round(((length - css) / 2) * ratio) / ratio;
    this.canvas.width = this.canvas.height = this.zoom * this.side;
    Object.assign(this.canvas.style, {
      width: `${css}px`, height: `${css}px`, left: `${corner(window.innerWidth)}px`, top: `${corner(window.innerHeight)}px`,
    });
    this.context.imageSmoothingEnabled = false;
    this.context.setTransform(this.zoom, 0, 0, this.zoom, 0, 0);
    const cm = pxPerCm ? (this.zoom * PICTURE) / ratio / pxPerCm : null;
    return {
      fits: room >= this.zoom, cm,
      device_px: this.zoom, device_pixel_ratio: ratio, px_per_cm: pxPerCm, distance_cm: distance,
      degrees: cm && cmToAngle(cm, distance),
      window_width: window.innerWidth, window_height: window.innerHeight,
      screen_width: window.screen.width, screen_height: window.screen.height,
    };
  }

  // Returns where a pointer is: pixels of the picture from the centre, to the right and down.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.side / box.width;
    return [(event.clientX - box.left) * scale - this.side / 2, (event.clientY - box.top) * scale - this.side / 2];
  }

  inFrame([x, y]) { return Math.max(Math.abs(x), Math.abs(y)) <= FRAME / 2; }

  // Returns the category whose icon is there, if any.
  category([x, y]) {
    const [a, b] = [x, y].map((value, k) => value + this.side / 2 - this.corner[k]);
    const [column, row] = [a, b].map((value) => Math.floor(value / PITCH));
    const inside = a - column * PITCH < ICON && b - row * PITCH < ICON;
    return inside ? this.grid[column]?.[row] : undefined;
  }

  clear() {
    this.context.fillStyle = grey(this.settings.background);
    this.context.fillRect(0, 0, this.side, this.side);
  }

  // The outline of a square around the picture's place; with a dot, it waits for a click.
  frame(dot = false) {
    this.clear();
    const corner = (this.side - FRAME) / 2;
    this.context.strokeStyle = this.context.fillStyle = "white";
    this.context.lineWidth = LINE;
    this.context.strokeRect(corner + LINE / 2, corner + LINE / 2, FRAME - LINE, FRAME - LINE);
    if (dot) this.context.fillRect((this.side - DOT) / 2, (this.side - DOT) / 2, DOT, DOT);
  }

  picture(bitmap) {
    this.clear();
    const corner = (this.side - PICTURE) / 2;
    this.context.drawImage(bitmap, corner, corner, PICTURE, PICTURE);
  }

  // The icons; the box of `right`, if given, is filled with grey.
  responses(right) {
    this.clear();
    this.grid.forEach((column, x) => column.forEach((category, y) => {
      const [left, top] = [this.corner[0] + x * PITCH, this.corner[1] + y * PITCH];
      this.context.fillStyle = category === right ? grey(this.settings.feedback_grey) : "white";
      this.context.fillRect(left, top, ICON, ICON);
      this.context.drawImage(this.icons[category], left, top, ICON, ICON);
    }));
  }
}

export const angleToCm = (degrees, distance) => 2 * distance * Math.tan((degrees / 2) * (Math.PI / 180));
export const cmToAngle = (cm, distance) => (2 * Math.atan(cm / 2 / distance) * 180) / Math.PI;
export const distanceFor = (cm, degrees) => cm / 2 / Math.tan((degrees / 2) * (Math.PI / 180));
