// Draws a grid of panels: axes, headings, guides, and the layers over them.

import type { Axis, PanelsView } from "../api";
import { gridColour, inkColour } from "./canvas";
import { type Box, cut, type Grid, type Range, rangeOf, type Side } from "./grid";
import { colourOf, drawLayer, type Plane, placeX, placeY } from "./layers";
import { linearTicks, logTicks, multiples, type Tick, timeTicks } from "./ticks";
import type { Window } from "./viewport";

const GUIDE = "#7fb2d9";
const nothing: Range = { low: 0, high: 1, log: false };

// The ranges of all panels that fit, cut to the window.
export function planesOf(view: PanelsView, grid: Grid, log: boolean, hidden: Set<string>, window: Window): Plane[] {
  const panels = view.panels.slice(0, grid.shown);
  const isLog = { x: view.x.scale === "log", y: log };
  const whole = (side: Side, list: typeof panels) => rangeOf(view[side], side, list, isLog[side], hidden);
  const shared = { x: whole("x", panels), y: whole("y", panels) };
  const range = (side: Side, at: number): Range => {
    const own = view[side].own_range ? whole(side, panels.slice(at, at + 1)) : null;
    const all = own ?? shared[side] ?? { ...nothing, low: isLog[side] ? 0.1 : 0, log: isLog[side] };
    return side === "x" ? cut(all, window.x0, window.x1) : cut(all, window.y0, window.y1);
  };
  return panels.map((_, at) => ({ box: grid.boxes[at] as Box, x: range("x", at), y: range("y", at) }));
}

// Width of the widest number of the vertical axis [px], roughly: digits are alike.
export function numbersWidth(view: PanelsView, log: boolean, hidden: Set<string>): number {
  const lists = view.y.own_range ? view.panels.slice(0, 64).map((panel) => [panel]) : [view.panels];
  const texts = lists.flatMap((list) => {
    const range = rangeOf(view.y, "y", list, log, hidden);
    return range ? ticksOf(view.y, range, 120, 30).map((tick) => tick.text.length) : [];
  });
  return Math.max(0, ...texts) * 6.2;
}

export function drawAll(context: CanvasRenderingContext2D, view: PanelsView, grid: Grid, planes: Plane[], hidden: Set<string>, size: { width: number; height: number }) {
  const spill = spillOf(grid);
  planes.forEach((plane, at) => {
    const panel = view.panels[at];
    if (!panel) return;
    const left = view.y.own_range || at % grid.columns === 0;
    const below = view.x.own_range || at + grid.columns >= grid.shown;
    // Numbers may stand over half of the gap between panels, and over the outer sides.
    const over = { left: at % grid.columns === 0 ? 14 : 5, right: at % grid.columns === grid.columns - 1 ? 12 : 5 };
    drawAxes(context, view, plane, left, below ? over : null);
    title(context, plane.box, panel.title, spill);
    context.save();
    context.beginPath();
    context.rect(plane.box.left, plane.box.top, plane.box.width, plane.box.height);
    context.clip();
    guides(context, plane, panel.guides);
    panel.layers.forEach((layer, index) => !hidden.has(layer.name) && drawLayer(context, plane, layer, colourOf(layer, index)));
    context.restore();
  });
  const [first, last] = [planes[0]?.box, planes[planes.length - 1]?.box];
  if (!first || !last) return;
  context.fillStyle = inkColour();
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "bottom";
  context.fillText(view.x.label, size.width / 2, size.height - 2);
  context.save();
  context.translate(9, (first.top + last.top + last.height) / 2);
  context.rotate(-Math.PI / 2);
  context.textBaseline = "middle";
  context.fillText(view.y.label, 0, 0);
  context.restore();
}

// How far a heading may stand over each side of its panel: half of the gap to the next one.
export function spillOf(grid: Grid): number {
  const [first, second] = grid.boxes;
  return first && second && grid.columns > 1 ? Math.max(0, (second.left - first.left - first.width) / 2 - 2) : 0;
}

// A text that is too wide loses its end, not its beginning.
export function fitted(text: string, width: number, measure: (text: string) => number): string {
  if (measure(text) <= width) return text;
  let length = text.length;
  while (length > 0 && measure(`${text.slice(0, length).trimEnd()}…`) > width) length -= 1;
  return `${text.slice(0, length).trimEnd()}…`;
}

function title(context: CanvasRenderingContext2D, box: Box, text: string, spill: number) {
  context.fillStyle = inkColour();
  context.font = `600 ${box.width < 120 ? 10 : 11}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  const shown = fitted(text, box.width + 2 * spill, (part) => context.measureText(part).width);
  context.fillText(shown, box.left + box.width / 2, box.top - 2);
}

function guides(context: CanvasRenderingContext2D, plane: Plane, heights: (number | null)[]) {
  context.save();
  context.strokeStyle = GUIDE;
  context.globalAlpha = 0.5;
  context.lineWidth = 1;
  context.setLineDash([4, 3]);
  context.beginPath();
  for (const height of heights) {
    const y = Math.round(placeY(plane, height)) + 0.5;
    if (Number.isFinite(y)) { context.moveTo(plane.box.left, y); context.lineTo(plane.box.left + plane.box.width, y); }
  }
  context.stroke();
  context.restore();
}

function ticksOf(axis: Axis, range: Range, pixels: number, room: number): Tick[] {
  if (range.log) return logTicks(range.low, range.high);
  const wanted = pixels / room;
  if (axis.scale === "time") return timeTicks(range.low, range.high, wanted);
  const told = axis.tick && axis.tick > 0 ? multiples(range.low, range.high, axis.tick) : [];
  return told.length > 0 ? told : linearTicks(range.low, range.high, wanted);
}

function drawAxes(context: CanvasRenderingContext2D, view: PanelsView, plane: Plane, left: boolean, below: { left: number; right: number } | null) {
  const { box } = plane;
  const small = Math.min(box.width, box.height) < 120;
  context.font = `${small ? 9 : 11}px system-ui, sans-serif`;
  context.strokeStyle = gridColour();
  context.fillStyle = inkColour();
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  let free = Infinity;
  for (const tick of ticksOf(view.y, plane.y, box.height, 30)) {
    const y = Math.round(placeY(plane, tick.at)) + 0.5;
    if (!(y >= box.top - 1 && y <= box.top + box.height + 1) || y > free) continue;
    free = y - 12;
    stroke(context, box.left, y, box.left + box.width, y);
    if (left) context.fillText(tick.text, box.left - 4, y);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  free = -Infinity;
  for (const tick of ticksOf(view.x, plane.x, box.width, view.x.scale === "time" ? 80 : 60)) {
    const x = Math.round(placeX(plane, tick.at)) + 0.5;
    if (!(x >= box.left - 1 && x <= box.left + box.width + 1)) continue;
    stroke(context, x, box.top, x, box.top + box.height);
    const [text = "", day] = tick.text.split("\n");
    const half = Math.max(context.measureText(text).width, day ? context.measureText(day).width : 0) / 2;
    if (!below || x - half < free || x - half < box.left - below.left || x + half > box.left + box.width + below.right) continue;
    context.fillText(text, x, box.top + box.height + 4);
    if (day && !view.x.own_range) context.fillText(day, x, box.top + box.height + 15);
    free = x + half + 6;
  }
  context.strokeRect(Math.round(box.left) + 0.5, Math.round(box.top) + 0.5, Math.round(box.width), Math.round(box.height));
}

function stroke(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}
