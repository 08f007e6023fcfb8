// The detector's log, live: the last messages at once, new ones as they come; filter, pause, highlights,
// and a search in the files of past days.

import { memo } from "preact/compat";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { type Found, searchMessages } from "./api";
import { utcDateTime } from "./format";

// Messages kept in the page, and drawn of those that fit the filter.
const KEPT = 10_000;
const DRAWN = 2_000;
const AROUND_MS = 5 * 60_000;
const RETRY_MS = 2000;

export const LEVELS = ["ALERT", "ERROR", "WARNING", "STATUS", "OTHER", "NONE"];
export const CLASSES = ["AcousticDataFilter", "DataFilter", "DataQueue", "DataWriter", "Other"];

export interface Message {
  number: number;
  at_ms: number | null;
  level: string;
  class: string;
  text: string;
}

export interface Highlight {
  pattern: RegExp;
  colour: string;
  background: string;
  boldLine: boolean;
}

export interface Filter {
  text: string;
  regex: boolean;
  level: string;
  class: string;
}

type Row = [number, number | null, string, string, string];

export const messageOf = ([number, at_ms, level, cls, text]: Row): Message => ({ number, at_ms, level, class: cls, text });

// Appends messages that are newer than the last one; the oldest go.
export function append(kept: Message[], fresh: Message[]): Message[] {
  const last = kept[kept.length - 1]?.number ?? 0;
  const newer = fresh.filter((message) => message.number > last);
  return newer.length ? [...kept, ...newer].slice(-KEPT) : kept;
}

// What a filter lets through; an expression that is wrong lets nothing through.
export function fits(filter: Filter): ((message: Message) => boolean) | null {
  let inText = (text: string) => text.toLowerCase().includes(filter.text.toLowerCase());
  if (filter.regex) {
    try {
      const pattern = new RegExp(filter.text, "i");
      inText = (text) => pattern.test(text);
    } catch {
      return null;
    }
  }
  return (message) => (!filter.level || message.level === filter.level)
    && (!filter.class || message.class === filter.class)
    && (!filter.text || inText(message.text));
}

// What says that a search could not see everything; nothing when it could.
export const missing = ({ unread }: Found) =>
  (unread.length ? `Files that could not be searched to their end, and may have more: ${unread.join("; ")}` : null);

export const lineOf = (message: Message) => `[${message.class}]: ${message.text}`;

// Cuts a line where something stands out; the first highlight that fits a place wins.
export function segments(line: string, highlights: Highlight[]): [string, Highlight | null][] {
  let parts: [string, Highlight | null][] = [[line, null]];
  for (const highlight of highlights) {
    parts = parts.flatMap(([text, taken]): [string, Highlight | null][] => (taken ? [[text, taken]] : cut(text, highlight)));
  }
  return parts;
}

function cut(text: string, highlight: Highlight): [string, Highlight | null][] {
  const parts: [string, Highlight | null][] = [];
  let from = 0;
  for (const match of text.matchAll(highlight.pattern)) {
    if (!match[0]) continue;
    if (match.index > from) parts.push([text.slice(from, match.index), null]);
    parts.push([match[0], highlight]);
    from = match.index + match[0].length;
  }
  if (from < text.length) parts.push([text.slice(from), null]);
  return parts;
}

export function highlightsOf(rows: [string, string, string, boolean][] | null): Highlight[] {
  return (rows ?? []).flatMap(([pattern, colour, background, boldLine]) => {
    try {
      return [{ pattern: new RegExp(pattern, "g"), colour, background, boldLine }];
    } catch {
      return [];
    }
  });
}

