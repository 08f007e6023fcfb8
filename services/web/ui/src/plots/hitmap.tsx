// One column per event, newest at the right, hits per row as colours. Where events or rows share a
// pixel the largest count is shown, so that no hit is lost from sight.

import { useMemo, useState } from "preact/hooks";

import type { HitColumn, HitMapView } from "../api";
import { cssColour, painter } from "../colours";
import { number, utcDateTime } from "../format";
import { go, live } from "../live";
import { eventOf, eventPlot, linkTo } from "../questions";
import { CanvasPlot, colourTable, type Frame, gridColour, inkColour, pixelX, pixelY, type Pointer, tickX, tickY } from "./canvas";
import { linearTicks } from "./ticks";
import { theme } from "./uplot";
import type { Window } from "./viewport";

const SLOTS_MIN = 40;
// Pixels around the pointer in which a hit is looked for.
const REACH = 3;

// Events that the width stands for, by number: those that there are, at most all that are kept, and
// not too few to look at.
export function slotsOf(view: HitMapView): { first: number; count: number } {
  const [oldest, newest] = [view.columns[0]?.number ?? 0, view.columns.at(-1)?.number ?? 0];
  const kept = Math.max(1, view.columns_max);
  const count = Math.min(kept, Math.max(newest - oldest + 1, Math.min(SLOTS_MIN, kept)));
  return { first: newest - count + 1, count };
}

export interface Raster {
  columns: number;
  rows: number;
  // Largest count per cell, from the top left.
  counts: Uint16Array;
}

// The visible part as cells; none is smaller than a pixel.
export function raster(view: HitMapView, window: Window, width: number, height: number): Raster {
  const { first, count } = slotsOf(view);
  const [spanX, spanY] = [(window.x1 - window.x0) * count, (window.y1 - window.y0) * view.rows];
  const columns = Math.max(1, Math.min(Math.floor(width), Math.ceil(spanX) * 8));
  const rows = Math.max(1, Math.min(Math.floor(height), Math.ceil(spanY) * 8));
  const counts = new Uint16Array(columns * rows);
  const cell = (low: number, span: number, cells: number, at: number) => [
    Math.max(0, Math.floor(((at - low) / span) * cells)), Math.min(cells - 1, Math.max(Math.floor(((at - low) / span) * cells), Math.ceil(((at + 1 - low) / span) * cells) - 1)),
  ] as const;
  for (const column of view.columns) {
    const [x0, x1] = cell(window.x0 * count, spanX, columns, column.number - first);
    if (x1 < x0 || x1 < 0 || x0 >= columns || column.number < first) continue;
    column.rows.forEach((row, at) => {
      const [y0, y1] = cell(window.y0 * view.rows, spanY, rows, row);
      const hits = column.counts[at] ?? 0;
      for (let y = y0; y <= y1; y++) {
        const line = (rows - 1 - y) * columns;
        for (let x = x0; x <= x1; x++) if ((counts[line + x] ?? 0) < hits) counts[line + x] = hits;
      }
    });
  }
  return { columns, rows, counts };
}

export function HitMapPlot({ view }: { view: HitMapView }) {
  const [log, setLog] = useState(view.colours.log);
  const colours = useMemo(() => ({ ...view.colours, log, low: log && view.colours.low <= 0 ? 1 : view.colours.low }), [view, log]);
  // The picture of the visible part is made anew only when that or the data change.
  const kept = useMemo(() => ({ key: "", picture: document.createElement("canvas") }), [view, log]);
  if (view.columns.length === 0) return <p class="notice">No event yet.</p>;
  return (
    <>
      <div class="tools"><button type="button" class="quiet" title="Scale of colours" onClick={() => setLog(!log)}>{log ? "log" : "lin"}</button></div>
      <CanvasPlot
        colours={colours}
        label={`${colours.label} per row and ${view.x_label}`}
        margin={{ left: 88, right: 96, top: 18, bottom: 34 }}
        draw={(frame) => draw(frame, view, picture(frame, { ...view, colours }, kept))}
        hover={(at, size) => tip(at, view, size)}
        click={(at, size) => {
          const link = eventLink(near(at, view, size)?.column);
          if (link) go(link);
        }}
      />
    </>
  );
}

function picture(frame: Frame, view: HitMapView, kept: { key: string; picture: HTMLCanvasElement }) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [frame.width * ratio, frame.height * ratio];
  const key = [width, height, theme(), ...Object.values(frame.window)].join();
  if (kept.key === key) return kept.picture;
  const cells = raster(view, frame.window, width, height);
  kept.key = key;
  kept.picture.width = cells.columns;
  kept.picture.height = cells.rows;
  kept.picture.getContext("2d")?.putImageData(new ImageData(pixels(view, cells), cells.columns, cells.rows), 0, 0);
  return kept.picture;
}

// Cells without hits stay clear.
export function pixels(view: HitMapView, cells: Raster, paint = painter(view.colours, colourTable(view.colours), cssColour)) {
  const data = new Uint8ClampedArray(cells.columns * cells.rows * 4);
  const known = new Map<number, readonly [number, number, number]>();
  cells.counts.forEach((count, at) => {
    if (count === 0) return;
    const rgb = known.get(count) ?? paint(count);
    known.set(count, rgb);
    data.set([...rgb, 255], at * 4);
  });
  return data;
}

