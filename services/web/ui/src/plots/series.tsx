// Curves over time with markers, error bars and run changes; drag to zoom, double click shows all.

import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";

import type { Curve, Series } from "../api";
import { number, timeLabels } from "../format";
import { live } from "../live";
import { gridColour } from "./canvas";
import { minorParts, multiples } from "./ticks";
import { axis, type Options, theme, useChart } from "./uplot";

export function SeriesPlot({ view }: { view: Series }) {
  const [log, setLog] = useState(view.y_log);
  const data = useMemo(() => aligned(view, log), [view, log]);
  const key = [log, theme(), view.y_label, ...view.curves.map((c) => c.name)].join("|");
  // Marks and errors are read through this object, so that new ones need no new chart.
  const shown = useMemo<Shown>(() => ({ view }), [key]);
  shown.view = view;
  const place = useChart(key, () => options(shown, log), data);
  const empty = !view.curves.some((curve) => curve.values.some((value) => value !== null));
  return (
    <>
      {empty && <p class="notice over">The first interval is not complete yet.</p>}
      <div class="tools"><button type="button" class="quiet" onClick={() => setLog(!log)}>{log ? "log" : "lin"}</button></div>
      <div class="chart" ref={place} />
    </>
  );
}

// uPlot wants seconds, and a logarithmic axis has no place for zero.
export function aligned(view: Series, log: boolean): uPlot.AlignedData {
  const visible = (value: number | null) => (value === null || (log && value <= 0) ? null : value);
  return [view.times_ms.map((ms) => ms / 1000), ...view.curves.map((curve) => curve.values.map(visible))];
}

interface Shown {
  view: Series;
  // Step of the time axis [s] as it was drawn last.
  step_s?: number;
}

function options(shown: Shown, log: boolean): Options {
  const { view } = shown;
  return {
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
    cursor: { drag: { x: true, y: false } },
    scales: { y: log ? { distr: 3, log: 10 } : {} },
    axes: [{ ...axis("UTC"), space: 70, values: (_, times, __, ___, step) => { shown.step_s = step; return timeLabels(times, step); } }, { ...axis(view.y_label), size: 62, values: (_, ticks) => ticks.map((t) => (t === null ? "" : number(t))) }],
    series: [{ label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }, ...view.curves.map(curveOptions)],
    hooks: { draw: [(chart) => { drawErrors(chart, shown.view); drawMarks(chart, shown.view); drawMinorTicks(chart, shown); }] },
  };
}

// Short ticks below the plot between the labelled ones.
export function minorTimes(low_s: number, high_s: number, step_s: number): number[] {
  const minor = step_s / minorParts(step_s);
  return multiples(low_s, high_s, minor).map((tick) => tick.at);
}

function drawMinorTicks(chart: uPlot, { view, step_s }: Shown) {
  const { min, max } = chart.scales["x"] ?? {};
  if (!view.x_minor_ticks || !step_s || typeof min !== "number" || typeof max !== "number") return;
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = gridColour();
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  for (const time of minorTimes(min, max, step_s)) {
    const x = Math.round(chart.valToPos(time, "x", true));
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x, bbox.top + bbox.height + 5 * devicePixelRatio);
  }
  ctx.stroke();
  ctx.restore();
}

function curveOptions(curve: Curve): uPlot.Series {
  return {
    label: curve.name, stroke: curve.colour, width: 1.2, spanGaps: false, dash: curve.marker === "none" ? undefined : [2, 3],
    value: (_, value) => number(value),
    points: curve.marker === "none" ? { show: false } : { show: true, size: 7, fill: curve.colour, paths: markerPaths(curve.marker) },
  };
}

function markerPaths(marker: Curve["marker"]): uPlot.Series.Points.PathBuilder {
  return (chart, seriesIndex, from, to) => {
    const path = new Path2D();
    const size = 3.5 * devicePixelRatio;
    const times = chart.data[0];
    const values = chart.data[seriesIndex] ?? [];
    for (let at = from; at <= to; at++) {
      const value = values[at];
      if (value === null || value === undefined) continue;
      shape(path, marker, chart.valToPos(times[at] ?? 0, "x", true), chart.valToPos(value, "y", true), size);
    }
    return { stroke: path, fill: path, clip: null, flags: 3 } as unknown as uPlot.Series.Points.Paths;
  };
}

function shape(path: Path2D, marker: Curve["marker"], x: number, y: number, size: number) {
  const corners: Record<string, [number, number][]> = {
    diamond: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
    up: [[0, -1], [1, 1], [-1, 1]],
    down: [[0, 1], [1, -1], [-1, -1]],
  };
  if (marker === "cross") {
    path.moveTo(x - size, y - size); path.lineTo(x + size, y + size);
    path.moveTo(x - size, y + size); path.lineTo(x + size, y - size);
    return;
  }
  const points = corners[marker] ?? [];
  points.forEach(([dx, dy], at) => (at === 0 ? path.moveTo(x + dx * size, y + dy * size) : path.lineTo(x + dx * size, y + dy * size)));
  path.closePath();
}

function clipped(chart: uPlot, draw: (context: CanvasRenderingContext2D) => void) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx);
  ctx.restore();
}

function drawErrors(chart: uPlot, view: Series) {
  clipped(chart, (context) => {
    view.curves.forEach((curve, index) => {
      if (curve.errors.length === 0 || chart.series[index + 1]?.show === false) return;
      context.strokeStyle = curve.colour;
      context.globalAlpha = 0.45;
      context.beginPath();
      curve.errors.forEach((error, at) => {
        const value = chart.data[index + 1]?.[at];
        if (value === null || value === undefined || error === null || error <= 0) return;
        const x = chart.valToPos(chart.data[0][at] ?? 0, "x", true);
        const low = chart.scales["y"]?.distr === 3 ? Math.max(value - error, value / 10) : value - error;
        context.moveTo(x, chart.valToPos(low, "y", true));
        context.lineTo(x, chart.valToPos(value + error, "y", true));
      });
      context.stroke();
    });
  });
}

function drawMarks(chart: uPlot, view: Series) {
  clipped(chart, (context) => {
    context.strokeStyle = context.fillStyle = live.config?.mark_colour ?? "#ff0f5b";
    context.globalAlpha = 0.8;
    context.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    context.font = `${11 * devicePixelRatio}px system-ui`;
    for (const mark of view.marks) {
      const x = chart.valToPos(mark.at_ms / 1000, "x", true);
      context.beginPath();
      context.moveTo(x, chart.bbox.top);
      context.lineTo(x, chart.bbox.top + chart.bbox.height);
      context.stroke();
      context.save();
      context.translate(x + 4 * devicePixelRatio, chart.bbox.top + chart.bbox.height / 2);
      context.rotate(-Math.PI / 3);
      context.fillText(mark.text, 6 * devicePixelRatio, 4 * devicePixelRatio);
      context.restore();
    }
  });
}