export function Messages({ children }: { children: ComponentChildren }) {
  const log = useLog();
  const [filter, setFilter] = useState<Filter>({ text: "", regex: false, level: "", class: "" });
  const [frozen, setFrozen] = useState<Message[] | null>(null);
  const [found, setFound] = useState<(Found & { title: string }) | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [jump, setJump] = useState("");
  const end = useRef<HTMLDivElement>(null);
  const all = found?.messages ?? frozen ?? log.messages;
  const test = useMemo(() => fits(filter), [filter]);
  const fitting = useMemo(() => (test ? all.filter(test) : []), [all, test]);
  const shown = fitting.slice(-DRAWN);
  const follows = !frozen && !found;
  const hidden = found && missing(found);
  useEffect(() => { if (follows) end.current?.scrollTo(0, end.current.scrollHeight); }, [shown.length, log.messages, follows]);
  const change = (part: Partial<Filter>) => setFilter({ ...filter, ...part });
  const search = (to_ms: number | null) => {
    searchMessages(filter, to_ms === null ? null : to_ms + AROUND_MS)
      .then((answer) => {
        setFound({ title: to_ms === null ? "found in the files" : `until ${utcDateTime(to_ms + AROUND_MS)} UTC`, ...answer });
        setError(null);
      })
      .catch((reason: Error) => setError(reason.message));
  };
  return (
    <article class="log">
      <h2>
        {children}
        <input type="search" placeholder="filter" aria-label="Filter" class={test ? "" : "wrong"} value={filter.text} onInput={(event) => change({ text: event.currentTarget.value })} />
        <label><input type="checkbox" checked={filter.regex} onChange={(event) => change({ regex: event.currentTarget.checked })} /> expression</label>
        <Choice label="level" values={LEVELS} value={filter.level} set={(level) => change({ level })} />
        <Choice label="class" values={CLASSES} value={filter.class} set={(cls) => change({ class: cls })} />
        <button type="button" onClick={() => setFrozen(frozen ? null : log.messages)}>{frozen ? "go on" : "pause"}</button>
        <button type="button" onClick={() => search(null)}>search files</button>
        <form onSubmit={(event) => { event.preventDefault(); const at = Date.parse(`${jump}Z`); if (Number.isFinite(at)) search(at); }}>
          <input type="datetime-local" step="1" aria-label="Time (UTC)" title="UTC" value={jump} onInput={(event) => setJump(event.currentTarget.value)} />
          <button type="submit">jump</button>
        </form>
        {found && <button type="button" onClick={() => setFound(null)}>back to live</button>}
        <span class="messages">
          {found && `${found.title}: `}{fitting.length} of {all.length} messages{fitting.length > DRAWN && `, the last ${DRAWN} drawn`}
          {found?.truncated && ", older ones were not searched or did not fit"}
          {!log.connected && ", no connection"}{log.lost && ", some were lost on a slow connection"}
        </span>
      </h2>
      {error && <p class="error">{error}</p>}
      {hidden && <p class="error">{hidden}</p>}
      {!test && <p class="error">This is no regular expression.</p>}
      {log.available === false && <p class="notice">No service `weblog` runs in this stack.</p>}
      <div class="lines" ref={end}>{shown.map((message) => <Line key={message.number} message={message} highlights={log.highlights} />)}</div>
    </article>
  );
}

function Choice({ label, values, value, set }: { label: string; values: string[]; value: string; set: (value: string) => void }) {
  return (
    <select aria-label={label} value={value} onChange={(event) => set(event.currentTarget.value)}>
      <option value="">every {label}</option>
      {values.map((name) => <option key={name} value={name}>{name}</option>)}
    </select>
  );
}

const Line = memo(function Line({ message, highlights }: { message: Message; highlights: Highlight[] }) {
  const parts = segments(lineOf(message), highlights);
  const bold = parts.some(([, highlight]) => highlight?.boldLine);
  return (
    <div class={bold ? "bold" : ""}>
      <time>{message.at_ms === null ? "" : utcDateTime(message.at_ms)}</time>{" "}
      {parts.map(([text, highlight], at) => (highlight
        ? <span key={at} style={{ color: highlight.colour, background: highlight.background }}>{text}</span>
        : text))}
    </div>
  );
});

interface Log {
  connected: boolean;
  available: boolean | null;
  lost: boolean;
  highlights: Highlight[];
  messages: Message[];
}

// Follows the log as long as the component is shown.
function useLog(): Log {
  const [log, setLog] = useState<Log>({ connected: false, available: null, lost: false, highlights: [], messages: [] });
  useEffect(() => {
    let source: EventSource;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listen = () => {
      source = new EventSource("/api/messages/live");
      const on = <T,>(name: string, take: (data: T) => void) =>
        source.addEventListener(name, (event) => take(JSON.parse((event as MessageEvent<string>).data) as T));
      on<{ available: boolean; highlights: [string, string, string, boolean][] | null; rows: Row[] }>("hello", (hello) =>
        setLog((old) => ({
          ...old, connected: true, available: hello.available, highlights: highlightsOf(hello.highlights),
          messages: append(old.messages, hello.rows.map(messageOf)),
        })));
      on<{ rows: Row[] }>("lines", ({ rows }) =>
        setLog((old) => ({ ...old, available: true, messages: append(old.messages, rows.map(messageOf)) })));
      on("lagged", () => setLog((old) => ({ ...old, lost: true })));
      source.onerror = () => {
        setLog((old) => ({ ...old, connected: false }));
        if (source.readyState === EventSource.CLOSED) timer = setTimeout(listen, RETRY_MS);
      };
    };
    listen();
    return () => {
      source.close();
      clearTimeout(timer);
    };
  }, []);
  return log;
}
