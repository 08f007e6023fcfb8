// The frame of every page: name of the stack, navigation, state of the stack, UTC clock.

import { useEffect, useState } from "preact/hooks";

import { Alarms } from "./alarms";
import type { Page, Stack } from "./api";
import { utcTime } from "./format";
import { go, serverNow, useLive } from "./live";
import { Logs } from "./logs";
import { PlotPage, Rows } from "./pages";
import { Services } from "./services";

const normal = (path: string) => (path === "/index.html" ? "/" : path);

const here = () => normal(location.pathname) + location.search;

// Follows links inside the page without loading it anew, so that the live connection stays. Returns
// the path and what is asked for behind it.
function usePlace(): [string, string] {
  const [place, set] = useState(here());
  useEffect(() => {
    const update = () => set(here());
    const click = (event: MouseEvent) => {
      const link = (event.target as Element).closest("a");
      if (!link || link.origin !== location.origin || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (/^\/(api|plots|lite|event_selection)(\/|$)/.test(link.pathname)) return;
      event.preventDefault();
      go(link.href);
    };
    addEventListener("popstate", update);
    addEventListener("click", click);
    return () => {
      removeEventListener("popstate", update);
      removeEventListener("click", click);
    };
  }, []);
  const query = place.indexOf("?");
  return query < 0 ? [place, ""] : [place.slice(0, query), place.slice(query)];
}

export function App() {
  const live = useLive();
  const [path, search] = usePlace();
  const [dark, setDark] = useDark();
  const pages = live.config?.pages ?? [];
  const page = pages.find((p) => normal(p.path) === path);
  const wall = page?.view === "wall";
  useEffect(() => {
    document.documentElement.dataset.theme = dark || wall ? "dark" : "light";
  }, [dark, wall]);
  if (!live.config) {
    return <p class="notice">{live.error ? `No answer from the server: ${live.error}` : "Loading …"}</p>;
  }
  document.title = `${page?.title ?? path.slice(1)} – ${live.config.stack}`;
  return (
    <>
      {!wall && (
        <header>
          <a class="brand" href="/">{live.config.stack}</a>
          <nav>{pages.map((p) => <a key={p.path} href={p.path} aria-current={p === page ? "page" : undefined}>{p.title}</a>)}</nav>
          <StackBadge stack={live.stack} />
          <Alarms />
          <span class={live.connected ? "badge good" : "badge bad"} title="Live connection">
            {live.connected ? "live" : "no connection"}
          </span>
          <button type="button" class="quiet" title="Light or dark" onClick={() => setDark(!dark)}>{dark ? "☀" : "☾"}</button>
          <time title="UTC">{utcTime(serverNow())} UTC</time>
        </header>
      )}
      <main class={wall ? "wall" : ""}><Content path={path} search={search} page={page} /></main>
    </>
  );
}

function Content({ path, search, page }: { path: string; search: string; page: Page | undefined }) {
  if (path.startsWith("/plot/")) return <PlotPage name={decodeURIComponent(path.slice(6))} search={search} />;
  switch (page?.view) {
    case "services": return <><Services /><Rows rows={page.rows} /></>;
    case "logs": return <><Logs /><Rows rows={page.rows} /></>;
    case "plots": return <Rows rows={page.rows} />;
    case "wall": return <Rows rows={page.rows} wall />;
    case undefined: return <p class="notice">There is no page of this name.</p>;
  }
}

function StackBadge({ stack }: { stack: Stack | null }) {
  if (!stack) return null;
  const wanted = stack.services.filter((s) => s.want === "up");
  const running = wanted.filter((s) => s.state === "RUNNING").length;
  const dropped = stack.services.reduce((sum, s) => sum + s.counters.dropped, 0);
  return (
    <a href="/services.html" class={`badge ${running === wanted.length ? "good" : "bad"}`} title="Services running / wanted">
      {running}/{wanted.length} running{dropped > 0 && `, ${dropped} dropped`}
    </a>
  );
}

function useDark(): [boolean, (dark: boolean) => void] {
  const kept = localStorage.getItem("dark");
  const [dark, set] = useState(kept === null ? matchMedia("(prefers-color-scheme: dark)").matches : kept === "1");
  return [dark, (value) => {
    localStorage.setItem("dark", value ? "1" : "0");
    set(value);
  }];
}
