// Beside a plot of all modules: what a service tells of one of them, or of one DU.

import { useState } from "preact/hooks";

import type { View } from "./api";
import { AskedCard, useAnswer } from "./asked";
import { PlotCard, ViewPlot } from "./card";
import { go, useLive } from "./live";
import { type Calibrated, type Heard, heardSeries, moduleArguments, type ModuleWish, moduleWish, pmtTable } from "./modules";
import { type Arguments, askPath, linkTo } from "./questions";

interface Props {
  name: string;
  service: string;
  search: string;
}

// The pings that a module heard, cycle by cycle.
export function HeardPage({ name, service, search }: Props) {
  const wish = moduleWish(search);
  const args = moduleArguments(wish);
  const isOne = args !== null && (wish.dom_id !== "" || wish.floor !== "");
  return (
    <>
      <ModuleChoice key={search} name={name} wish={wish} needsFloor />
      {isOne ? <HeardCard name={name} service={service} args={args} /> : <PlotCard key={name} name={name} large />}
    </>
  );
}

function HeardCard({ name, service, args }: { name: string; service: string; args: Arguments }) {
  const { outputs, config } = useLive();
  const [heard, error] = useAnswer<Heard>(service, "history", args, outputs.get(name)?.version ?? 0);
  return (
    <AskedCard name={name} path={askPath(service, "history", args)} error={error} title={<>{placeOf(heard)}: pings by beacon <a href={linkTo(name, {})}>to all modules</a></>}>
      {heard && <ViewPlot view={heardSeries(heard, config?.palette ?? [])} />}
    </AskedCard>
  );
}

// The calibration of a module, or of all modules of a DU.
export function CalibratedPage({ name, service, search }: Props) {
  const wish = moduleWish(search);
  const args = moduleArguments(wish);
  const isOne = args !== null && (wish.dom_id !== "" || wish.floor !== "");
  return (
    <>
      <ModuleChoice key={search} name={name} wish={wish} needsFloor={false} />
      {args === null && <PlotCard key={name} name={name} large />}
      {args !== null && (isOne ? <PmtsCard name={name} service={service} args={args} /> : <GridsCards name={name} service={service} args={args} of={`DU ${wish.du}`} />)}
    </>
  );
}

function PmtsCard({ name, service, args }: { name: string; service: string; args: Arguments }) {
  const { outputs } = useLive();
  const [done, error] = useAnswer<Calibrated>(service, "dom", args, outputs.get(name)?.version ?? 0);
  const title = <>{placeOf(done)}: calibration {done && `${done.from} to ${done.until}, ${done.livetime.toFixed(1)} s live, ${done.coincidences} coincidences, ${done.pairs_used} pairs used, ${done.pairs_failed} failed, ${done.pairs_weak} weak`}</>;
  return (
    <>
      <AskedCard name={name} path={askPath(service, "dom", args)} error={error} title={<>{title} <a href={linkTo(name, {})}>to all modules</a></>}>
        {done && <ViewPlot view={pmtTable(done)} />}
      </AskedCard>
      {done && <GridsCards name={name} service={service} args={{ dom_ids: JSON.stringify([done.dom_id]) }} of={placeOf(done)} />}
    </>
  );
}

function GridsCards({ name, service, args, of }: { name: string; service: string; args: Arguments; of: string }) {
  const { outputs } = useLive();
  const [grids, error] = useAnswer<Record<string, View>>(service, "intradom", args, outputs.get(name)?.version ?? 0);
  const path = askPath(service, "intradom", args);
  const card = (key: string, title: string) => (
    <AskedCard key={key} name={`${name}-${key}`} path={path} error={error} title={`${of}: ${title}`}>
      {grids?.[key] && <ViewPlot view={grids[key]} />}
    </AskedCard>
  );
  return <>{[card("intradom", "mean of the pairs by their angle"), card("angular_k40rate_distribution", "rate of the pairs by their angle")]}</>;
}

const placeOf = (module: { du: number; floor: number; dom_id: number } | null) => (module ? `DU ${module.du} floor ${module.floor} (DOM ${module.dom_id})` : "Module");

function ModuleChoice({ name, wish, needsFloor }: { name: string; wish: ModuleWish; needsFloor: boolean }) {
  const [du, setDu] = useState(wish.du);
  const [floor, setFloor] = useState(wish.floor);
  const wrong = du === "" || (needsFloor && floor === "");
  const show = (event: Event) => {
    event.preventDefault();
    if (!wrong) go(linkTo(name, { du, ...(floor !== "" && { floor }) }));
  };
  return (
    <form class="choice" onSubmit={show}>
      <label>DU <input type="number" min="0" max="9999" value={du} onInput={(event) => setDu(event.currentTarget.value)} /></label>
      <label>floor <input type="number" min="0" max="999" placeholder={needsFloor ? "" : "all"} value={floor} onInput={(event) => setFloor(event.currentTarget.value)} /></label>
      <button type="submit" disabled={wrong}>show</button>
    </form>
  );
}
