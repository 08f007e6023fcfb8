// Panels, hit maps and stored events: what is computed before anything is drawn.

import { expect, test } from "vitest";

import type { Alarm, Axis, Colours, HitColumn, HitMapView, Layer, Output, Panel, PanelsView } from "./api";
import { appendColumns, joined, titleOf } from "./card";
import { MUTES } from "./alarms";
import { casesOf, muteEnd, ranked, stateOf, worstOf } from "./cases";
import { absent } from "./pages";
import { fraction, gridOf, heightOf, panelAt, rangeOf, valueAt } from "./plots/grid";
import { near, pixels, raster, slotsOf } from "./plots/hitmap";
import { binAt, found, sizeOf } from "./plots/layers";
import { labelsOf, namesOf } from "./plots/panels";
import { fitted, spillOf } from "./plots/planes";
import { minorTimes } from "./plots/series";
import { isName, storedEvent } from "./plots/table";
import { linearTicks, logTicks, multiples } from "./plots/ticks";
import { whole } from "./plots/viewport";

const axis = (more: Partial<Axis> = {}): Axis => ({ label: "", scale: "linear", low: null, high: null, tick: null, own_range: false, ...more });
const layer = (more: Partial<Layer>): Layer => ({ name: "", colour: "red", alpha: 1, shape: "disc", x: [], y: [], z: [], notes: [], ...more });
const panel = (...layers: Layer[]): Panel => ({ title: "", layers, guides: [] });
const grid = (panels: number, columns: number): PanelsView => ({ form: "panels", columns, x: axis(), y: axis(), panels: Array.from({ length: panels }, () => panel()) });

test("given ends of an axis win, the others come from the data", () => {
  const panels = [panel(layer({ x: [0, 100], y: [1, 2] }))];
  const x = (more: Partial<Axis>) => rangeOf(axis(more), "x", panels, false);
  expect(x({})).toEqual({ low: -3, high: 103, log: false });
  expect(x({ low: 10, high: 20 })).toEqual({ low: 10, high: 20, log: false });
  expect(x({ low: 20, high: 10 })).toEqual({ low: 10, high: 20, log: false });
  expect(x({ low: 500 })).toEqual({ low: 500, high: 1000, log: false });
  expect(rangeOf(axis(), "x", [], false)).toBeNull();
  expect(rangeOf(axis({ low: 2 }), "x", [], false)).toEqual({ low: 2, high: 4, log: false });
});

test("a histogram fills the width, stands on the ground, and leaves zeros off a logarithmic axis", () => {
  const panels = [panel(layer({ shape: "steps", x: [-5, 0, 5], y: [0, 100] }))];
  expect(rangeOf(axis(), "x", panels, false)).toEqual({ low: -5, high: 5, log: false });
  expect(rangeOf(axis(), "y", panels, false)).toEqual({ low: 0, high: 106, log: false });
  expect(rangeOf(axis(), "y", panels, true)).toEqual({ low: 50, high: 500, log: true });
});

test("layers that are switched off do not widen an axis", () => {
  const panels = [panel(layer({ name: "a", x: [0], y: [0] }), layer({ name: "far", x: [1e6], y: [0] }))];
  expect(rangeOf(axis(), "x", panels, false, new Set(["far"]))?.high).toBeLessThan(10);
});

test("numbers and fractions of a range fit together on both scales", () => {
  const log = { low: 1, high: 100, log: true };
  expect([fraction(log, 10), valueAt(log, 0.5), fraction(log, 0), fraction(log, null)]).toEqual([0.5, 10, NaN, NaN]);
  const linear = { low: -10, high: 10, log: false };
  expect([fraction(linear, 0), valueAt(linear, 0.5)]).toEqual([0.5, 0]);
});

test("panels fill rows from the top left, and the pointer finds its panel", () => {
  const { boxes, shown } = gridOf(grid(5, 2), 5, { width: 800, height: 600 });
  expect(shown).toBe(5);
  const [first, second, third] = boxes;
  expect(first && second && first.left + first.width < second.left).toBe(true);
  expect(first && third && first.top + first.height < third.top).toBe(true);
  expect(panelAt({ columns: 2, shown, boxes }, (third?.left ?? 0) + 5, (third?.top ?? 0) + 5)).toBe(2);
  expect(panelAt({ columns: 2, shown, boxes }, 0, 0)).toBe(-1);
});

