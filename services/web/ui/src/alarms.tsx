// The banner of alarms: those of the engine with what became of them, and what shifters do with them;
// without an engine the conditions that hold.

import { useState } from "preact/hooks";

import type { Alarm } from "./api";
import { orderAlarm } from "./api";
import { isStale } from "./card";
import { type Case, ENGINE_OUTPUT, ranked, ROWS_MAX, stateOf, when, worstOf } from "./cases";
import { serverNow, useLive } from "./live";

export function Alarms() {
  const [open, setOpen] = useState(false);
  const { alarms, unlisted, cases, config, outputs } = useLive();
  const head = outputs.get(ENGINE_OUTPUT);
  const page = head ? config?.pages.find((p) => p.rows.flat().includes(ENGINE_OUTPUT)) : undefined;
  // What an engine said that says nothing any more is not what holds now.
  const silent = head !== undefined && isStale(head, serverNow());
  const told = silent ? null : cases;
  const list = ranked(alarms.values());
  const firing = told?.filter((c) => c.state === "firing");
  const total = firing ? firing.length : list.length + unlisted;
  const worst = worstOf((firing ?? list).map((a) => a.severity));
  const more = told && told.length >= ROWS_MAX ? "+" : "";
  return (
    <div class="alarms">
      <button type="button" class={`badge ${worst}`} aria-expanded={open} onClick={() => setOpen(!open)}>
        {total}{more} alarm{total === 1 && !more ? "" : "s"}
      </button>
      {open && (
        <ul>
          {page && <li><a href={page.path} onClick={() => setOpen(false)}>All alarms and their history</a></li>}
          {silent && <li class="alert"><b>The alarm engine says nothing since {when(head.datum)}</b>; these are the conditions that this page has heard of.</li>}
          {told ? <Cases cases={told} /> : <Conditions list={list} unlisted={unlisted} />}
        </ul>
      )}
    </div>
  );
}

function Conditions({ list, unlisted }: { list: Alarm[]; unlisted: number }) {
  return (
    <>
      {list.length === 0 && <li>No condition holds that this page has heard of.</li>}
      {list.map((a) => (
        <li key={`${a.service} ${a.rule} ${a.subject}`} class={a.severity}>
          <b>{a.rule}</b> {a.subject}: {a.text} <small>{when(a.at)}</small>
        </li>
      ))}
      {unlisted > 0 && <li>and {unlisted} more</li>}
    </>
  );
}

function Cases({ cases }: { cases: Case[] }) {
  const { config } = useLive();
  const [said, setSaid] = useState("");
  const order: Order = (verb, args) => {
    setSaid(`${verb} …`);
    orderAlarm(verb, args)
      .then(() => setSaid(""))
      .catch((error: Error) => setSaid(`${verb}: ${error.message}`));
  };
  return (
    <>
      {said && <li role="status">{said}</li>}
      {cases.length === 0 && <li>No alarm.</li>}
      {cases.map((c) => (
        <li key={c.id} class={c.state === "firing" ? c.severity : "cared"}>
          <b>{c.rule}</b> {c.subject}: {c.text} <small>since {when(c.since)}, {stateOf(c)}</small>
          {config?.can_acknowledge && <Buttons of={c} order={order} />}
        </li>
      ))}
    </>
  );
}

type Order = (verb: "acknowledge" | "mute" | "unmute", args: Record<string, string>) => void;

// How long a mute may last; the engine takes 30 days at most.
export const MUTES = ["1h", "4h", "12h", "1d", "3d", "7d", "30d"];

function Buttons({ of, order }: { of: Case; order: Order }) {
  const [time, setTime] = useState("");
  const names = { rule: of.rule, subject: of.subject };
  if (of.state === "muted") return <span class="actions"><button type="button" onClick={() => order("unmute", names)}>unmute</button></span>;
  return (
    <span class="actions">
      {of.state === "firing" && <button type="button" onClick={() => order("acknowledge", { id: String(of.id) })}>acknowledge</button>}
      <select aria-label="mute for" value={time} onChange={(event) => setTime(event.currentTarget.value)}>
        <option value="">mute for …</option>
        {MUTES.map((span) => <option key={span} value={span}>{span}</option>)}
      </select>
      {time && <button type="button" onClick={() => order("mute", { ...names, for: time })}>mute</button>}
    </span>
  );
}
