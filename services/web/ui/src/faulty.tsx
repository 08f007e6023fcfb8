// The last messages that a service could not read, to download.

import { useEffect, useState } from "preact/hooks";

import { number, utcDateTime } from "./format";
import { useLive } from "./live";
import { answers, fetchFaulty, type FaultyMessage } from "./questions";

const SHOWN_DIGITS = 32;

interface Shown {
  // Whose messages they are.
  of: string;
  messages: FaultyMessage[];
  error: string | null;
}

export function Faulty({ service }: { service: string }) {
  const live = useLive();
  const known = answers(live, service, "bad");
  const counters = live.stack?.services.find((s) => s.name === service)?.counters;
  const bad = Object.values(counters?.bad ?? {}).reduce((sum, n) => sum + n, 0);
  const [{ of, messages, error }, set] = useState<Shown>({ of: "", messages: [], error: null });
  useEffect(() => {
    if (!known) return;
    let wanted = true;
    const show = (messages: FaultyMessage[], error: string | null) => { if (wanted) set({ of: service, messages, error }); };
    fetchFaulty(service).then((fresh) => show(fresh, null), (reason: Error) => show([], reason.message));
    return () => { wanted = false; };
  }, [service, known, bad]);
  if (of !== service) return null;
  if (!error && messages.length === 0) return null;
  return (
    <article id="faulty" class="faulty">
      <h2>Messages that could not be read <span class="messages">the last {messages.length} of {service}</span></h2>
      {error && <p class="error">{error}</p>}
      <div class="scroll">
        <table>
          <thead><tr><th>Download</th><th>Received (UTC)</th><th>Tag</th><th>From</th><th>What is wrong</th><th>Bytes</th><th>Beginning</th></tr></thead>
          <tbody>{[...messages].reverse().map((m) => <Row key={m.number} service={service} message={m} />)}</tbody>
        </table>
      </div>
    </article>
  );
}

function Row({ service, message: m }: { service: string; message: FaultyMessage }) {
  const cut = m.kept_bytes < m.bytes;
  return (
    <tr>
      <th scope="row"><a href={`/api/faulty/${encodeURIComponent(service)}/${m.number}`} download>{cut ? "beginning of " : ""}message {m.number}</a></th>
      <td>{utcDateTime(Date.parse(m.received))}</td>
      <td>{m.tag}</td>
      <td>{m.source}</td>
      <td>{m.error}</td>
      <td class="number">{number(m.bytes)}</td>
      <td><code>{m.body_hex.slice(0, SHOWN_DIGITS)}{m.bytes * 2 > SHOWN_DIGITS && "…"}</code></td>
    </tr>
  );
}
