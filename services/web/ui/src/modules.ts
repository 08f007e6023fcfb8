// What services tell of one module, as plots and tables of the page.

import type { Series, Table } from "./api";

// What `acoustics` tells of a module: what it heard in each cycle.
export interface Heard {
  dom_id: number;
  du: number;
  floor: number;
  cycles: { end_ms: number; has_data: boolean; heard: { emitter: number; pings: number; quality: number }[] }[];
}

// One curve of pings per beacon; in a cycle without any data nothing is known.
export function heardSeries({ cycles }: Heard, palette: string[]): Series {
  const emitters = [...new Set(cycles.flatMap((cycle) => cycle.heard.map((one) => one.emitter)))].sort((a, b) => a - b);
  const curve = (emitter: number, at: number) => ({
    name: `beacon ${emitter}`, colour: palette[at % palette.length] ?? "#888", marker: "diamond" as const, errors: [],
    values: cycles.map((cycle) => (cycle.has_data ? (cycle.heard.find((one) => one.emitter === emitter)?.pings ?? 0) : null)),
  });
  return { form: "series", y_label: "pings in a cycle", y_log: false, x_minor_ticks: false, times_ms: cycles.map((cycle) => cycle.end_ms), marks: [], curves: emitters.map(curve) };
}

type Numbers = (number | null)[];

// What `k40_calibration` tells of a module: the result of its last cycle.
export interface Calibrated {
  dom_id: number;
  du: number;
  floor: number;
  from: string;
  until: string;
  livetime: number;
  coincidences: number;
  pairs_used: number;
  pairs_failed: number;
  pairs_weak: number;
  chi2_per_ndf: number | null;
  t0s: Numbers;
  t0s_error: Numbers;
  sigma: Numbers;
  qe: Numbers;
  qe_error: Numbers;
  shift: Numbers;
  shift_error: Numbers;
  t0_file: Numbers;
  t0_new: Numbers;
}

// One row per PMT.
export function pmtTable(result: Calibrated): Table {
  const columns: [string, Numbers][] = [
    ["t0 [ns]", result.t0s], ["error [ns]", result.t0s_error], ["spread [ns]", result.sigma], ["efficiency", result.qe],
    ["error", result.qe_error], ["shift [ns]", result.shift], ["error [ns]", result.shift_error], ["t0 of the file [ns]", result.t0_file], ["new t0 [ns]", result.t0_new],
  ];
  return {
    form: "table",
    columns: ["channel", ...columns.map(([name]) => name)],
    rows: result.t0s.map((_, channel) => [channel, ...columns.map(([, values]) => values[channel] ?? null)]),
  };
}

export interface ModuleWish {
  dom_id: string;
  du: string;
  floor: string;
}

export function moduleWish(search: string): ModuleWish {
  const params = new URLSearchParams(search);
  const number = (name: string) => (/^\d{1,10}$/.test(params.get(name) ?? "") ? (params.get(name) ?? "") : "");
  return { dom_id: number("dom_id"), du: number("du"), floor: number("floor") };
}

// What is asked for a wish: a module by its id or its place, else a whole DU; null for nothing.
export function moduleArguments({ dom_id, du, floor }: ModuleWish): Record<string, string> | null {
  if (dom_id) return { dom_id };
  if (du && floor) return { du, floor };
  return du ? { du } : null;
}
