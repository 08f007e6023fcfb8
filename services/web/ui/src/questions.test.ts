// What a click asks for, and the addresses that stand for it.

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { MapView, OutputHead } from "./api";
import { Clicks } from "./plots/click";
import { gridOf, placeOf } from "./plots/map";
import { ask, answers, eventOf, eventPlot, eventTitle, eventWish, historySeries, isPlain, linkTo, numbersOf, wishArguments, wishLink } from "./questions";
import { heardSeries, moduleArguments, moduleWish, pmtTable } from "./modules";

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const head = (name: string, service: string, form: OutputHead["form"]) => [name, { name, service, form }] as const;
const known = (questions?: string[]) => ({
  stack: { services: [{ name: "m:ztplot", questions }] },
  outputs: new Map([head("ztplot_counts", "m:ztplot", "table"), head("ztplot_roy", "m:royfit", "panels"), head("ztplot", "m:ztplot", "panels")]),
});

test("a click acts once it cannot become a double click", () => {
  const [clicks, act] = [new Clicks(), vi.fn()];
  clicks.down(10, 10);
  clicks.up(12, 11, act);
  expect(act).not.toHaveBeenCalled();
  vi.runAllTimers();
  expect(act).toHaveBeenCalledTimes(1);
});

test("a double click zooms and opens nothing", () => {
  const [clicks, act] = [new Clicks(), vi.fn()];
  for (let n = 0; n < 2; n++) {
    clicks.down(10, 10);
    clicks.up(10, 10, act);
    vi.advanceTimersByTime(120);
  }
  clicks.stop();
  vi.runAllTimers();
  expect(act).not.toHaveBeenCalled();
});

test("a drag, or a button pressed elsewhere, is no click", () => {
  const [clicks, act] = [new Clicks(), vi.fn()];
  clicks.down(10, 10);
  clicks.up(40, 10, act);
  clicks.up(40, 10, act);
  vi.runAllTimers();
  expect(act).not.toHaveBeenCalled();
});

test("a column of a hit map leads to its event, with counters longer than numbers are", () => {
  const event = eventOf("det 133 run 13821 frame 184021 counter 18446744073709551615");
  expect(event).toEqual({ run: "13821", frame_index: "184021", trigger_counter: "18446744073709551615" });
  expect(linkTo("ztplot", event ?? {})).toBe("/plot/ztplot?run=13821&frame_index=184021&trigger_counter=18446744073709551615");
  expect(eventOf("")).toBeNull();
});

test("only a display whose service answers for events is jumped to", () => {
  expect(eventPlot(known(["bad", "event"]))).toBe("ztplot");
  expect(eventPlot(known(["bad"]))).toBeNull();
  expect(eventPlot(known())).toBeNull();
  const two = known(["event"]);
  two.stack.services.push({ name: "m:bright", questions: ["event"] });
  two.outputs.set("bright", { name: "bright", service: "m:bright", form: "panels" });
  expect(["m:bright", "m:ztplot", "m:other"].map((service) => eventPlot(two, service))).toEqual(["bright", "ztplot", "ztplot"]);
  expect(answers({ stack: null, outputs: new Map() }, "m:ztplot", "event")).toBe(false);
});

test("a click in a map finds the place with its id, or nothing", () => {
  const view = { form: "map", x: [2, 2, 5], y: [1, 2, 1], id: [21, 22, 51] } as MapView;
  const at = (x: number, y: number) => view.id[placeOf({ x, y }, gridOf(view)) ?? -1];
  expect([at(0.2, 0.2), at(0.2, 0.9), at(0.9, 0.2), at(0.9, 0.9)]).toEqual([21, 22, 51, undefined]);
});

test("an event that is not there is called by its numbers, not by those of another one", () => {
  expect(eventTitle({ run: "1", trigger_counter: "3" })).toBe("Event of run 1, counter 3");
  expect(eventTitle({ name: "ztplot_1" })).toBe("ztplot_1");
});

