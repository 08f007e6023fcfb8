// The one live connection of the page: heads of outputs, state of services, alarms, kept current by
// server-sent events. Components subscribe and are told when something they show has changed.

import { useEffect, useState } from "preact/hooks";

import { type Case, casesOf, ENGINE_OUTPUT } from "./cases";
import type { Alarm, Config, OutputHead, Stack } from "./api";
import { fetchAlarms, fetchConfig, fetchOutput, fetchOutputs, fetchStatus } from "./api";

export interface Live {
  connected: boolean;
  config: Config | null;
  stack: Stack | null;
  outputs: Map<string, OutputHead>;
  alarms: Map<string, Alarm>;
  // Conditions that hold beyond those that are listed.
  unlisted: number;
  // The alarms of the engine; null without one.
  cases: Case[] | null;
  // Server clock minus browser clock [ms]: ages are computed with the server's clock.
  skew_ms: number;
  error: string | null;
}

// Goes to another address of the page without loading it anew.
export function go(href: string) {
  history.pushState(null, "", href);
  dispatchEvent(new PopStateEvent("popstate"));
}

const ALARMS_MAX = 1000;
const RETRY_MS = 2000;

export const live: Live = {
  connected: false, config: null, stack: null, outputs: new Map(), alarms: new Map(), unlisted: 0, cases: null, skew_ms: 0, error: null,
};
const listeners = new Set<() => void>();
let pending = false;

// Tells all listeners once per animation frame, however many events came.
function changed() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    for (const listener of listeners) listener();
  });
}

export function mergeHeads(heads: OutputHead[], into: Map<string, OutputHead>) {
  for (const head of heads) {
    const known = into.get(head.name);
    if (!known || known.version <= head.version) into.set(head.name, { ...known, ...head });
  }
}

export function mergeAlarm(alarm: Alarm, into: Map<string, Alarm>) {
  const key = `${alarm.service} ${alarm.rule} ${alarm.subject}`;
  if (!alarm.firing) into.delete(key);
  else if (into.size < ALARMS_MAX || into.has(key)) into.set(key, alarm);
}

let casesVersion = -1;

// Fetches the alarms of the engine when they are newer than those that are there; one at a time.
async function loadCases() {
  const version = live.outputs.get(ENGINE_OUTPUT)?.version;
  if (version === undefined) {
    live.cases = null;
    casesVersion = -1;
    return;
  }
  if (version === casesVersion) return;
  casesVersion = version;
  const output = await fetchOutput(ENGINE_OUTPUT).catch(() => null);
  if (output?.view.form === "table") live.cases = casesOf(output.view);
  else if (output === null) casesVersion = -1;
  changed();
}

async function load() {
  const [config, outputs, alarms] = await Promise.all([fetchConfig(), fetchOutputs(), fetchAlarms()]);
  live.config = config;
  live.alarms = new Map();
  for (const alarm of alarms.firing) mergeAlarm(alarm, live.alarms);
  live.unlisted = (alarms.truncated ?? 0) + alarms.firing.length - live.alarms.size;
  live.skew_ms = outputs.now_ms - Date.now();
  // Versions start anew when the server was restarted, so older ones must not win.
  live.outputs = new Map(outputs.outputs.map((head) => [head.name, head]));
  live.error = null;
  // Versions start anew when the server was restarted.
  casesVersion = -1;
  await loadCases();
  // The page works without the supervisor's answer; the next status event brings it.
  live.stack = await fetchStatus().catch(() => live.stack);
}

const reload = () => void load().catch(fail).finally(changed);

function listen() {
  const source = new EventSource("/api/live");
  const on = <T,>(name: string, take: (data: T) => void) =>
    source.addEventListener(name, (event) => {
      take(JSON.parse((event as MessageEvent<string>).data) as T);
      changed();
    });
  // First on every connection: whatever changed while there was none is fetched once.
  on<{ now_ms: number }>("hello", ({ now_ms }) => {
    live.connected = true;
    live.skew_ms = now_ms - Date.now();
    reload();
  });
  on<{ now_ms: number; outputs: OutputHead[] }>("outputs", ({ now_ms, outputs }) => {
    live.skew_ms = now_ms - Date.now();
    mergeHeads(outputs, live.outputs);
    void loadCases();
  });
  on<Stack>("status", (stack) => { live.stack = stack; });
  on<Alarm>("alarm", (alarm) => mergeAlarm(alarm, live.alarms));
  on("lagged", reload);
  source.onerror = () => {
    live.connected = false;
    changed();
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  };
}

function fail(error: unknown) {
  live.error = String(error);
}

export function connect() {
  reload();
  listen();
}

// Re-renders the component when the live state changes, and each second for the ages.
export function useLive(): Live {
  const [, tick] = useState(0);
  useEffect(() => {
    const update = () => tick((n) => n + 1);
    listeners.add(update);
    const timer = setInterval(update, 1000);
    return () => {
      listeners.delete(update);
      clearInterval(timer);
    };
  }, []);
  return live;
}

export const serverNow = () => Date.now() + live.skew_ms;
