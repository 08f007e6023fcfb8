// One coloured disc per place, such as DU and floor.

import type { MapView } from "../api";
import { painter, rgbText } from "../colours";
import { number } from "../format";
import { go } from "../live";
import { linkTo } from "../questions";
import { CanvasPlot, colourTable, type Frame, gridColour, inkColour, pixelX, pixelY, type Pointer, tickX, tickY } from "./canvas";

interface Grid {
  xs: number[];
  yLow: number;
  yHigh: number;
  columnOf: Map<number, number>;
  placeAt: Map<string, number>;
}

// Columns stand in order without gaps, so that missing DU numbers cost no room.
export function gridOf(view: MapView): Grid {
  const xs = [...new Set(view.x)].sort((a, b) => a - b);
  const columnOf = new Map(xs.map((x, at) => [x, at]));
  const placeAt = new Map(view.x.map((x, at) => [`${columnOf.get(x)} ${view.y[at]}`, at]));
  return { xs, yLow: Math.min(...view.y), yHigh: Math.max(...view.y), columnOf, placeAt };
}

export const fractionX = (grid: Grid, column: number) => (column + 0.5) / grid.xs.length;
export const fractionY = (grid: Grid, y: number) => (y - grid.yLow + 0.5) / (grid.yHigh - grid.yLow + 1);

// `history` names the plot beside which the history of a place is shown, if there is one.
export function MapPlot({ view, history }: { view: MapView; history?: string | undefined }) {
  if (view.x.length === 0) return <p class="notice">No detector is known yet.</p>;
  const grid = gridOf(view);
  return (
    <CanvasPlot
      colours={view.colours}
      label={`${view.colours.label} by ${view.x_label} and ${view.y_label}`}
      draw={(frame) => draw(frame, view, grid)}
      hover={(at) => tip(at, view, grid, history !== undefined)}
      click={(at) => {
        const place = placeOf(at, grid);
        if (history !== undefined && place !== undefined) go(linkTo(history, { dom_id: String(view.id[place]) }));
      }}
    />
  );
}

function draw(frame: Frame, view: MapView, grid: Grid) {
  drawAxes(frame, view, grid);
  const { context } = frame;
  const paint = painter(view.colours, colourTable(view.colours));
  const cellWidth = frame.width / grid.xs.length / (frame.window.x1 - frame.window.x0);
  const cellHeight = frame.height / (grid.yHigh - grid.yLow + 1) / (frame.window.y1 - frame.window.y0);
  const round = Math.min(cellWidth, cellHeight) > 5;
  const radius = Math.max(1, Math.min(cellWidth, cellHeight) * 0.42);
  context.beginPath();
  context.rect(frame.left, frame.top, frame.width, frame.height);
  context.clip();
  context.strokeStyle = inkColour();
  context.lineWidth = 1;
  view.x.forEach((x, at) => {
    const px = pixelX(frame, fractionX(grid, grid.columnOf.get(x) ?? 0));
    const py = pixelY(frame, fractionY(grid, view.y[at] ?? 0));
    context.fillStyle = rgbText(paint(view.values[at] ?? null));
    if (!round) {
      context.fillRect(px - cellWidth * 0.45, py - cellHeight * 0.45, Math.max(1, cellWidth * 0.9), Math.max(1, cellHeight * 0.9));
      return;
    }
    context.beginPath();
    context.arc(px, py, radius, 0, 2 * Math.PI);
    context.fill();
    // The lowest colours of a map are as dark as the dark page.
    context.globalAlpha = 0.35;
    context.stroke();
    context.globalAlpha = 1;
  });
}

function drawAxes(frame: Frame, view: MapView, grid: Grid) {
  const { context } = frame;
  context.strokeStyle = gridColour();
  context.strokeRect(frame.left, frame.top, frame.width, frame.height);
  context.fillStyle = inkColour();
  const visible = grid.xs.length * (frame.window.x1 - frame.window.x0);
  const step = Math.max(1, Math.ceil((visible * 28) / frame.width));
  grid.xs.forEach((x, column) => column % step === 0 && tickX(frame, fractionX(grid, column), String(x)));
  const rows = (grid.yHigh - grid.yLow + 1) * (frame.window.y1 - frame.window.y0);
  const rowStep = Math.max(1, Math.ceil((rows * 14) / frame.height));
  for (let y = grid.yLow; y <= grid.yHigh; y += rowStep) tickY(frame, fractionY(grid, y), String(y));
  context.textAlign = "center";
  // Below the numbers, whatever was written last.
  context.textBaseline = "top";
  context.fillText(view.x_label, frame.left + frame.width / 2, frame.top + frame.height + 20);
  context.textBaseline = "middle";
  context.save();
  context.translate(14, frame.top + frame.height / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(view.y_label, 0, 0);
  context.restore();
}

// Which place is under the pointer.
export function placeOf(at: Pointer, grid: Grid): number | undefined {
  const column = Math.floor(at.x * grid.xs.length);
  const y = grid.yLow + Math.floor(at.y * (grid.yHigh - grid.yLow + 1));
  return grid.placeAt.get(`${column} ${y}`);
}

function tip(at: Pointer, view: MapView, grid: Grid, clickable: boolean) {
  const place = placeOf(at, grid);
  if (place === undefined) return null;
  return (
    <>
      <b>{view.x_label} {view.x[place]}, {view.y_label} {view.y[place]}</b>
      <span>id {view.id[place]}</span>
      <span>{view.colours.label}: {number(view.values[place])}</span>
      {view.details.map((d) => <span key={d.name}>{d.name}: {number(d.values[place])}</span>)}
      {clickable && <i>click for its history</i>}
    </>
  );
}