test("more panels than fit are left out, never drawn with a negative size", () => {
  const laid = gridOf(grid(10_000, 4e9), 10_000, { width: 300, height: 200 });
  expect(laid.shown).toBeLessThan(200);
  expect(laid.boxes.every((box) => box.width > 0 && box.height > 0)).toBe(true);
  expect(gridOf(grid(3, 0), 3, { width: 0, height: 0 }).boxes[0]?.width).toBeGreaterThan(0);
});

test("many panels make a higher card", () => {
  expect([heightOf(undefined), heightOf(grid(1, 1)), heightOf(grid(115, 11))]).toEqual([300, 320, 1100]);
});

test("equal names share an entry of the legend", () => {
  const view = { ...grid(0, 1), panels: [panel(layer({ name: "hits" }), layer({})), panel(layer({ name: "hits", colour: "blue" }))] };
  expect([...namesOf(view)].map(([name, { colour }]) => [name, colour])).toEqual([["hits", "red"]]);
});

test("multiplicities found late stand in the order of numbers", () => {
  const names = (...list: string[]) => panel(...list.map((name) => layer({ name })));
  const view = { ...grid(0, 1), panels: [names("1", "2", "5", "10+", "triggered"), names("1", "4", "triggered", "fit")] };
  expect([...namesOf(view).keys()]).toEqual(["1", "2", "4", "5", "10+", "triggered", "fit"]);
});

test("multiplicities under their whole names stood in the order of the panels", () => {
  const names = (...list: (number | string)[]) => panel(...list.map((name) => layer({ name: typeof name === "number" ? `multiplicity ${name}` : name })));
  const view = { ...grid(0, 1), panels: [names(1, 2, 6, "multiplicity 10 and more", "triggered"), names(1, 7, 8, "triggered"), names("DU 3")] };
  expect([...namesOf(view).keys()].map((name) => name.replace("multiplicity ", ""))).toEqual(["1", "2", "6", "7", "8", "10 and more", "triggered", "DU 3"]);
});

test("a legend of multiplicities says the word once", () => {
  const labels = labelsOf(["multiplicity 1", "multiplicity 2", "multiplicity 10 and more", "triggered"]);
  expect(labels).toEqual(["multiplicity 1", "2", "10 and more", "triggered"]);
});

test("the nearest point under the pointer is found, with what was said of it", () => {
  const plane = { box: { left: 0, top: 0, width: 100, height: 100 }, x: { low: 0, high: 10, log: false }, y: { low: 0, high: 10, log: false } };
  const hits = layer({ name: "hits", x: [1, 5], y: [1, 5], notes: ["far", "near"] });
  const at = found(plane, panel(hits), new Set(), 52, 49);
  expect(at.map((f) => f.layer.notes[f.at])).toEqual(["near"]);
  expect(found(plane, panel(hits), new Set(["hits"]), 52, 49)).toEqual([]);
  expect(found(plane, panel(hits), new Set(), 80, 20)).toEqual([]);
});

test("of a histogram the bin under the pointer is found", () => {
  const steps = layer({ shape: "steps", x: [0, 1, 2, 4], y: [5, 6, 7] });
  expect([-0.1, 0, 1.5, 2, 3.9, 4, 4.1, NaN].map((value) => binAt(steps, value))).toEqual([-1, 0, 1, 2, 2, 2, -1, -1]);
  expect(binAt(layer({ shape: "steps" }), 1)).toBe(-1);
});

test("the radius of a point is the root of its area", () => {
  expect([0, 1, 2, 3].map((at) => sizeOf(layer({ z: [4, null, 1e9] }), at))).toEqual([2, 1, 12, 1]);
});

