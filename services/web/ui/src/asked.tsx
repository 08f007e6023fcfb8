// Answers of services beside a plot: an event by itself with the DUs chosen, and the history of a DOM.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

import { PlotCard, ViewPlot } from "./card";
import { go, useLive } from "./live";
import { type Arguments, ask, type Asked, askPath, type DomHistory, eventTitle, eventWish, historySeries, isPlain, LEVELS, linkTo, numbersOf, wishArguments, wishLink } from "./questions";

// A stored event is read from its file first; the service says so and has it a moment later.
const LATER = /ask again/;
const AGAIN_MS = 1000;
const TRIES_MAX = 5;

// Asks anew when the question or the version changes; an old answer stays until the new one is there.
export function useAnswer<T>(service: string, verb: string, args: Arguments, version: number): [T | null, string | null] {
  const path = askPath(service, verb, args);
  const [answer, setAnswer] = useState<{ path: string; value: T } | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    let wanted = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const put = (tries: number) => ask<T>(service, verb, args)
      .then((value) => { if (wanted) { setAnswer({ path, value }); setError(null); } })
      .catch((reason: Error) => {
        if (!wanted) return;
        setError(reason.message);
        if (LATER.test(reason.message) && tries < TRIES_MAX) timer = setTimeout(() => void put(tries + 1), AGAIN_MS);
      });
    void put(1);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [path, version]);
  return [answer?.path === path ? answer.value : null, error];
}

export function AskedCard({ name, path, error, children, ...heading }: { name: string; path: string; error: string | null; title: ComponentChildren; children: ComponentChildren }) {
  return (
    <article id={`plot-${name}`} class="large asked">
      <h2>
        {heading.title}
        <span class="links"><a href={path} title="Values">JSON</a></span>
      </h2>
      {error && <p class="error">{error}</p>}
      <div class="canvas">{children ?? (!error && <p class="notice">asked, waiting for the answer</p>)}</div>
    </article>
  );
}

// The event display: the newest event, or the one of the address, with the DUs of the address.
export function EventPage({ name, service, search }: { name: string; service: string; search: string }) {
  const wish = eventWish(search);
  return (
    <>
      <DuChoice key={search} name={name} search={search} />
      {isPlain(wish) ? <PlotCard key={name} name={name} large /> : <EventCard name={name} service={service} search={search} />}
    </>
  );
}

function EventCard({ name, service, search }: { name: string; service: string; search: string }) {
  const { outputs } = useLive();
  const wish = eventWish(search);
  const chosen = Object.keys(wish.event).length > 0;
  const args = wishArguments(wish);
  // An event does not change; the newest one does.
  const [asked, error] = useAnswer<Asked>(service, "event", args, chosen ? 0 : outputs.get(name)?.version ?? 0);
  const title = asked?.title ?? (chosen ? eventTitle(wish.event) : outputs.get(name)?.title ?? name);
  return (
    <AskedCard name={name} path={askPath(service, "event", args)} error={error} title={<>{title}{chosen && <a href={wishLink(name, { ...wish, event: {} })}>to the newest event</a>}</>}>
      {asked && <ViewPlot key={search} view={asked.view} />}
    </AskedCard>
  );
}

function DuChoice({ name, search }: { name: string; search: string }) {
  const wish = eventWish(search);
  const [dus, setDus] = useState(wish.dus);
  const [most, setMost] = useState(wish.most);
  const [fit, setFit] = useState(wish.fit);
  const wrong = numbersOf(dus) === null;
  const show = (event: Event) => {
    event.preventDefault();
    if (!wrong) go(wishLink(name, { ...wish, dus, most: Number(most) > 0 ? most : "", fit }));
  };
  return (
    <form class="choice" onSubmit={show}>
      <label>DUs <input type="text" class={wrong ? "wrong" : ""} placeholder="all, or 1-3, 7" value={dus} onInput={(event) => setDus(event.currentTarget.value)} /></label>
      <label>at most <input type="number" min="1" max="999" placeholder="all" value={most} onInput={(event) => setMost(event.currentTarget.value)} /></label>
      <label><input type="checkbox" checked={fit} onChange={(event) => setFit(event.currentTarget.checked)} /> line fit and residuals</label>
      <button type="submit" disabled={wrong}>show</button>
      {(wish.dus || wish.most) && <a href={linkTo(name, wish.event)}>all DUs</a>}
    </form>
  );
}

// The rates of one DOM over time.
export function HistoryPage({ name, service, search }: { name: string; service: string; search: string }) {
  const { outputs, config } = useLive();
  const params = new URLSearchParams(search);
  const args = { dom_id: params.get("dom_id") ?? "", level: params.get("level") ?? "1min" };
  const [history, error] = useAnswer<DomHistory>(service, "history", args, outputs.get(name)?.version ?? 0);
  const place = history ? `DU ${history.du}, floor ${history.floor}` : `DOM ${args.dom_id}`;
  const title = (
    <>
      {place}: rate over time <span class="messages">id {args.dom_id}</span>
      {LEVELS.map((level) => <a key={level} class="level" href={linkTo(name, { ...args, level })} aria-current={level === args.level ? "true" : undefined}>{level}</a>)}
      <a href={linkTo(name, {})}>to the map</a>
    </>
  );
  return (
    <AskedCard name={name} path={askPath(service, "history", args)} error={error} title={title}>
      {history && <ViewPlot key={`${args.dom_id} ${args.level}`} view={historySeries(history, config?.palette ?? [])} />}
    </AskedCard>
  );
}
