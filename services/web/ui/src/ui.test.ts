import { expect, test, vi } from "vitest";

import { type Colours, type ImageView, type OutputHead, searchMessages } from "./api";
import { appendColumns, isStale } from "./card";
import { painter, parseTable, position } from "./colours";
import { age, count, matching, number, roundTimes, timeLabels, utcDateTime } from "./format";
import { mergeAlarm, mergeHeads } from "./live";
import { levelOf } from "./logs";
import { append, fits, highlightsOf, lineOf, messageOf, missing, segments } from "./messages";
import { columnIndex, pixels } from "./plots/image";
import { fractionX, fractionY, gridOf } from "./plots/map";
import { aligned } from "./plots/series";
import { moved, whole, zoomed } from "./plots/viewport";

const colours: Colours = { map: "m", low: 0, high: 10, log: false, under: "U", over: "O", missing: "M", label: "rate" };
const css = (text: string) => ({ U: [1, 1, 1], O: [2, 2, 2], M: [3, 3, 3] })[text] as [number, number, number];

test("ages are read in two units", () => {
  expect([4, 200, 7500, 273600, -37].map(age)).toEqual(["4 s", "3 min 20 s", "2 h 5 min", "3 d 4 h", "-37 s"]);
});

test("times are UTC whatever the browser's zone", () => {
  expect(utcDateTime(1574424024_100)).toBe("2019-11-22 12:00:24");
});

test("a time axis has round times, and the date where it is new", () => {
  const { step_s, times_ms } = roundTimes(1574424024_000, 1574424324_000, 5);
  expect(step_s).toBe(60);
  expect(timeLabels(times_ms.map((ms) => ms / 1000), step_s).slice(0, 2)).toEqual(["12:01\n2019-11-22", "12:02"]);
  expect(timeLabels([1574380795, 1574380800], 5)).toEqual(["23:59:55\n2019-11-21", "00:00:00\n2019-11-22"]);
});

test("missing numbers are dashes, large ones keep their digits", () => {
  expect([null, NaN, 0, 421369, 0.04, 1.5e10].map(number)).toEqual(["–", "–", "0", "421,369", "0.04", "1.500e+10"]);
  expect([999, 44800, 999_950, 1_234_567, 12345678].map(count)).toEqual(["999", "44.8 k", "1000 k", "1.23 M", "12.3 M"]);
});

test("a starred row is sorted by number", () => {
  expect(matching("pmt_rates_du*", ["pmt_rates_du10", "pmt_rates_du2", "dom_rates"])).toEqual(["pmt_rates_du2", "pmt_rates_du10"]);
  expect(matching("a.b", ["axb"])).toEqual([]);
  expect(matching("pmt_rates_du?", ["pmt_rates_du10", "pmt_rates_du2"])).toEqual(["pmt_rates_du2"]);
});

test("colour bounds are inclusive; outside and missing values have their own colours", () => {
  const table = parseTable("000000ffffff");
  const paint = painter(colours, table, css);
  expect([0, 10, -0.1, 10.1, null].map(paint)).toEqual([[0, 0, 0], [255, 255, 255], [1, 1, 1], [2, 2, 2], [3, 3, 3]]);
  expect(position(10, { ...colours, low: 1, high: 100, log: true })).toBeCloseTo(0.5);
});

test("an older head never replaces a newer one", () => {
  const head = (version: number) => ({ name: "a", version }) as OutputHead;
  const heads = new Map<string, OutputHead>();
  mergeHeads([head(2)], heads);
  mergeHeads([head(1)], heads);
  expect(heads.get("a")?.version).toBe(2);
});

test("an alarm that stopped firing is gone", () => {
  const alarm = { service: "s", rule: "r", subject: "x", severity: "alert" as const, firing: true, text: "", at: "" };
  const alarms = new Map();
  mergeAlarm(alarm, alarms);
  expect(alarms.size).toBe(1);
  mergeAlarm({ ...alarm, firing: false }, alarms);
  expect(alarms.size).toBe(0);
});

test("a plot is stale after three intervals, or without data", () => {
  const head = { datum: "2026-01-01T00:00:00Z", interval_s: 10 } as OutputHead;
  const start = Date.parse("2026-01-01T00:00:00Z");
  expect([29_000, 31_000].map((ms) => isStale(head, start + ms))).toEqual([false, true]);
  expect(isStale({ ...head, datum: null }, start)).toBe(true);
});

const image: ImageView = {
  form: "image", rows: 2, column_s: 10, columns_max: 3, row_labels: [], colours, overlay_threshold: 0.5,
  overlay_colour: "red", overlay_label: "HRV",
  columns: [{ at_ms: 10_000, values: [1, 2], overlay: [] }, { at_ms: 30_000, values: [3, null], overlay: [0, 255] }],
};

test("a gap in time stays a gap in the image", () => {
  expect(image.columns.map((c) => columnIndex(image, c, 30_000))).toEqual([0, 2]);
});

