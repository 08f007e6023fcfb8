// The shapes of layers on a canvas, and which of their points is pointed at.

import type { Layer, Panel, Shape } from "../api";
import { number, utcDateTime } from "../format";
import { live } from "../live";
import { type Box, fraction, type Range, valueAt } from "./grid";

export interface Plane {
  box: Box;
  x: Range;
  y: Range;
}

export const placeX = (plane: Plane, value: number | null | undefined) => plane.box.left + fraction(plane.x, value) * plane.box.width;
export const placeY = (plane: Plane, value: number | null | undefined) => plane.box.top + (1 - fraction(plane.y, value)) * plane.box.height;

const POINTS = new Set<Shape>(["disc", "ring", "plus", "cross", "square"]);
const LARGEST = 12;

// The colour of a layer: its own, or by its place.
export const colourOf = (layer: Layer, at: number) => layer.colour || (live.config?.palette[at % live.config.palette.length] ?? "#006ba4");

// Usual radius of a point in a panel.
export const radiusOf = (box: Box) => Math.min(3.6, Math.max(1.5, Math.min(box.width, box.height) / 90));

// Radius against the usual one: the root of the area.
export function sizeOf(layer: Layer, at: number): number {
  const area = layer.z[at];
  return typeof area === "number" ? Math.min(LARGEST, Math.sqrt(Math.max(0, area))) : 1;
}

export function drawLayer(context: CanvasRenderingContext2D, plane: Plane, layer: Layer, colour: string) {
  context.save();
  context.globalAlpha = Math.min(1, Math.max(0, layer.alpha));
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 1.4;
  if (POINTS.has(layer.shape)) drawPoints(context, plane, layer);
  else if (layer.shape === "line" || layer.shape === "dashed") drawLine(context, plane, layer);
  else if (layer.shape === "band") drawBand(context, plane, layer);
  else drawBins(context, plane, layer);
  context.restore();
}

function drawPoints(context: CanvasRenderingContext2D, plane: Plane, layer: Layer) {
  const usual = radiusOf(plane.box);
  layer.y.forEach((value, at) => {
    const [x, y] = [placeX(plane, layer.x[at]), placeY(plane, value)];
    const radius = usual * sizeOf(layer, at);
    if (Number.isFinite(x) && Number.isFinite(y) && radius > 0) drawPoint(context, layer.shape, x, y, radius);
  });
}

export function drawPoint(context: CanvasRenderingContext2D, shape: Shape, x: number, y: number, radius: number) {
  context.beginPath();
  if (shape === "disc" || shape === "ring") context.arc(x, y, radius, 0, 2 * Math.PI);
  if (shape === "square") context.rect(x - radius * 0.9, y - radius * 0.9, radius * 1.8, radius * 1.8);
  if (shape === "plus") {
    const reach = radius * 1.25;
    context.moveTo(x - reach, y); context.lineTo(x + reach, y);
    context.moveTo(x, y - reach); context.lineTo(x, y + reach);
  }
  if (shape === "cross") {
    const reach = radius * 0.95;
    context.moveTo(x - reach, y - reach); context.lineTo(x + reach, y + reach);
    context.moveTo(x - reach, y + reach); context.lineTo(x + reach, y - reach);
  }
  if (shape === "disc" || shape === "square") context.fill();
  else context.stroke();
}

// A missing point interrupts the line.
function drawLine(context: CanvasRenderingContext2D, plane: Plane, layer: Layer) {
  if (layer.shape === "dashed") context.setLineDash([6, 4]);
  context.beginPath();
  let joined = false;
  layer.y.forEach((value, at) => {
    const [x, y] = [placeX(plane, layer.x[at]), placeY(plane, value)];
    const there = Number.isFinite(x) && Number.isFinite(y);
    if (there && joined) context.lineTo(x, y);
    else if (there) context.moveTo(x, y);
    joined = there;
  });
  context.stroke();
}

