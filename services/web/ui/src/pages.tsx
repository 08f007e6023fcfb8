// Rows of plots, and a single large plot.

import { isGlob, matching } from "./format";
import { useLive } from "./live";
import { EventPage, HistoryPage } from "./asked";
import { PlotCard } from "./card";
import { CalibratedPage, HeardPage } from "./module_pages";
import { answers, kindOf } from "./questions";

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
  const kind = kindOf(live, service);
  if (kind === "acoustics" && asks("history")) return <HeardPage name={name} service={service} search={search} />;
  if (kind === "k40_calibration" && asks("dom")) return <CalibratedPage name={name} service={service} search={search} />;
  if (asks("history") && new URLSearchParams(search).has("dom_id")) return <HistoryPage name={name} service={service} search={search} />;
  return <section class="row single"><PlotCard key={name} name={name} large /></section>;
}
