// The banner of alarms: those of the engine with what became of them, and what shifters do with them;
// without an engine the conditions that hold.

import { useState } from "preact/hooks";

import type { Alarm } from "./api";
import { orderAlarm } from "./api";
import { isStale } from "./card";
import { type Case, ENGINE_OUTPUT, type MuteEnd, muteEnd, ranked, ROWS_MAX, stateOf, when, worstOf } from "./cases";
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

// How long a mute may last, at one click; another length or time is typed.
export const MUTES = ["1h", "4h", "12h", "1d", "3d", "7d", "30d"];
const OTHER = "other";

function Buttons({ of, order }: { of: Case; order: Order }) {
  const names = { rule: of.rule, subject: of.subject };
  if (of.state === "muted") return <span class="actions"><button type="button" onClick={() => order("unmute", names)}>unmute</button></span>;
  return (
    <span class="actions">
      {of.state === "firing" && <button type="button" onClick={() => order("acknowledge", { id: String(of.id) })}>acknowledge</button>}
      <Mute mute={(end) => order("mute", { ...names, ...end })} />
    </span>
  );
}

function Mute({ mute }: { mute: (end: MuteEnd) => void }) {
  const [time, setTime] = useState("");
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    const end = muteEnd(time === OTHER ? typed : time, serverNow());
    setWrong("wrong" in end ? end.wrong : "");
    if (!("wrong" in end)) mute(end);
  };
  return (
    <form class="actions" onSubmit={submit}>
      <select aria-label="mute for" value={time} onChange={(event) => { setTime(event.currentTarget.value); setWrong(""); }}>
        <option value="">mute for …</option>
        {MUTES.map((span) => <option key={span} value={span}>{span}</option>)}
        <option value={OTHER}>another time …</option>
      </select>
      {time === OTHER && (
        <input
          type="text"
          aria-label="mute for, or until"
          aria-invalid={wrong !== ""}
          placeholder="45m, or until 18:00 UTC"
          maxLength={64}
          size={22}
          value={typed}
          onInput={(event) => { setTyped(event.currentTarget.value); setWrong(""); }}
        />
      )}
      {time && <button type="submit">mute</button>}
      {wrong && <small role="alert">{wrong}</small>}
    </form>
  );
}