function drawBand(context: CanvasRenderingContext2D, plane: Plane, layer: Layer) {
  const corners = layer.y.map((value, at) => ({ x: placeX(plane, layer.x[at]), low: placeY(plane, value), high: placeY(plane, layer.z[at]) }));
  context.beginPath();
  corners.forEach((to, at) => {
    const from = corners[at - 1];
    if (!from || ![from.x, from.low, from.high, to.x, to.low, to.high].every(Number.isFinite)) return;
    context.moveTo(from.x, from.low); context.lineTo(to.x, to.low); context.lineTo(to.x, to.high); context.lineTo(from.x, from.high);
    context.closePath();
  });
  context.fill();
}

function drawBins(context: CanvasRenderingContext2D, plane: Plane, layer: Layer) {
  const bottom = plane.box.top + plane.box.height;
  const zero = placeY(plane, 0);
  const ground = Number.isFinite(zero) ? Math.min(bottom, Math.max(plane.box.top, zero)) : bottom;
  context.beginPath();
  let last: { x: number; y: number } | null = null;
  const end = () => { if (last) context.lineTo(last.x, ground); last = null; };
  layer.y.forEach((height, at) => {
    const [left, right] = [placeX(plane, layer.x[at]), placeX(plane, layer.x[at + 1])];
    // An empty bin stands on the floor of a logarithmic axis.
    const top = plane.y.log && height !== null && height <= 0 ? bottom : placeY(plane, height);
    if (![left, right, top].every(Number.isFinite)) return end();
    if (layer.shape === "bars") {
      const apart = right - left >= 6 ? 1 : 0;
      return void context.rect(left, Math.min(top, ground), Math.max(1, right - left - apart), Math.abs(ground - top));
    }
    if (!last || last.x !== left) { end(); context.moveTo(left, ground); }
    context.lineTo(left, top);
    context.lineTo(right, top);
    last = { x: right, y: top };
  });
  if (layer.shape === "bars") return context.fill();
  end();
  context.stroke();
}

export interface Found {
  layer: Layer;
  at: number;
  distance: number;
}

// What is pointed at: the nearest point within reach, or of histograms the bins under the pointer.
export function found(plane: Plane, panel: Panel, hidden: Set<string>, x: number, y: number, reach = 10): Found[] {
  let nearest: Found | null = null;
  const bins: Found[] = [];
  for (const layer of panel.layers) {
    if (hidden.has(layer.name)) continue;
    if (layer.shape === "steps" || layer.shape === "bars") {
      const at = binAt(layer, valueAt(plane.x, (x - plane.box.left) / plane.box.width));
      if (at >= 0 && typeof layer.y[at] === "number") bins.push({ layer, at, distance: Math.abs(placeY(plane, layer.y[at]) - y) });
      continue;
    }
    layer.y.forEach((value, at) => {
      const distance = Math.hypot(placeX(plane, layer.x[at]) - x, placeY(plane, value) - y);
      // Later layers are on top.
      if (distance <= reach && distance <= (nearest?.distance ?? Infinity)) nearest = { layer, at, distance };
    });
  }
  if (nearest) return [nearest];
  const far = (f: Found) => (Number.isFinite(f.distance) ? f.distance : Infinity);
  return bins.sort((a, b) => far(a) - far(b)).slice(0, 6);
}

// The bin of a histogram that holds a value; -1 outside.
export function binAt(layer: Layer, value: number): number {
  let [low, high] = [0, layer.x.length - 1];
  if (high < 1 || !(value >= (layer.x[0] ?? NaN)) || !(value <= (layer.x[high] ?? NaN))) return -1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((layer.x[middle] ?? NaN) <= value) low = middle;
    else high = middle;
  }
  return low;
}

// A number of an axis for people.
export const written = (value: number | null | undefined, time: boolean) =>
  time && typeof value === "number" ? `${utcDateTime(value)} UTC` : number(value);
