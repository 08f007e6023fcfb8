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
