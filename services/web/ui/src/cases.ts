// Alarms as data: what the engine's table says of them, and how they are ordered and named.

import type { Alarm, Table } from "./api";
import { utcDateTime } from "./format";

export const ENGINE_OUTPUT = "alarms";

// An alarm as the engine tells of it.
export interface Case {
  id: number;
  severity: string;
  state: string;
  rule: string;
  subject: string;
  text: string;
  since: string;
  by: string;
  until: string | null;
  service: string;
}

// Stages of which the banner tells; one that is pending does not count yet, one that is resolved not any more.
const SHOWN = ["firing", "acknowledged", "muted"];
// Rows of the engine's table; there may be more alarms.
export const ROWS_MAX = 1000;

// Reads the engine's table, whose rows have what needs somebody first.
export function casesOf(table: Table): Case[] {
  const at = (name: string) => table.columns.indexOf(name);
  const places = ["id", "severity", "state", "rule", "subject", "text", "since", "by", "until", "service"].map(at);
  return table.rows.flatMap((row) => {
    const [id, severity, state, rule, subject, text, since, by, until, service] = places.map((place) => row[place]);
    const words = [severity, state, rule, subject, text, since, by, service].map((cell) => (typeof cell === "string" ? cell : ""));
    if (typeof id !== "number" || !SHOWN.includes(words[1] ?? "")) return [];
    const [a = "", b = "", c = "", d = "", e = "", f = "", g = "", h = ""] = words;
    return [{ id, severity: a, state: b, rule: c, subject: d, text: e, since: f, by: g, until: typeof until === "string" ? until : null, service: h }];
  });
}

const RANK: Record<string, number> = { alert: 0, warning: 1, info: 2 };

// The worst first, then the newest.
export function ranked(alarms: Iterable<Alarm>): Alarm[] {
  const rank = (alarm: Alarm) => RANK[alarm.severity] ?? 1;
  return [...alarms].sort((a, b) => rank(a) - rank(b) || (b.at ?? "").localeCompare(a.at ?? ""));
}

export const when = (at: string | null | undefined) => {
  const ms = Date.parse(at ?? "");
  return Number.isFinite(ms) ? `${utcDateTime(ms)} UTC` : "";
};

// What became of an alarm, in words.
export function stateOf({ state, by, until }: Pick<Case, "state" | "by" | "until">): string {
  if (state === "acknowledged") return `acknowledged by ${by}`;
  if (state === "muted") return `muted until ${when(until)}${by && ` by ${by}`}`;
  return state;
}

export function worstOf(severities: string[]): "bad" | "warn" | "good" {
  if (severities.includes("alert")) return "bad";
  return severities.length > 0 ? "warn" : "good";
}

// How long a mute may last at most, as the engine has it [ms].
const MUTE_MAX_MS = 30 * 86_400_000;
const UNIT_MS: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 };
const EXPECTED = "expected such as 45m, 2h, 1d12h or until 18:00 UTC";

// When a mute ends, as the engine is told it: `for` a length or `until` a time.
export type MuteEnd = { for: string } | { until: string };

// Reads what somebody typed, by the grammar of `ctl alarms mute` and of the chatbot, or says what is wrong with it.
// The engine reads it again and has the last word.
export function muteEnd(typed: string, now_ms: number): MuteEnd | { wrong: string } {
  const text = typed.trim().replace(/\s+/g, " ");
  const until = text.replace(/^until /, "");
  if (until !== text || /^[\d-]*[ T]?\d+:/.test(text)) return muteUntil(until, now_ms);
  const length = text.replace(/^for /, "");
  const ms = lengthMs(length);
  if (ms === null) return { wrong: `“${text}” is no length of time: ${EXPECTED}` };
  return ms > 0 && ms <= MUTE_MAX_MS ? { for: length } : { wrong: "a mute lasts at most 30 days, and some time" };
}

// Numbers, each with its unit.
function lengthMs(text: string): number | null {
  const part = /\s*(\d[\d_]*(?:\.[\d_]*)?)\s*(d|h|ms|us|ns|m|s)(?![a-z])/y;
  let sum = 0;
  let end = 0;
  for (let found = part.exec(text); found; found = part.exec(text)) {
    sum += Number((found[1] ?? "").replaceAll("_", "")) * (UNIT_MS[found[2] ?? ""] ?? Number.NaN);
    end = part.lastIndex;
  }
  return end > 0 && end === text.length && Number.isFinite(sum) ? sum : null;
}

// A time of the day is the next such one in UTC, as is a date without an offset.
function muteUntil(text: string, now_ms: number): MuteEnd | { wrong: string } {
  const wrong = { wrong: `“${text}” is no time: ${EXPECTED} or until 2026-11-21 18:00` };
  const form = /^(\d{4}-\d\d-\d\d[ T])?(\d{1,2}):(\d\d)(:\d\d)? ?(UTC|utc|Z|z|[+-]\d\d:\d\d)?$/.exec(text);
  if (!form) return wrong;
  const [, day, hour = "", minute = "", second = ":00", zone = ""] = form;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second.slice(1)) > 59) return wrong;
  if (day === undefined) return /^[+-]/.test(zone) ? wrong : { until: text };
  const at = Date.parse(`${day.slice(0, 10)}T${hour.padStart(2, "0")}:${minute}${second}${/^[+-]/.test(zone) ? zone : "Z"}`);
  if (!Number.isFinite(at)) return wrong;
  return at > now_ms && at <= now_ms + MUTE_MAX_MS ? { until: text } : { wrong: "a mute ends in the future, within 30 days" };
}
