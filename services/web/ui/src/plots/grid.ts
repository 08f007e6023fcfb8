// Where the panels of a grid stand, and from which number to which their axes go.

import type { Axis, Layer, Numbers, Panel, PanelsView, View } from "../api";

export type Side = "x" | "y";

export interface Range {
  low: number;
  high: number;
  log: boolean;
}

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const SIDE_MIN = 16;
const MARGIN = { right: 12, top: 8, bottom: 38 };
const GAP = 10;
const TITLE = 16;
// Least room for the numbers beside a panel, and the room for those below it.
const BESIDE = 34;
const BELOW = 18;
const THUMBNAIL = 182;

// Height of a card [px] that suits a view.
export function heightOf(view: View | undefined): number {
  switch (view?.form) {
    case "hitmap": return 440;
    case "series": return view.curves.length > 8 ? 380 : 300;
    case "table": return view.rows.flat().some(isPicture) ? Math.min(760, Math.max(300, view.rows.length * THUMBNAIL + 40)) : 300;
    case "panels": return Math.min(1100, Math.max(320, Math.ceil(view.panels.length / Math.max(1, view.columns)) * 150 + 90));
    default: return 300;
  }
}

const isPicture = (cell: unknown) => typeof cell === "string" && cell.startsWith("/event_selection/") && cell.endsWith(".png");

const binned = (layer: Layer) => layer.shape === "steps" || layer.shape === "bars";
export const usable = (value: number | null | undefined, log: boolean): value is number =>
  typeof value === "number" && Number.isFinite(value) && (!log || value > 0);

function numbersOf(layer: Layer, side: Side): Numbers[] {
  if (side === "x") return [layer.x];
  return layer.shape === "band" ? [layer.y, layer.z] : [layer.y];
}

// The ends of an axis: those given, the others from the data; null without either. `log` is how the
// page shows the axis, `hidden` are layers that are switched off.
export function rangeOf(axis: Axis, side: Side, panels: Panel[], log: boolean, hidden: Set<string> = new Set()): Range | null {
  const layers = panels.flatMap((panel) => panel.layers).filter((layer) => !hidden.has(layer.name));
  let [least, most] = [Infinity, -Infinity];
  for (const layer of layers) {
    for (const numbers of numbersOf(layer, side)) {
      for (const value of numbers) {
        if (!usable(value, log)) continue;
        if (value < least) least = value;
        if (value > most) most = value;
      }
    }
  }
  const found = least <= most ? padded(least, most, axis, side, log, layers) : null;
  const given = (end: number | null) => (usable(end, log) ? end : null);
  const [low, high] = [given(axis.low), given(axis.high)];
  if (low === null && high === null) return found && { ...found, log };
  if (low !== null && high !== null && low !== high) return { low: Math.min(low, high), high: Math.max(low, high), log };
  const ends = { low: low ?? found?.low ?? Infinity, high: high ?? found?.high ?? -Infinity, log };
  if (ends.low < ends.high) return ends;
  // Nothing of the data lies on the given side: the axis is there all the same.
  const step = (from: number, up: 1 | -1) => (log ? from * 10 ** up : from + up * Math.max(1, Math.abs(from)));
  return low !== null ? { low, high: step(low, 1), log } : { low: step(ends.high, -1), high: ends.high, log };
}

function padded(low: number, high: number, axis: Axis, side: Side, log: boolean, layers: Layer[]) {
  const histograms = layers.some(binned);
  const only = histograms && layers.every(binned);
  if (log) {
    if (side === "x") return only ? { low, high } : { low: low / 1.2, high: high * 1.2 };
    return { low: low / 2, high: Math.max(high * 2, low * 5) };
  }
  const span = high - low;
  const pad = span > 0 ? span * (side === "x" ? 0.03 : 0.06) : axis.scale === "time" ? 30_000 : Math.max(0.5, Math.abs(high) * 0.05);
  if (side === "x" && only && span > 0) return { low, high };
  return { low: side === "y" && histograms && low >= 0 ? 0 : low - pad, high: high + pad };
}

// Fraction of the range at which a number lies; NaN for what has no place.
export function fraction(range: Range, value: number | null | undefined): number {
  if (!usable(value, range.log)) return NaN;
  if (!range.log) return (value - range.low) / (range.high - range.low);
  return Math.log(value / range.low) / Math.log(range.high / range.low);
}

export function valueAt(range: Range, part: number): number {
  return range.log ? range.low * (range.high / range.low) ** part : range.low + part * (range.high - range.low);
}

// The part of a range between two fractions of it.
export function cut(range: Range, from: number, to: number): Range {
  return { low: valueAt(range, from), high: valueAt(range, to), log: range.log };
}

export interface Grid {
  columns: number;
  shown: number;
  boxes: Box[];
}

// Lays out panels from the top left; those that would be too small to look at are left out. `beside` is
// the width of the numbers of the vertical axis.
export function gridOf(view: PanelsView, count: number, size: { width: number; height: number }, beside = BESIDE): Grid {
  const room = Math.max(BESIDE, beside + 8);
  const gapX = GAP + (view.y.own_range ? room : 0);
  const gapY = GAP + (view.x.own_range ? BELOW : 0) + (view.panels.some((panel) => panel.title !== "") ? TITLE : 0);
  const all = {
    left: room + (view.y.label ? 22 : 8), top: MARGIN.top + gapY - GAP - (view.x.own_range ? BELOW : 0),
    width: 0, height: 0,
  };
  all.width = Math.max(SIDE_MIN, size.width - all.left - MARGIN.right);
  all.height = Math.max(SIDE_MIN, size.height - all.top - MARGIN.bottom);
  const fit = (room: number, gap: number) => Math.max(1, Math.floor((room + gap) / (SIDE_MIN + gap)));
  const columns = Math.max(1, Math.min(view.columns, count, fit(all.width, gapX)));
  const rows = Math.max(1, Math.min(Math.ceil(count / columns), fit(all.height, gapY)));
  const shown = Math.min(count, rows * columns);
  const width = (all.width + gapX) / columns;
  const height = (all.height + gapY) / rows;
  const box = (_: unknown, at: number): Box => ({
    left: all.left + (at % columns) * width, top: all.top + Math.floor(at / columns) * height,
    width: width - gapX, height: height - gapY,
  });
  return { columns, shown, boxes: Array.from({ length: shown }, box) };
}

// Index of the panel at a place; -1 between panels.
export function panelAt(grid: Grid, x: number, y: number): number {
  return grid.boxes.findIndex((b) => x >= b.left && x <= b.left + b.width && y >= b.top && y <= b.top + b.height);
}
