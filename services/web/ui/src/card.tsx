// One plot with its heading, age and losses. Fetches its data when a newer version is announced and
// the card is on the screen.

import { useEffect, useRef, useState } from "preact/hooks";

import type { ImageView, Output, OutputHead } from "./api";
import { fetchOutput } from "./api";
import { age, count, utcDateTime } from "./format";
import { serverNow, useLive } from "./live";
import { HistogramPlot } from "./plots/histogram";
import { ImagePlot } from "./plots/image";
import { MapPlot } from "./plots/map";
import { SeriesPlot } from "./plots/series";
import { ScalarPlot, TablePlot } from "./plots/table";

export function PlotCard({ name, large = false }: { name: string; large?: boolean }) {
  const { outputs, config } = useLive();
  const head = outputs.get(name);
  const [card, seen] = useOnScreen();
  const [output, error] = useOutput(name, head?.version ?? 0, seen);
  const stale = isStale(head, serverNow(), config?.stale_after);
  return (
    <article ref={card} id={`plot-${name}`} class={`${stale ? "stale" : ""} ${large ? "large" : ""}`} data-version={output?.version ?? 0}>
      <h2>
        <a href={`/plot/${encodeURIComponent(name)}`}>{head?.title ?? name}</a>
        {head && <Badges head={head} stale={stale} />}
        <span class="links">
          <a href={`/plots/${encodeURIComponent(name)}.png`} title="Picture">PNG</a>
          <a href={`/api/outputs/${encodeURIComponent(name)}`} title="Values">JSON</a>
        </span>
      </h2>
      {error && <p class="error">{error}</p>}
      <div class="canvas">{output ? <Plot output={output} /> : <p class="notice">waiting for the first data</p>}</div>
    </article>
  );
}

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
        <span class="badge bad" title={`${received} received, ${dropped} dropped, ${bad} unreadable`}>
          {dropped > 0 && `${count(dropped)} dropped `}{bad > 0 && `${count(bad)} bad`}
        </span>
      )}
      <span class="messages" title={`from ${head.service}`}>{count(received)} messages</span>
    </>
  );
}

function Plot({ output }: { output: Output }) {
  const { view } = output;
  switch (view.form) {
    case "series": return <SeriesPlot view={view} />;
    case "map": return <MapPlot view={view} />;
    case "image": return <ImagePlot view={view} />;
    case "histogram": return <HistogramPlot view={view} />;
    case "scalar": return <ScalarPlot view={view} />;
    case "table": return <TablePlot view={view} />;
  }
}

// Adds the newer columns of an image to those the page has already.
export function appendColumns(old: ImageView, newer: ImageView): ImageView {
  const last = old.columns.at(-1)?.at_ms ?? -Infinity;
  const columns = [...old.columns, ...newer.columns.filter((column) => column.at_ms > last)];
  return { ...newer, columns: columns.slice(-newer.columns_max) };
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
  const last = old?.view.form === "image" ? old.view.columns.at(-1)?.at_ms : undefined;
  const fresh = await fetchOutput(name, last);
  // A lower version means that the server was restarted: what the page has is not its past.
  if (last === undefined || old?.view.form !== "image" || fresh.view.form !== "image") return fresh;
  if (fresh.version < old.version || fresh.view.rows !== old.view.rows) return fetchOutput(name);
  return { ...fresh, view: appendColumns(old.view, fresh.view) };
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
