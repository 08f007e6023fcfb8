// What series and histograms share: a uPlot that fits its place and follows the theme.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { gridColour, inkColour } from "./canvas";

export type Options = Omit<uPlot.Options, "width" | "height">;

// Keeps one chart over new data; a new chart is made only when `key` changes (curves, scale, theme).
export function useChart(key: string, options: () => Options, data: uPlot.AlignedData) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const size = () => ({ width: element.clientWidth, height: Math.max(140, element.clientHeight - legendHeight(element)) });
    const made = new uPlot({ ...options(), ...size() }, data, element);
    chart.current = made;
    made.setSize(size());
    const observer = new ResizeObserver(() => made.setSize(size()));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [key]);
  useEffect(() => {
    const made = chart.current;
    if (!made || made.data === data) return;
    // A zoomed chart keeps its window; one that shows all follows the data.
    const { min, max } = made.scales["x"] ?? {};
    const old = made.data[0];
    const all = min === undefined || min === null || (min <= (old[0] ?? min) && (max ?? 0) >= (old.at(-1) ?? 0));
    made.setData(data, all);
    if (!all) made.redraw();
  }, [data]);
  return place;
}

function legendHeight(element: HTMLElement): number {
  return element.querySelector<HTMLElement>(".u-legend")?.offsetHeight ?? 0;
}

export function axis(label: string): uPlot.Axis {
  return {
    label, stroke: inkColour, grid: { stroke: gridColour, width: 1 }, ticks: { stroke: gridColour, width: 1 },
    labelSize: 18, font: "11px system-ui", labelFont: "11px system-ui",
  };
}

export const theme = () => document.documentElement.dataset.theme ?? "light";
