// The table of services, as operators know it, with buttons for those who may use them.

import { useState } from "preact/hooks";

import type { Service } from "./api";
import { act } from "./api";
import { age, count } from "./format";
import { serverNow, useLive } from "./live";

export function Services() {
  const { stack, config } = useLive();
  const [message, setMessage] = useState("");
  if (!stack) return <p class="notice">The supervisor has not answered yet.</p>;
  const run = async (service: string, verb: "start" | "stop" | "restart") => {
    if (verb !== "start" && !confirm(`${verb} ${service}?`)) return;
    setMessage(`${verb} ${service} …`);
    await act(service, verb)
      .then((done) => setMessage(done.map((o) => `${o.name}: ${o.result} ${o.message}`).join(", ")))
      .catch((error: Error) => setMessage(`${service}: ${error.message}`));
  };
  return (
    <article class="services">
      <h2>Services <span class="messages">fathom {stack.version}, pid {stack.pid}, {count(stack.events)} events</span></h2>
      {message && <p role="status">{message}</p>}
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Service</th><th>State</th><th>Description</th><th>Health</th><th>Restarts</th><th>Received</th><th>Sent</th>
              <th>Dropped</th><th>Bad</th><th>Queue</th><th>Lag</th><th>Memory</th><th>Last output</th><th>Incident</th>{config?.can_control && <th />}
            </tr>
          </thead>
          <tbody>{stack.services.map((s) => <Row key={s.name} service={s} run={config?.can_control ? run : undefined} />)}</tbody>
        </table>
      </div>
    </article>
  );
}

/** Whether a service does not do its work although it could. */
function broken(s: Service): boolean {
  return s.health === "stalled" || s.health === "failing";
}

/** Says what the health rules of a service read, one per line. */
function watched(s: Service): string {
  const rules = (s.watch?.rules ?? []).map((r) => {
    const out = r.output_age_s == null ? "" : `, out ${age(r.output_age_s)} ago`;
    return `${r.rule}: ${r.health}${out}${r.trouble ? `, ${r.trouble}` : ""}`;
  });
  const why = s.watch?.suspended;
  return (why ? [`not judged: ${why}`, ...rules] : rules).join("\n");
}

type Run = (service: string, verb: "start" | "stop" | "restart") => void;

function Row({ service: s, run }: { service: Service; run: Run | undefined }) {
  const bad = Object.values(s.counters.bad).reduce((sum, n) => sum + n, 0);
  const reasons = Object.entries(s.counters.bad).map(([why, n]) => `${why}: ${n}`).join("\n");
  const last = s.counters.last_output;
  const down = s.state === "STOPPED" || s.state === "EXITED" || s.state === "FATAL";
  return (
    <tr>
      <th scope="row"><a href={`/logs.html?service=${encodeURIComponent(s.name)}`}>{s.name}</a></th>
      <td><span class={`state ${s.state}`}>{s.state}</span></td>
      <td title={s.last_exit ? `last exit: ${s.last_exit}` : ""}>{s.description}{s.counters.note && <>; <strong>{s.counters.note}</strong></>}</td>
      <td class={broken(s) ? "bad" : ""} title={watched(s)}>{s.health}{s.watch?.hold ? ", held" : ""}</td>
      <td class={s.restarts > 0 ? "number warn" : "number"}>{s.restarts}</td>
      <td class="number">{count(s.counters.received)}</td>
      <td class="number">{count(s.counters.sent)}</td>
      <td class={s.counters.dropped > 0 ? "number bad" : "number"}>{count(s.counters.dropped)}</td>
      <td class={bad > 0 ? "number bad" : "number"} title={reasons}>
        {bad > 0 && s.questions?.includes("bad") ? <a href={`/logs.html?service=${encodeURIComponent(s.name)}`}>{count(bad)}</a> : count(bad)}
      </td>
      <td class="number">{s.queues.reduce((sum, q) => sum + q.queued, 0)}</td>
      <td class="number">{s.counters.lag_s == null ? "" : `${s.counters.lag_s.toFixed(2)} s`}</td>
      <td class="number">{s.counters.memory_bytes == null ? "" : `${(s.counters.memory_bytes / 1048576).toFixed(1)} MiB`}</td>
      <td>{last ? `${age((serverNow() - Date.parse(last)) / 1000)} ago` : ""}</td>
      <td class="number">{s.last_incident != null && <a href={`/api/incidents/${s.last_incident}`}>{s.last_incident}</a>}</td>
      {run && (
        <td class="actions">
          {down
            ? <button type="button" onClick={() => run(s.name, "start")}>start</button>
            : <><button type="button" onClick={() => run(s.name, "restart")}>restart</button><button type="button" onClick={() => run(s.name, "stop")}>stop</button></>}
        </td>
      )}
    </tr>
  );
}