test("ticks are round numbers", () => {
  expect(linearTicks(0, 1, 5).map((t) => t.at)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1].map((v) => expect.closeTo(v)));
  expect(logTicks(0.01, 100).map((t) => t.text)).toEqual(["0.01", "0.1", "1", "10", "100"]);
  expect(multiples(-10, 60, 25).map((t) => t.text)).toEqual(["0", "25", "50"]);
  expect([multiples(0, 1e9, 25), linearTicks(NaN, 1, 5), logTicks(0, 1)]).toEqual([[], [], []]);
});

test("minor ticks divide the step of a time axis", () => {
  expect(minorTimes(0, 3600, 3600)).toEqual([0, 900, 1800, 2700, 3600]);
  expect(minorTimes(0, 60, 60)).toEqual([0, 15, 30, 45, 60]);
});

const colours: Colours = { map: "m", low: 1, high: 10, log: true, under: null, over: null, missing: "white", label: "hits" };
const column = (number: number, rows: number[] = [], counts: number[] = rows.map(() => 1)): HitColumn => ({ number, at_ms: number * 1000, note: "", rows, counts });
const map = (columns: HitColumn[], more: Partial<HitMapView> = {}): HitMapView =>
  ({ form: "hitmap", x_label: "event", rows: 10, columns_max: 1000, row_labels: [], columns, marks: [], colours, ...more });

test("the newest event is at the right and there is room for some", () => {
  expect(slotsOf(map([column(0), column(4)]))).toEqual({ first: -35, count: 40 });
  expect(slotsOf(map([column(0), column(5000)]))).toEqual({ first: 4001, count: 1000 });
  expect(slotsOf(map([]))).toEqual({ first: -39, count: 40 });
});

test("no hit is lost where events and rows share a pixel", () => {
  const columns = Array.from({ length: 1000 }, (_, n) => column(n));
  columns[777] = column(777, [1234], [9]);
  columns[778] = column(778, [1234, 1235], [2, 3]);
  const cells = raster(map(columns, { rows: 2070 }), whole, 100, 50);
  expect([cells.columns, cells.rows]).toEqual([100, 50]);
  const hit = [...cells.counts.entries()].filter(([, n]) => n > 0);
  expect(hit).toEqual([[(49 - Math.floor((1234 * 50) / 2070)) * 100 + 77, 9]]);
});

test("a cell of a few events is as wide as its event", () => {
  const cells = raster(map([column(39, [0], [7])], { rows: 2 }), whole, 80, 4);
  expect([...cells.counts.keys()].filter((at) => cells.counts[at])).toEqual([78, 79].flatMap((x) => [2 * 80 + x, 3 * 80 + x]).sort((a, b) => a - b));
  const data = pixels(map([]), cells, () => [1, 2, 3]);
  expect([...data.slice(0, 4), ...data.slice((3 * 80 + 79) * 4, (3 * 80 + 79) * 4 + 4)]).toEqual([0, 0, 0, 0, 1, 2, 3, 255]);
});

test("hits outside the visible part are not painted at its edge", () => {
  const view = map([column(0, [0]), column(39, [9])], { columns_max: 40 });
  const left = raster(view, { x0: 0, x1: 0.5, y0: 0, y1: 0.5 }, 20, 5);
  expect([...left.counts].reduce((sum, n) => sum + n, 0)).toBe(1);
  const middle = raster(view, { x0: 0.25, x1: 0.75, y0: 0.25, y1: 0.75 }, 20, 5);
  expect([...middle.counts].some((n) => n > 0)).toBe(false);
});

test("the hit near the pointer is told, and where there is none the event", () => {
  const view = map([column(0), column(39, [5], [8])], { columns_max: 40 });
  const size = { width: 400, height: 100, window: whole };
  expect(near({ x: 0.99, y: 0.55 }, view, size)).toMatchObject({ row: 5, column: { number: 39 } });
  expect(near({ x: 0.97, y: 0.55 }, view, size)?.column.number).toBe(39);
  expect(near({ x: 0.99, y: 0.05 }, view, size)).toMatchObject({ row: 0, column: { number: 39 } });
  expect(near({ x: 0.5, y: 0.5 }, view, size)).toBeNull();
});