function draw(frame: Frame, view: HitMapView, made: HTMLCanvasElement) {
  const { context } = frame;
  // Light colours stand on white, as in the pictures, whatever the theme.
  context.fillStyle = view.colours.missing;
  context.fillRect(frame.left, frame.top, frame.width, frame.height);
  context.imageSmoothingEnabled = false;
  context.drawImage(made, frame.left, frame.top, frame.width, frame.height);
  context.strokeStyle = gridColour();
  context.strokeRect(frame.left, frame.top, frame.width, frame.height);
  context.fillStyle = inkColour();
  drawLabels(frame, view);
  drawMarks(frame, view);
}

function drawLabels(frame: Frame, view: HitMapView) {
  const { context } = frame;
  let last = Infinity;
  for (const { row, text } of view.row_labels) {
    const y = (row + 0.5) / view.rows;
    const at = pixelY(frame, y);
    if (last - at < 12 || at > frame.top + frame.height) continue;
    last = at;
    tickY(frame, y, text);
  }
  const { first, count } = slotsOf(view);
  const [low, high] = [first + frame.window.x0 * count, first + frame.window.x1 * count];
  for (const tick of linearTicks(low, high, Math.min(high - low, frame.width / 90))) {
    if (tick.at < 0 || !Number.isInteger(tick.at)) continue;
    const x = (tick.at + 0.5 - first) / count;
    tickX(frame, x, tick.text);
    context.fillRect(pixelX(frame, x), frame.top + frame.height, 1, 4);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  context.fillText(view.x_label, frame.left + frame.width / 2, frame.top + frame.height + 20);
}

// Dashed lines in front of a column with their texts above, the newest first.
function drawMarks(frame: Frame, view: HitMapView) {
  const { context } = frame;
  const { first, count } = slotsOf(view);
  context.strokeStyle = context.fillStyle = live.config?.mark_colour ?? "#ff0f5b";
  context.setLineDash([6, 4]);
  context.textAlign = "center";
  context.textBaseline = "bottom";
  let free = Infinity;
  for (const mark of [...view.marks].reverse()) {
    const x = pixelX(frame, (mark.number - first) / count);
    if (x < frame.left || x > frame.left + frame.width) continue;
    context.beginPath();
    context.moveTo(x, frame.top);
    context.lineTo(x, frame.top + frame.height);
    context.stroke();
    const half = context.measureText(mark.text).width / 2;
    if (x + half > free) continue;
    context.fillText(mark.text, x, frame.top - 3);
    free = x - half - 8;
  }
}

// The column and row under the pointer, or the hit near it where there is one.
export function near(at: Pointer, view: HitMapView, size: { width: number; height: number; window: Window }): { column: HitColumn; row: number } | null {
  const { first, count } = slotsOf(view);
  const [x, y] = [first + at.x * count, at.y * view.rows];
  const reachX = (REACH / size.width) * (size.window.x1 - size.window.x0) * count;
  const reachY = (REACH / size.height) * (size.window.y1 - size.window.y0) * view.rows;
  const exact = view.columns.find((column) => column.number === Math.floor(x));
  const here = Math.min(view.rows - 1, Math.floor(y));
  if (exact?.rows.includes(here)) return { column: exact, row: here };
  let best: { column: HitColumn; row: number; away: number } | null = null;
  for (const column of view.columns) {
    const dx = Math.max(0, column.number - x, x - column.number - 1);
    if (dx > reachX) continue;
    for (const row of column.rows) {
      const dy = Math.max(0, row - y, y - row - 1);
      const away = dx / reachX + dy / reachY;
      if (dy <= reachY && away < (best?.away ?? Infinity)) best = { column, row, away };
    }
  }
  return best ?? (exact ? { column: exact, row: here } : null);
}

// Where the event of a column is shown by itself.
function eventLink(column: HitColumn | undefined): string | null {
  const [plot, event] = [eventPlot(live), column && eventOf(column.note)];
  return plot && event ? linkTo(plot, event) : null;
}

function tip(at: Pointer, view: HitMapView, size: { width: number; height: number; window: Window }) {
  const found = near(at, view, size);
  if (!found) return null;
  const { column, row } = found;
  const label = view.row_labels.findLast((l) => l.row <= row);
  const rows = label && label.row < row ? ` + ${row - label.row}` : "";
  const hits = column.counts[column.rows.indexOf(row)] ?? 0;
  return (
    <>
      <b>{label ? `${label.text}${rows}` : `row ${row}`}: {number(hits)}</b>
      <span>{view.x_label} {number(column.number)}, {number(column.counts.reduce((sum, n) => sum + n, 0))} in {column.rows.length} rows</span>
      {column.note && <span>{column.note}</span>}
      <span>{utcDateTime(column.at_ms)} UTC</span>
      {eventLink(column) && <i>click for its z-t-plot</i>}
    </>
  );
}
