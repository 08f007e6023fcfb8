// One plot with its heading, age and losses. Fetches its data when a newer version is announced and
// the card is on the screen.

import { useEffect, useRef, useState } from "preact/hooks";

import type { Column, HitColumn, HitMapView, ImageView, Output, OutputHead, View } from "./api";
import { fetchOutput } from "./api";
import { age, count, utcDateTime } from "./format";
import { serverNow, useLive } from "./live";
import { heightOf } from "./plots/grid";
import { HistogramPlot } from "./plots/histogram";
import { HitMapPlot } from "./plots/hitmap";
import { ImagePlot } from "./plots/image";
import { MapPlot } from "./plots/map";
import { PanelsPlot } from "./plots/panels";
import { SeriesPlot } from "./plots/series";
import { ScalarPlot, TablePlot } from "./plots/table";
import { answers } from "./questions";

export function PlotCard({ name, large = false }: { name: string; large?: boolean }) {
  const live = useLive();
  const { outputs, config } = live;
  const head = outputs.get(name);
  const [card, seen] = useOnScreen();
  const [output, error] = useOutput(name, head?.version ?? 0, seen);
  const stale = isStale(head, serverNow(), config?.stale_after);
  return (
    <article ref={card} id={`plot-${name}`} class={`${stale ? "stale" : ""} ${large ? "large" : ""}`} data-version={output?.version ?? 0}>
      <h2>
        <a href={`/plot/${encodeURIComponent(name)}`}>{titleOf(name, output, head)}</a>
        {head && <Badges head={head} stale={stale} />}
        <span class="links">
          <a href={`/plots/${encodeURIComponent(name)}.png`} title="Picture">PNG</a>
          <a href={`/api/outputs/${encodeURIComponent(name)}`} title="Values">JSON</a>
        </span>
      </h2>
      {error && <p class="error">{error}</p>}
      <div class="canvas" style={large ? {} : { height: `${heightOf(output?.view)}px` }}>{output ? <ViewPlot view={output.view} service={output.service} history={answers(live, output.service, "history") ? name : undefined} /> : <p class="notice">waiting for the first data</p>}</div>
    </article>
  );
}

// The heading says what the picture shows, also while a newer one, such as of the next event, is fetched.
export const titleOf = (name: string, shown: { title: string } | null, head: { title: string } | undefined) =>
  shown?.title ?? head?.title ?? name;

export function isStale(head: OutputHead | undefined, now_ms = serverNow(), intervals = 3): boolean {
  if (!head?.datum) return true;
  return now_ms - Date.parse(head.datum) > intervals * head.interval_s * 1000;
}

function Badges({ head, stale }: { head: OutputHead; stale: boolean }) {
  const old = head.datum === null ? "no data yet" : age((serverNow() - Date.parse(head.datum)) / 1000);
  const when = head.datum === null ? "" : `newest datum ${utcDateTime(Date.parse(head.datum))} UTC`;
  const { received, dropped, bad } = head.losses;
  return (
    <>
      <span class={`badge ${stale ? "bad" : "good"}`} title={when}>{stale && head.datum !== null ? `stale, ${old}` : old}</span>
      {dropped + bad > 0 && (
        <a class="badge bad" href={`/logs.html?service=${encodeURIComponent(head.service)}`} title={`${received} received, ${dropped} dropped, ${bad} unreadable`}>
          {dropped > 0 && `${count(dropped)} dropped `}{bad > 0 && `${count(bad)} bad`}
        </a>
      )}
      <span class="messages" title={`from ${head.service}`}>{count(received)} messages</span>
    </>
  );
}

// One view, of a service where it is an output; `history` names the plot beside which the history of a
// place is shown, if there is one.
export function ViewPlot({ view, service, history }: { view: View; service?: string; history?: string | undefined }) {
  switch (view.form) {
    case "series": return <SeriesPlot view={view} />;
    case "map": return <MapPlot view={view} history={history} />;
    case "image": return <ImagePlot view={view} />;
    case "histogram": return <HistogramPlot view={view} />;
    case "scalar": return <ScalarPlot view={view} />;
    case "table": return <TablePlot view={view} service={service} />;
    case "panels": return <PanelsPlot view={view} />;
    case "hitmap": return <HitMapPlot view={view} />;
  }
}

type Columns = ImageView | HitMapView;

// What orders the columns of a view: time in an image, the number of the event in a hit map.
const placeOf = (column: Column | HitColumn) => ("number" in column ? column.number : column.at_ms);

export function lastPlace(view: View | undefined): number | undefined {
  if (view?.form !== "image" && view?.form !== "hitmap") return undefined;
  const last = view.columns.at(-1);
  return last && placeOf(last);
}

// Adds the newer columns of an image or a hit map to those the page has already.
export function appendColumns<T extends Columns>(old: T, newer: T): T {
  const last = lastPlace(old) ?? -Infinity;
  const fresh = (newer.columns as (Column | HitColumn)[]).filter((column) => placeOf(column) > last);
  const columns = [...old.columns, ...fresh].slice(-newer.columns_max);
  return { ...newer, columns };
}

function useOutput(name: string, version: number, wanted: boolean): [Output | null, string | null] {
  const [output, setOutput] = useState<Output | null>(null);
  const [error, setError] = useState<string | null>(null);
  const busy = useRef(false);
  const shown = output?.version ?? -1;
  useEffect(() => {
    if (!wanted || busy.current || shown === version) return;
    busy.current = true;
    newest(name, output)
      .then((fresh) => { setOutput(fresh); setError(null); })
      .catch((reason: unknown) => setError(String(reason)))
      .finally(() => { busy.current = false; });
  }, [name, version, wanted, shown]);
  return [output, error];
}

async function newest(name: string, old: Output | null): Promise<Output> {
  const last = lastPlace(old?.view);
  // Of a hit map the newest known column comes again: it tells whether what follows is its future.
  const since = last !== undefined && old?.view.form === "hitmap" ? last - 1 : last;
  const fresh = await fetchOutput(name, since);
  if (last === undefined || !old) return fresh;
  const view = joined(old, fresh);
  return view ? { ...fresh, view } : fetchOutput(name);
}

// The old columns with the new ones; none when what the page has is not the past of what came: a
// lower version means that the server was restarted, another newest column that the monitor was.
export function joined(old: Output, fresh: Output): View | undefined {
  if (fresh.version < old.version) return undefined;
  const [was, is] = [old.view, fresh.view];
  if (was.form === "image" && is.form === "image" && was.rows === is.rows) return appendColumns(was, is);
  if (was.form !== "hitmap" || is.form !== "hitmap" || was.rows !== is.rows) return undefined;
  const [last, first] = [was.columns.at(-1), is.columns[0]];
  return last && first && last.number === first.number && last.at_ms === first.at_ms ? appendColumns(was, is) : undefined;
}

function useOnScreen() {
  const card = useRef<HTMLElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!card.current) return;
    const observer = new IntersectionObserver(([entry]) => setSeen(entry?.isIntersecting ?? false), { rootMargin: "200px" });
    observer.observe(card.current);
    return () => observer.disconnect();
  }, []);
  return [card, seen] as const;
}