test("DUs are listed as people do", () => {
  expect(numbersOf("1-3, 7,2")).toEqual([1, 2, 3, 7]);
  expect(numbersOf("  ")).toEqual([]);
  for (const wrong of ["a", "3-1", "1-", "-1", "1 2", "1-999"]) expect(numbersOf(wrong), wrong).toBeNull();
});

test("an address keeps the event while its DUs are chosen", () => {
  const wish = eventWish("?run=7&trigger_counter=9&dus=1-2&most=3&other=1");
  expect(wish).toEqual({ event: { run: "7", trigger_counter: "9" }, dus: "1-2", most: "3", fit: false });
  expect(wishArguments(wish)).toEqual({ run: "7", trigger_counter: "9", dus: "[1,2]", dus_max: "3" });
  expect(eventWish(wishLink("ztplot", wish).slice("/plot/ztplot".length))).toEqual(wish);
  const fitted = { ...wish, fit: true };
  expect(wishArguments(fitted)).toEqual({ ...wishArguments(wish), fit: "true" });
  expect(eventWish(wishLink("ztplot", fitted).slice("/plot/ztplot".length))).toEqual(fitted);
  expect(isPlain(eventWish("?dus=x&most="))).toBe(true);
});

test("a service is asked by name and verb, and its refusal is an error", async () => {
  const fetched = vi.fn(async () => new Response(JSON.stringify({ error: "no such DOM" }), { status: 422 }));
  vi.stubGlobal("fetch", fetched);
  await expect(ask("m:dom_rates", "history", { dom_id: "8", level: "1min" })).rejects.toThrow("no such DOM");
  expect(fetched).toHaveBeenCalledWith("/api/ask/m%3Adom_rates/history?dom_id=8&level=1min");
});

test("the history of a DOM is three curves", () => {
  const view = historySeries({ dom_id: 8, du: 1, floor: 2, level: "1s", times_ms: [0, 1000], mean_khz: [2, 3], min_khz: [1, 2], max_khz: [4, 5] }, ["a", "b", "c"]);
  expect(view.curves.map((curve) => [curve.name, curve.colour, curve.values[1]])).toEqual([["lowest", "c", 2], ["highest", "b", 5], ["mean", "a", 3]]);
});

test("a module is asked for by its id or its place, a DU as a whole", () => {
  expect(moduleArguments(moduleWish("?dom_id=808&du=1"))).toEqual({ dom_id: "808" });
  expect(moduleArguments(moduleWish("?du=3&floor=0"))).toEqual({ du: "3", floor: "0" });
  expect(moduleArguments(moduleWish("?du=3&floor=x"))).toEqual({ du: "3" });
  expect(moduleArguments(moduleWish("?floor=3"))).toBeNull();
});

test("what a module heard is a curve per beacon, with gaps where nothing is known", () => {
  const cycle = (end_ms: number, has_data: boolean, ...heard: [number, number][]) => ({ end_ms, has_data, heard: heard.map(([emitter, pings]) => ({ emitter, pings, quality: 1 })) });
  const view = heardSeries({ dom_id: 8, du: 1, floor: 0, cycles: [cycle(10, true, [12, 3]), cycle(20, false), cycle(30, true, [7, 9])] }, ["a", "b"]);
  expect(view.times_ms).toEqual([10, 20, 30]);
  expect(view.curves.map(({ name, values }) => [name, values])).toEqual([["beacon 7", [0, null, 9]], ["beacon 12", [3, null, 0]]]);
});

test("the calibration of a module has a row per PMT", () => {
  const two = [1, null];
  const result = { dom_id: 8, du: 1, floor: 2, from: "", until: "", livetime: 1, coincidences: 2, pairs_used: 3, pairs_failed: 0, pairs_weak: 0, chi2_per_ndf: null, t0s: two, t0s_error: two, sigma: two, qe: two, qe_error: two, shift: [0.5, null], shift_error: two, t0_file: two, t0_new: two };
  const table = pmtTable(result);
  expect(table.rows.map((row) => row[0])).toEqual([0, 1]);
  expect(table.rows[0]?.[table.columns.indexOf("shift [ns]")]).toBe(0.5);
  expect(new Set(table.rows.map((row) => row.length))).toEqual(new Set([table.columns.length]));
});