test("newer events are added once and old ones fall off", () => {
  const old = map([column(1), column(2)], { columns_max: 3 });
  const newer = map([column(2), column(3), column(5)], { columns_max: 3 });
  expect(appendColumns(old, newer).columns.map((c) => c.number)).toEqual([2, 3, 5]);
});

test("events of another start of the monitor are not joined to what the page has", () => {
  const output = (version: number, view: HitMapView) => ({ version, view }) as Output;
  const old = output(1, map([column(1), column(2)]));
  expect(joined(old, output(2, map([column(2), column(3)])))).toMatchObject({ columns: [{ number: 1 }, { number: 2 }, { number: 3 }] });
  expect(joined(old, output(2, map([])))).toBeUndefined();
  expect(joined(old, output(2, map([{ ...column(2), at_ms: 5 }])))).toBeUndefined();
  expect(joined(old, output(0, map([column(2)])))).toBeUndefined();
});

test("a page names what is not running, but asks nothing of its globs", () => {
  expect(absent([["ztplot", "hitmap"], ["pmt_rates_du*"], ["ztplot"]], ["hitmap"])).toEqual(["ztplot"]);
});

test("only names of stored events become links", () => {
  expect(storedEvent("/event_selection/ztplot_1_FI2_TC3")).toEqual({ href: "/event_selection/ztplot_1_FI2_TC3.png", name: "ztplot_1_FI2_TC3", picture: true });
  expect(storedEvent("/event_selection/second/a.png")).toEqual({ href: "/event_selection/second/a.png", name: "a.png", picture: true });
  expect(storedEvent("/event_selection/a.dat")?.picture).toBe(false);
  for (const other of ["/event_selection/", "/event_selection/../x", "/event_selection/a/../x", "/event_selection/a/b/c", "/event_selection/a/", "/event_selection/.x", "x", "/event_selection/a?b"]) {
    expect(storedEvent(other)).toBeNull();
  }
});

test("the worst alarm stands first, and one without a time does no harm", () => {
  const alarm = (severity: string, at?: string) => ({ severity, at, rule: `${severity} ${at}` }) as Alarm;
  const list = ranked([alarm("info", "2026-01-03"), alarm("alert", undefined), alarm("alert", "2026-01-01"), alarm("warning", "2026-01-02"), alarm("other")]);
  expect(list.map((a) => a.rule)).toEqual(["alert 2026-01-01", "alert undefined", "warning 2026-01-02", "other undefined", "info 2026-01-03"]);
});

test("the banner has the alarms of the engine with what became of them", () => {
  const columns = ["id", "severity", "state", "rule", "subject", "text", "since", "changed", "by", "until", "service"];
  const row = (id: number, state: string, by: string, until: string | null) => [id, "alert", state, "r", "DU 1", "text", "2026-01-01T00:00:00Z", "", by, until, "m"];
  const rows = [row(1, "firing", "", null), row(2, "acknowledged", "anna", null), row(3, "muted", "ben", "2026-01-02T03:00:00Z"), row(4, "pending", "", null), row(5, "resolved", "", null), ["x"]];
  const cases = casesOf({ form: "table", columns, rows });
  expect(cases.map((c) => c.id)).toEqual([1, 2, 3]);
  expect(cases.map(stateOf)).toEqual(["firing", "acknowledged by anna", "muted until 2026-01-02 03:00:00 UTC by ben"]);
  expect(cases[0]).toMatchObject({ rule: "r", subject: "DU 1", service: "m", until: null });
  expect(casesOf({ form: "table", columns: ["a"], rows: [[1]] })).toEqual([]);
  expect([[], ["warning", "info"], ["info", "alert"]].map(worstOf)).toEqual(["good", "warn", "bad"]);
});

const NOW_MS = Date.UTC(2026, 10, 21, 17, 30);

test("a mute has any length that the engine understands", () => {
  for (const text of ["45m", "2h", "1d12h", "1h 30m", "1.5h", "90 s", "30d", ...MUTES]) expect(muteEnd(text, NOW_MS)).toEqual({ for: text });
  expect(muteEnd("  for 2h ", NOW_MS)).toEqual({ for: "2h" });
});