test("row 0 is painted at the bottom and the overlay over everything", () => {
  const data = pixels(image, (value) => [value ?? 0, 0, 0], [9, 9, 9]);
  const pixel = (x: number, y: number) => [...data.slice((y * 3 + x) * 4, (y * 3 + x) * 4 + 4)];
  expect(pixel(0, 1)).toEqual([1, 0, 0, 255]);
  expect(pixel(0, 0)).toEqual([2, 0, 0, 255]);
  expect(pixel(1, 0)).toEqual([0, 0, 0, 0]);
  expect(pixel(2, 0)).toEqual([9, 9, 9, 255]);
});

test("new columns are added once and old ones fall off", () => {
  const newer = { ...image, columns: [{ at_ms: 30_000, values: [], overlay: [] }, { at_ms: 40_000, values: [], overlay: [] }, { at_ms: 50_000, values: [], overlay: [] }] };
  expect(appendColumns(image, newer).columns.map((c) => c.at_ms)).toEqual([30_000, 40_000, 50_000]);
});

test("detection units stand side by side whatever their numbers", () => {
  const grid = gridOf({ form: "map", x_label: "DU", y_label: "Floor", x: [2, 5, 5], y: [1, 1, 2], id: [1, 2, 3], values: [], details: [], colours });
  expect([fractionX(grid, 0), fractionX(grid, 1), fractionY(grid, 1), fractionY(grid, 2)]).toEqual([0.25, 0.75, 0.25, 0.75]);
});

test("a logarithmic axis leaves zeros out, a linear one keeps them", () => {
  const view = { form: "series" as const, y_label: "", y_log: true, x_minor_ticks: false, times_ms: [1000, 2000], marks: [],
    curves: [{ name: "a", colour: "", marker: "none" as const, values: [0, 4], errors: [] }] };
  expect(aligned(view, true)).toEqual([[1, 2], [null, 4]]);
  expect(aligned(view, false)).toEqual([[1, 2], [0, 4]]);
});

test("log lines are coloured by their level", () => {
  expect(["a ERROR b", "WARNING x", "ERRORS", "all STATUS"].map(levelOf)).toEqual(["ERROR", "WARN", "", "STATUS"]);
});

test("zoom keeps the point under the pointer and stays inside", () => {
  const near = zoomed(whole, { x: 0.25, y: 0.5 }, 0.5);
  expect(near).toEqual({ x0: 0.125, x1: 0.625, y0: 0.25, y1: 0.75 });
  expect(moved(near, 1, -1)).toEqual({ x0: 0, x1: 0.5, y0: 0.5, y1: 1 });
  expect(zoomed(near, { x: 0, y: 0 }, 100)).toEqual(whole);
});

const message = (number: number, level: string, text: string) => messageOf([number, 0, level, "DataFilter", text]);

test("messages that come twice are kept once, and ten thousand are kept", () => {
  const first = append([], [message(5, "ERROR", "a"), message(6, "ERROR", "b")]);
  const second = append(first, [message(6, "ERROR", "b"), message(7, "STATUS", "c")]);
  expect(second.map((m) => m.number)).toEqual([5, 6, 7]);
  expect(append(second, [message(7, "STATUS", "c")])).toBe(second);
  const many = Array.from({ length: 12_000 }, (_, n) => message(100 + n, "STATUS", ""));
  expect(append(second, many).length).toBe(10_000);
});

test("a file that cannot be searched looked like one without such messages", async () => {
  const search = async (answer: object) => {
    vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ scanned_bytes: 1, ...answer })));
    return searchMessages({ text: "x", regex: false, level: "", class: "" }, null);
  };
  try {
    const all = await search({ messages: [], truncated: false });
    expect([all.truncated, missing(all)]).toEqual([false, null]);
    const some = await search({ messages: [], truncated: true, unread: ["MSG_2026-01-29.log.gz: corrupt", "MSG_2026-01-28.log.gz: cut"] });
    expect(some.truncated).toBe(true);
    expect(missing(some)).toContain("MSG_2026-01-29.log.gz: corrupt; MSG_2026-01-28.log.gz: cut");
  } finally {
    vi.unstubAllGlobals();
  }
});

test("messages are filtered by words, expression, level and class", () => {
  const all = [message(1, "ERROR", "too many Packets"), message(2, "STATUS", "packets: 17")];
  const through = (part: object) => {
    const test = fits({ text: "", regex: false, level: "", class: "", ...part });
    return test && all.filter(test).map((m) => m.number);
  };
  expect(through({ text: "PACKETS" })).toEqual([1, 2]);
  expect(through({ text: "packets: \\d+$", regex: true })).toEqual([2]);
  expect(through({ text: "(", regex: true })).toBeNull();
  expect(through({ level: "ERROR", class: "DataFilter" })).toEqual([1]);
  expect(through({ class: "Other" })).toEqual([]);
});

test("what stands out is cut from its line, and the first highlight wins", () => {
  const highlights = highlightsOf([["\\bERROR\\b", "red", "", true], ["\\[DataFilter\\]", "white", "teal", false], ["RO", "blue", "", false], ["(", "", "", false]]);
  expect(highlights.length).toBe(3);
  const parts = segments(lineOf(message(1, "ERROR", "an ERROR here")), highlights);
  expect(parts.map(([text, h]) => [text, h?.colour ?? null])).toEqual([
    ["[DataFilter]", "white"], [": an ", null], ["ERROR", "red"], [" here", null],
  ]);
});
