// Counts per bin as steps.

import { useMemo } from "preact/hooks";
import uPlot from "uplot";

import type { Histogram } from "../api";
import { number } from "../format";
import { axis, theme, useChart } from "./uplot";

export function HistogramPlot({ view }: { view: Histogram }) {
  const data = useMemo(() => steps(view), [view]);
  const key = [theme(), view.x_label, view.y_label, view.y_log].join("|");
  const place = useChart(key, () => ({
    scales: { x: { time: false }, y: view.y_log ? { distr: 3 as const, log: 10 } : {} },
    axes: [axis(view.x_label), { ...axis(view.y_label), size: 62 }],
    series: [
      { label: view.x_label, value: (_: uPlot, v: number | null) => number(v) },
      {
        label: view.y_label, stroke: "#006ba4", fill: "#006ba433", width: 1.2, value: (_: uPlot, v: number | null) => number(v),
        paths: uPlot.paths.stepped?.({ align: 1 }), points: { show: false },
      },
    ],
  }), data);
  const outside = view.underflow + view.overflow;
  return (
    <>
      <div class="chart" ref={place} />
      {outside > 0 && <p class="messages">{number(view.underflow)} below and {number(view.overflow)} above the axis</p>}
    </>
  );
}

// One point per edge; the last repeats the last bin, so that it has its full width.
export function steps(view: Histogram): uPlot.AlignedData {
  const visible = view.counts.map((n) => (view.y_log && n !== null && n <= 0 ? null : n));
  return [view.edges, [...visible, visible.at(-1) ?? null]];
}
