// Questions to services: who answers what, what a click asks for, and the links that stand for it.

import type { Output, OutputHead, Series, Service } from "./api";
import { json } from "./api";

interface Known {
  stack: { services: Pick<Service, "name" | "questions">[] } | null;
  outputs: Map<string, Pick<OutputHead, "name" | "service" | "form">>;
}

export type Arguments = Record<string, string>;

// The numbers stay text: counters go beyond what a number of the browser holds.
const EVENT_KEYS = ["name", "run", "frame_index", "trigger_counter"] as const;
const DUS_MAX = 200;

export function answers({ stack }: Known, service: string, verb: string): boolean {
  return stack?.services.find((s) => s.name === service)?.questions?.includes(verb) ?? false;
}

// What kind of service answers, as far as it is known.
export function kindOf({ stack }: { stack: { services: Pick<Service, "name" | "kind">[] } | null }, service: string): string | null {
  return stack?.services.find((s) => s.name === service)?.kind ?? null;
}

// The plot in which single events can be shown, if any; that of a service where it has one.
export function eventPlot(known: Known, service?: string | undefined): string | null {
  const plots = [...known.outputs.values()].filter((head) => head.form === "panels" && answers(known, head.service, "event"));
  const plot = plots.find((head) => head.service === service) ?? plots[0];
  return plot?.name ?? null;
}

// The event of a column of a hit map, by the note that `triggermap` writes.
export function eventOf(note: string): Arguments | null {
  const [, run, frame_index, trigger_counter] = /\brun (\d+) frame (\d+) counter (\d+)\b/.exec(note) ?? [];
  return run && frame_index && trigger_counter ? { run, frame_index, trigger_counter } : null;
}

// The address of the page that shows an answer beside a plot.
export function linkTo(plot: string, args: Arguments): string {
  const query = new URLSearchParams(args).toString();
  return `/plot/${encodeURIComponent(plot)}${query && `?${query}`}`;
}

export const askPath = (service: string, verb: string, args: Arguments) =>
  `/api/ask/${encodeURIComponent(service)}/${verb}?${new URLSearchParams(args)}`;

export async function ask<T>(service: string, verb: string, args: Arguments): Promise<T> {
  return json<T>(await fetch(askPath(service, verb, args)));
}

// Numbers as people list them: `1-3, 7`; none for nothing, null for what is no such list.
export function numbersOf(text: string): number[] | null {
  const numbers = new Set<number>();
  for (const part of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const [, from, to] = /^(\d{1,6})(?:\s*-\s*(\d{1,6}))?$/.exec(part) ?? [];
    const [low, high] = [Number(from), Number(to ?? from)];
    if (from === undefined || high < low || high - low >= DUS_MAX) return null;
    for (let n = low; n <= high; n++) numbers.add(n);
  }
  return numbers.size > DUS_MAX ? null : [...numbers];
}

export interface EventWish {
  // Which event; the newest one when empty.
  event: Arguments;
  // DUs as the address has them: which, and how many at most.
  dus: string;
  most: string;
  // With the line fit of every DU and the residuals over it.
  fit: boolean;
}

export function eventWish(search: string): EventWish {
  const params = new URLSearchParams(search);
  const event = EVENT_KEYS.flatMap((key) => (params.get(key) ? [[key, params.get(key) ?? ""]] : []));
  return { event: Object.fromEntries(event) as Arguments, dus: params.get("dus") ?? "", most: params.get("most") ?? "", fit: params.get("fit") === "true" };
}

// What an event is called while nothing is known but its numbers.
export function eventTitle({ name, run, frame_index, trigger_counter }: Arguments): string {
  const named = Object.entries({ run, frame: frame_index, counter: trigger_counter }).filter(([, value]) => value !== undefined);
  return name ?? `Event of ${named.map(([key, value]) => `${key} ${value}`).join(", ")}`;
}

// The address of a wish, and what is asked for it.
export function wishLink(plot: string, { event, dus, most, fit }: EventWish): string {
  return linkTo(plot, { ...event, ...(dus.trim() && { dus: dus.trim() }), ...(most && { most }), ...(fit && { fit: "true" }) });
}

export function wishArguments({ event, dus, most, fit }: EventWish): Arguments {
  const numbers = numbersOf(dus) ?? [];
  return { ...event, ...(numbers.length > 0 && { dus: JSON.stringify(numbers) }), ...(/^\d{1,4}$/.test(most) && { dus_max: most }), ...(fit && { fit: "true" }) };
}

export const isPlain = (wish: EventWish) => Object.keys(wishArguments(wish)).length === 0;

export interface DomHistory {
  dom_id: number;
  du: number;
  floor: number;
  level: string;
  times_ms: number[];
  mean_khz: number[];
  min_khz: number[];
  max_khz: number[];
}

export const LEVELS = ["1s", "1min", "1h"];

export function historySeries(history: DomHistory, palette: string[]): Series {
  const curve = (name: string, at: number, values: number[]) => ({ name, colour: palette[at] ?? "#888", marker: "none" as const, values, errors: [] });
  return {
    form: "series", y_label: "rate [kHz]", y_log: false, x_minor_ticks: false, times_ms: history.times_ms, marks: [],
    // The mean comes last, so that the others do not hide it.
    curves: [curve("lowest", 2, history.min_khz), curve("highest", 1, history.max_khz), curve("mean", 0, history.mean_khz)],
  };
}

export interface FaultyMessage {
  number: number;
  tag: string;
  source: string;
  received: string;
  reason: string;
  error: string;
  bytes: number;
  kept_bytes: number;
  body_hex: string;
}

export async function fetchFaulty(service: string): Promise<FaultyMessage[]> {
  return (await json<{ messages: FaultyMessage[] }>(await fetch(`/api/faulty/${encodeURIComponent(service)}`))).messages;
}

// What an event display that is asked for has in place of the head of an output.
export type Asked = Pick<Output, "name" | "title" | "view">;
