// Rows of plots, a single large plot, and the list of alarms.

import { useState } from "preact/hooks";

import type { Alarm } from "./api";
import { isGlob, matching, utcDateTime } from "./format";
import { useLive } from "./live";
import { EventPage, HistoryPage } from "./asked";
import { PlotCard } from "./card";
import { answers } from "./questions";

// A wall shows what there is and says no more.
export function Rows({ rows, wall = false }: { rows: string[][]; wall?: boolean }) {
  const names = [...useLive().outputs.keys()];
  const filled = rows.map((row) => row.flatMap((entry) => matching(entry, names)));
  const missing = absent(rows, names);
  return (
    <>
      {filled.map((row, at) => row.length > 0 && (
        <section key={rows[at]?.join()} class="row">{row.map((name) => <PlotCard key={name} name={name} />)}</section>
      ))}
      {missing.length > 0 && !wall && <p class="absent">Not running here: {missing.join(", ")}</p>}
      {rows.length > 0 && filled.every((row) => row.length === 0) && (wall || missing.length === 0) && <p class="notice">Nothing of this page is running here.</p>}
    </>
  );
}

// Plots that a page names and nobody publishes; a glob asks for none in particular.
export function absent(rows: string[][], names: string[]): string[] {
  const there = new Set(names);
  return [...new Set(rows.flat())].filter((entry) => !isGlob(entry) && !there.has(entry));
}

export function PlotPage({ name, search }: { name: string; search: string }) {
  const live = useLive();
  const head = live.outputs.get(name);
  if (!head) return <p class="notice">There is no plot named {name}.</p>;
  const { service, form } = head;
  const asks = (verb: string) => answers(live, service, verb);
  if (form === "panels" && asks("event")) return <EventPage name={name} service={service} search={search} />;
  if (asks("history") && new URLSearchParams(search).has("dom_id")) return <HistoryPage name={name} service={service} search={search} />;
  return <section class="row single"><PlotCard key={name} name={name} large /></section>;
}

const RANK: Record<string, number> = { alert: 0, warning: 1, info: 2 };

// The worst first, then the newest.
export function ranked(alarms: Iterable<Alarm>): Alarm[] {
  const rank = (alarm: Alarm) => RANK[alarm.severity] ?? 1;
  return [...alarms].sort((a, b) => rank(a) - rank(b) || (b.at ?? "").localeCompare(a.at ?? ""));
}

const when = (at: string | undefined) => {
  const ms = Date.parse(at ?? "");
  return Number.isFinite(ms) ? `${utcDateTime(ms)} UTC` : "";
};

export function Alarms({ alarms, unlisted }: { alarms: Map<string, Alarm>; unlisted: number }) {
  const [open, setOpen] = useState(false);
  const { config, outputs } = useLive();
  const list = ranked(alarms.values());
  const total = list.length + unlisted;
  const worst = list.some((a) => a.severity === "alert") ? "bad" : list.length > 0 ? "warn" : "good";
  const page = outputs.has("alarms") ? config?.pages.find((p) => p.rows.flat().includes("alarms")) : undefined;
  return (
    <div class="alarms">
      <button type="button" class={`badge ${worst}`} aria-expanded={open} onClick={() => setOpen(!open)}>
        {total} alarm{total === 1 ? "" : "s"}
      </button>
      {open && (
        <ul>
          {page && <li><a href={page.path} onClick={() => setOpen(false)}>All alarms, acknowledged and muted ones, and their history</a></li>}
          {list.length === 0 && <li>No condition holds that this page has heard of.</li>}
          {list.map((a) => (
            <li key={`${a.service} ${a.rule} ${a.subject}`} class={a.severity}>
              <b>{a.rule}</b> {a.subject}: {a.text} <small>{when(a.at)}</small>
            </li>
          ))}
          {unlisted > 0 && <li>and {unlisted} more</li>}
        </ul>
      )}
    </div>
  );
}
