// One column of pixels per time step, newest at the right.

import type { Column, ImageView } from "../api";
import { cssColour, painter } from "../colours";
import { number, roundTimes, timeLabels, utcDateTime } from "../format";
import { CanvasPlot, colourTable, type Frame, gridColour, inkColour, pixelX, pixelY, type Pointer, tickX, tickY } from "./canvas";

const OVERLAY_FULL = 255;
const SLOTS_MIN = 40;

// Time steps shown: those that there are, at most all that are kept, and not too few to look at.
export function slots(view: ImageView): number {
  const span = (view.columns.at(-1)?.at_ms ?? 0) - (view.columns[0]?.at_ms ?? 0);
  return Math.min(view.columns_max, Math.max(SLOTS_MIN, Math.round(span / (view.column_s * 1000)) + 1));
}

// Position of a column, counted from the left, by its time: gaps in the data stay gaps.
export function columnIndex(view: ImageView, column: Column, newest_ms: number): number {
  return slots(view) - 1 - Math.round((newest_ms - column.at_ms) / (view.column_s * 1000));
}

// Paints all columns, one pixel per value, row 0 at the bottom.
export function pixels(view: ImageView, paint = painter(view.colours, colourTable(view.colours)), overlay = cssColour(view.overlay_colour)) {
  const [width, height] = [slots(view), view.rows];
  const data = new Uint8ClampedArray(width * height * 4);
  const newest = view.columns.at(-1)?.at_ms ?? 0;
  for (const column of view.columns) {
    const x = columnIndex(view, column, newest);
    if (x < 0 || x >= width) continue;
    for (let row = 0; row < height; row++) {
      const value = column.values[row] ?? null;
      const over = (column.overlay[row] ?? 0) / OVERLAY_FULL > view.overlay_threshold;
      if (value === null && !over) continue;
      const [r, g, b] = over ? overlay : paint(value);
      data.set([r, g, b, 255], ((height - 1 - row) * width + x) * 4);
    }
  }
  return data;
}

export function ImagePlot({ view }: { view: ImageView }) {
  if (view.columns.length === 0) return <p class="notice">No column is complete yet.</p>;
  const picture = document.createElement("canvas");
  picture.width = slots(view);
  picture.height = view.rows;
  picture.getContext("2d")?.putImageData(new ImageData(pixels(view), picture.width, view.rows), 0, 0);
  return (
    <CanvasPlot
      colours={view.colours}
      label={`${view.colours.label} per row over time`}
      draw={(frame) => draw(frame, view, picture)}
      hover={(at) => tip(at, view)}
    />
  );
}

function draw(frame: Frame, view: ImageView, picture: HTMLCanvasElement) {
  const { context, window } = frame;
  context.fillStyle = inkColour();
  context.strokeStyle = gridColour();
  context.strokeRect(frame.left, frame.top, frame.width, frame.height);
  drawLabels(frame, view);
  context.imageSmoothingEnabled = false;
  const sx = window.x0 * picture.width;
  const sy = (1 - window.y1) * picture.height;
  const width = (window.x1 - window.x0) * picture.width;
  const height = (window.y1 - window.y0) * picture.height;
  context.drawImage(picture, sx, sy, width, height, frame.left, frame.top, frame.width, frame.height);
}

function drawLabels(frame: Frame, view: ImageView) {
  let last = Infinity;
  for (const { row, text } of view.row_labels) {
    const y = row / view.rows;
    const at = pixelY(frame, y);
    if (last - at < 12) continue;
    last = at;
    tickY(frame, y, text);
  }
  const newest = view.columns.at(-1)?.at_ms ?? 0;
  const at = (x: number) => timeAt(view, x, newest);
  const { step_s, times_ms } = roundTimes(at(frame.window.x0), at(frame.window.x1), Math.max(2, Math.floor(frame.width / 80)));
  const labels = timeLabels(times_ms.map((ms) => ms / 1000), step_s);
  times_ms.forEach((ms, index) => {
    const x = 1 - (newest - ms) / (slots(view) * view.column_s * 1000);
    const [time = "", day] = labels[index]?.split("\n") ?? [];
    tickX(frame, x, time);
    if (day) tickX(frame, x, day, 1);
    frame.context.fillRect(pixelX(frame, x), frame.top + frame.height, 1, 4);
  });
}

const timeAt = (view: ImageView, x: number, newest_ms: number) => newest_ms - (1 - x) * slots(view) * view.column_s * 1000;

function tip(at: Pointer, view: ImageView) {
  const newest = view.columns.at(-1)?.at_ms ?? 0;
  const x = Math.floor(at.x * slots(view));
  const column = view.columns.find((c) => columnIndex(view, c, newest) === x);
  const row = Math.min(view.rows - 1, Math.floor(at.y * view.rows));
  if (!column) return null;
  const label = [...view.row_labels].reverse().find((l) => l.row <= row);
  const fraction = (column.overlay[row] ?? 0) / OVERLAY_FULL;
  return (
    <>
      <b>{label ? `${label.text}, row ${row - label.row}` : `row ${row}`}</b>
      <span>{utcDateTime(column.at_ms)} UTC</span>
      <span>{view.colours.label}: {number(column.values[row])}</span>
      {column.overlay.length > 0 && <span>{view.overlay_label}: {number(Math.round(fraction * 1000) / 10)} %</span>}
    </>
  );
}
