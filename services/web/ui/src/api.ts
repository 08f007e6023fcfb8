// The server's data API: types as its JSON has them, and the calls that fetch them.

import type { Message } from "./messages";

export interface Losses {
  received: number;
  dropped: number;
  bad: number;
}

export interface OutputHead {
  name: string;
  title: string;
  form: View["form"];
  service: string;
  version: number;
  datum: string | null;
  interval_s: number;
  losses: Losses;
}

export interface Output extends OutputHead {
  view: View;
}

export type View = Series | MapView | ImageView | Histogram | Scalar | Table | PanelsView | HitMapView;
export type Numbers = (number | null)[];

export interface Series {
  form: "series";
  y_label: string;
  y_log: boolean;
  x_minor_ticks: boolean;
  times_ms: number[];
  curves: Curve[];
  marks: { at_ms: number; text: string }[];
}

export interface Curve {
  name: string;
  colour: string;
  marker: "none" | "diamond" | "cross" | "down" | "up";
  values: Numbers;
  errors: Numbers;
}

export interface Colours {
  map: string;
  low: number;
  high: number;
  log: boolean;
  under: string | null;
  over: string | null;
  missing: string;
  label: string;
}

export interface MapView {
  form: "map";
  x_label: string;
  y_label: string;
  x: number[];
  y: number[];
  id: number[];
  values: Numbers;
  details: { name: string; values: Numbers }[];
  colours: Colours;
}

export interface Column {
  at_ms: number;
  values: Numbers;
  overlay: number[];
}

export interface ImageView {
  form: "image";
  rows: number;
  column_s: number;
  columns_max: number;
  row_labels: { row: number; text: string }[];
  columns: Column[];
  colours: Colours;
  overlay_threshold: number;
  overlay_colour: string;
  overlay_label: string;
}

export interface Histogram {
  form: "histogram";
  x_label: string;
  y_label: string;
  y_log: boolean;
  edges: number[];
  counts: Numbers;
  underflow: number;
  overflow: number;
}

export interface Scalar {
  form: "scalar";
  value: number | null;
  unit: string;
}

export interface Table {
  form: "table";
  columns: string[];
  rows: unknown[][];
}

export interface PanelsView {
  form: "panels";
  columns: number;
  x: Axis;
  y: Axis;
  panels: Panel[];
}

export interface Axis {
  label: string;
  scale: "linear" | "log" | "time";
  low: number | null;
  high: number | null;
  tick: number | null;
  own_range: boolean;
}

export interface Panel {
  title: string;
  layers: Layer[];
  guides: Numbers;
}

export type Shape =
  | "disc" | "ring" | "plus" | "cross" | "square" | "line" | "dashed" | "steps" | "bars" | "band";

export interface Layer {
  name: string;
  colour: string;
  alpha: number;
  shape: Shape;
  x: Numbers;
  y: Numbers;
  z: Numbers;
  notes: string[];
}

export interface HitColumn {
  number: number;
  at_ms: number;
  note: string;
  rows: number[];
  counts: number[];
}

export interface HitMapView {
  form: "hitmap";
  x_label: string;
  rows: number;
  columns_max: number;
  row_labels: { row: number; text: string }[];
  columns: HitColumn[];
  marks: { number: number; text: string }[];
  colours: Colours;
}

export type State =
  | "STOPPED" | "STARTING" | "RUNNING" | "BACKOFF" | "STOPPING" | "EXITED" | "FATAL" | "UNKNOWN";

export interface Service {
  name: string;
  group: string;
  kind: string | null;
  run: string;
  state: State;
  description: string;
  want: "up" | "down";
  health: string;
  pid: number;
  restarts: number;
  since: string;
  last_exit: string | null;
  last_incident: number | null;
  after: string[];
  // Requests that only read; the page may make them.
  questions?: string[];
  counters: {
    received: number;
    received_bytes: number;
    sent: number;
    dropped: number;
    outputs: number;
    last_output: string | null;
    lag_s?: number | null;
    memory_bytes?: number | null;
    bad: Record<string, number>;
    // What whoever looks at it should know of it now.
    note?: string;
  };
  watch?: {
    rules: { rule: string; health: string; output_age_s: number | null; trouble: string | null }[];
    suspended: string | null;
    hold: { by: string; until: string | null } | null;
  };
  queues: { name: string; queued: number; queued_bytes: number; delivered: number; dropped: number }[];
}