test("a mute ends at any time that the engine understands", () => {
  for (const text of ["18:00", "18:00 UTC", "18:00utc", "18:00Z", "9:05", "17:30:00", "2026-11-21 18:00", "2026-11-21 18:00 UTC", "2026-11-21T18:00", "2026-11-21T18:00:00Z", "2026-11-21T19:00:00+01:00"]) {
    expect(muteEnd(`until ${text}`, NOW_MS)).toEqual({ until: text });
    expect(muteEnd(text, NOW_MS)).toEqual({ until: text });
  }
});

test("what is no length and no time is told, and is not sent", () => {
  const why = (text: string) => {
    const end = muteEnd(text, NOW_MS);
    return "wrong" in end ? end.wrong : `sent as ${JSON.stringify(end)}`;
  };
  for (const text of ["", "2", "h", "2x", "2 hours", "2h later", "-2h", "1..5h", "tonight", "<b>"]) expect(why(text)).toBe(`“${text}” is no length of time: expected such as 45m, 2h, 1d12h or until 18:00 UTC`);
  for (const text of ["18", "24:00", "18:60", "6pm", "2026-11-21", "18:00 CET", "18:00+01:00", "2026-13-01 18:00", "tomorrow"]) expect(why(`until ${text}`)).toContain(`“${text}” is no time: expected such as 45m`);
  for (const text of ["0s", "31d", "721h"]) expect(why(text)).toBe("a mute lasts at most 30 days, and some time");
  for (const text of ["2026-11-21 17:00", "2026-12-22 18:00", "2026-11-21T18:00:00+01:00"]) expect(why(`until ${text}`)).toBe("a mute ends in the future, within 30 days");
});

test("the number of a module or a run stood with thousands separators, which nobody can paste", () => {
  const table = { form: "table" as const, columns: ["DOM id", "run", "frame_index", "newest frame", "packets"], rows: [[806452076, 10001, 4005, 5114, 3611]] };
  expect([0, 1, 2, 3, 4].map((column) => isName(table, table.rows[0] ?? [], column))).toEqual([true, true, true, true, false]);
  const pairs = { form: "table" as const, columns: ["", "value"], rows: [["current run", 10001], ["run of the reference", 10002], ["runs seen", 10002], ["last DOM far off the clock", 806454969], ["events", 5510]] };
  expect(pairs.rows.map((row) => isName(pairs, row, 1))).toEqual([true, true, false, true, false]);
});

test("a heading wider than its panel lost its beginning", () => {
  const measure = (text: string) => 6 * text.length;
  expect(fitted("DU 113", 36, measure)).toBe("DU 113");
  expect(fitted("JGandalf track, 1993 entries", 96, measure)).toBe("JGandalf track,…");
  const { boxes, columns } = gridOf(grid(230, 16), 230, { width: 1360, height: 1100 });
  const spill = spillOf({ boxes, columns, shown: 230 });
  expect((boxes[0]?.left ?? 0) + (boxes[0]?.width ?? 0) + spill).toBeLessThan((boxes[1]?.left ?? 0) - spill);
  expect(spillOf({ boxes: boxes.slice(0, 1), columns: 1, shown: 1 })).toBe(0);
});

test("the heading of the next event stood over the picture of the one before", () => {
  expect(titleOf("ztplot", { title: "event 1" }, { title: "event 2" })).toBe("event 1");
  expect(titleOf("ztplot", null, { title: "event 2" })).toBe("event 2");
  expect(titleOf("ztplot", null, undefined)).toBe("ztplot");
});

test("round numbers of an axis have the digits they need", () => {
  expect(logTicks(3e-4, 2e-3).map((tick) => tick.text)).toEqual(["0.0005", "0.001", "0.002"]);
  expect(linearTicks(0, 4e-4, 4).map((tick) => tick.text)).toEqual(["0", "0.0001", "0.0002", "0.0003", "0.0004"]);
});
