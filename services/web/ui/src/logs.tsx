// The detector's log, or the end of a service's log, which is followed by asking again.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { fetchLog } from "./api";
import { Faulty } from "./faulty";
import { useLive } from "./live";
import { Messages } from "./messages";

const LINES = 500;
const EVERY_MS = 1500;

// Colour of a line by the words that operators know.
export function levelOf(line: string): string {
  return /\b(ALERT|ERROR|WARN(?:ING)?|STATUS)\b/.exec(line)?.[1]?.replace("WARNING", "WARN") ?? "";
}

// Stands for the log of the data acquisition; no service has such a name.
const DETECTOR = "*";

export function Logs() {
  const { stack } = useLive();
  const [service, setService] = useState(new URLSearchParams(location.search).get("service") ?? DETECTOR);
  const choice = (
    <>
      Log of
      <select aria-label="Service" value={service} onChange={(event) => setService(event.currentTarget.value)}>
        <option value={DETECTOR}>the detector</option>
        <option value="">the supervisor</option>
        {stack?.services.map((s) => <option key={s.name} value={s.name}>{s.name}</option>)}
      </select>
      <a href="/logs">files</a>
    </>
  );
  return service === DETECTOR ? <Messages>{choice}</Messages> : <><Faulty service={service} /><ServiceLog service={service}>{choice}</ServiceLog></>;
}

// The end of a service's log; pausable, filtered by words.
function ServiceLog({ service, children }: { service: string; children: ComponentChildren }) {
  const [paused, setPaused] = useState(false);
  const [words, setWords] = useState("");
  const [lines, error] = useLines(service, paused);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => { if (!paused) end.current?.scrollTo(0, end.current.scrollHeight); }, [lines, paused]);
  const shown = lines.filter((line) => line.toLowerCase().includes(words.toLowerCase()));
  return (
    <article class="log">
      <h2>
        {children}
        <input type="search" placeholder="filter" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
        <button type="button" onClick={() => setPaused(!paused)}>{paused ? "go on" : "pause"}</button>
        <span class="messages">{shown.length} of {lines.length} lines</span>
      </h2>
      {error && <p class="error">{error}</p>}
      <div class="lines" ref={end}>{shown.map((line, at) => <div key={at} class={levelOf(line)}>{line}</div>)}</div>
    </article>
  );
}

function useLines(service: string, paused: boolean): [string[], string | null] {
  const [lines, setLines] = useState<string[]>([]);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    if (paused) return;
    let wanted = true;
    const ask = () => fetchLog(service, LINES)
      .then((fresh) => { if (wanted) { setLines(fresh); setError(null); } })
      .catch((reason: Error) => { if (wanted) setError(reason.message); });
    void ask();
    const timer = setInterval(ask, EVERY_MS);
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [service, paused]);
  return [lines, error];
}