export interface Stack {
  version: string;
  pid: number;
  started: string;
  stack: string;
  events: number;
  services: Service[];
}

export interface Page {
  path: string;
  title: string;
  view: "plots" | "services" | "logs" | "wall";
  rows: string[][];
}

export interface Config {
  stack: string;
  version: string;
  boot: string;
  can_control: boolean;
  // May take care of alarms.
  can_acknowledge: boolean;
  stale_after: number;
  pages: Page[];
  palette: string[];
  mark_colour: string;
  colour_maps: Record<string, string>;
}

export interface OutputList {
  now_ms: number;
  boot: string;
  outputs: OutputHead[];
}

export interface Alarm {
  service: string;
  rule: string;
  subject: string;
  severity: "info" | "warning" | "alert";
  firing: boolean;
  text: string;
  at: string;
}

export async function json<T>(response: Response): Promise<T> {
  if (!response.ok) {
    const said = (await response.json().catch(() => null)) as { error?: string } | null;
    throw new Error(said?.error ?? `${response.status} ${response.statusText}`);
  }
  return response.json() as Promise<T>;
}

export const fetchConfig = async () => json<Config>(await fetch("/api/config"));
export const fetchOutputs = async () => json<OutputList>(await fetch("/api/outputs"));
export const fetchStatus = async () => json<Stack>(await fetch("/api/status"));
export const fetchAlarms = async () => json<{ firing: Alarm[]; truncated?: number }>(await fetch("/api/alarms"));

export async function fetchLog(service: string, lines: number): Promise<string[]> {
  const path = `/api/logs/${encodeURIComponent(service || "_")}?lines=${lines}`;
  return (await json<{ lines: string[] }>(await fetch(path))).lines;
}

interface Hit {
  at: string | null;
  level: string;
  class: string;
  text: string;
}

export interface Found {
  messages: Message[];
  // There are older ones that were not looked at or did not fit.
  truncated: boolean;
  // Files that could not be read to their end, and why.
  unread: string[];
}

// Searches the files of the detector's log; the newest messages until a time [ms].
export async function searchMessages(
  filter: { text: string; regex: boolean; level: string; class: string },
  to_ms: number | null,
): Promise<Found> {
  const query = new URLSearchParams({ [filter.regex ? "regex" : "text"]: filter.text, level: filter.level, class: filter.class, limit: "1000" });
  if (to_ms !== null) query.set("to", new Date(to_ms).toISOString());
  const found = await json<{ messages: Hit[]; truncated: boolean; unread?: string[] }>(await fetch(`/api/messages?${query}`));
  const messages = found.messages.map(({ at, ...hit }, number) => ({ ...hit, number, at_ms: at === null ? null : Date.parse(at) }));
  return { messages, truncated: found.truncated, unread: found.unread ?? [] };
}

// `since`: only columns of an image after this time [ms], of a hit map after this number.
export async function fetchOutput(name: string, since?: number): Promise<Output> {
  const query = since === undefined ? "" : `?since=${since}`;
  return json<Output>(await fetch(`/api/outputs/${encodeURIComponent(name)}${query}`));
}

export interface Outcome {
  name: string;
  result: string;
  message: string;
}

export async function act(service: string, verb: "start" | "stop" | "restart"): Promise<Outcome[]> {
  const response = await fetch(`/api/services/${encodeURIComponent(service)}/${verb}`, { method: "POST" });
  return (await json<{ outcomes: Outcome[] }>(response)).outcomes;
}

export async function orderAlarm(verb: "acknowledge" | "mute" | "unmute", args: Record<string, string>): Promise<void> {
  await json<unknown>(await fetch(`/api/alarms/${verb}?${new URLSearchParams(args)}`, { method: "POST" }));
}
