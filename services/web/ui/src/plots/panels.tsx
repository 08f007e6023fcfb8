// Panels in a grid with shared axes: event displays, residuals, fits. Double click enlarges a panel (or
// zooms into a single one), names in the legend switch their layers, the wheel zooms all panels.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { Layer, PanelsView } from "../api";
import { prepare, useSize } from "./canvas";
import { gridOf, panelAt, type Side } from "./grid";
import { colourOf, drawPoint, found, type Found, written } from "./layers";
import { drawAll, numbersWidth, planesOf } from "./planes";
import { moved, whole, type Window, zoomed } from "./viewport";

const NAMES_MAX = 60;
const WHEEL_STEP = 1.2;
const MULTIPLICITY = "multiplicity ";

// The number of a multiplicity, such as 4 of "multiplicity 4", 10 of "multiplicity 10 and more" or "10+";
// other names come behind all numbers.
const numberOf = (name: string) => Number(/^(?:multiplicity )?(\d+)(?:\+| and more)?$/.exec(name)?.[1] ?? Number.MAX_VALUE);

// Each name of a layer once, with the first layer that has it; multiplicities in their order, also
// those that only later panels have.
export function namesOf(view: PanelsView): Map<string, { layer: Layer; colour: string }> {
  const names = new Map<string, { layer: Layer; colour: string }>();
  for (const panel of view.panels) {
    panel.layers.forEach((layer, at) => {
      if (layer.name && !names.has(layer.name)) names.set(layer.name, { layer, colour: colourOf(layer, at) });
    });
  }
  return new Map([...names].sort(([a], [b]) => numberOf(a) - numberOf(b)));
}

// What the legend says: what a name shares with the one before it is said once.
export function labelsOf(names: string[]): string[] {
  const plain = (name: string, at: number) => at > 0 && name.startsWith(MULTIPLICITY) && names[at - 1]?.startsWith(MULTIPLICITY);
  return names.map((name, at) => (plain(name, at) ? name.slice(MULTIPLICITY.length) : name));
}

export function PanelsPlot({ view }: { view: PanelsView }) {
  const [log, setLog] = useState(view.y.scale === "log");
  const [hidden, setHidden] = useState<Set<string>>(new Set());
  const [single, setSingle] = useState<string | null>(null);
  const names = useMemo(() => namesOf(view), [view]);
  if (view.panels.length === 0) return <p class="notice">No data yet.</p>;
  const chosen = single === null ? -1 : view.panels.findIndex((panel, at) => keyOf(panel.title, at) === single);
  const shown = chosen < 0 ? view : { ...view, columns: 1, panels: view.panels.slice(chosen, chosen + 1) };
  const toggle = (name: string) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  };
  return (
    <>
      <div class="tools">
        {chosen >= 0 && <button type="button" class="quiet" onClick={() => setSingle(null)}>all panels</button>}
        {view.y.scale !== "time" && <button type="button" class="quiet" title="Vertical scale" onClick={() => setLog(!log)}>{log ? "log" : "lin"}</button>}
      </div>
      <Key names={names} hidden={hidden} toggle={toggle} />
      <Planes
        key={single} view={shown} log={log} hidden={hidden}
        enlarge={view.panels.length > 1 ? (at) => setSingle(chosen < 0 ? keyOf(view.panels[at]?.title ?? "", at) : null) : undefined}
      />
    </>
  );
}

// Panels come and go between versions; a title follows its panel.
const keyOf = (title: string, at: number) => title || String(at);

function Key({ names, hidden, toggle }: { names: ReturnType<typeof namesOf>; hidden: Set<string>; toggle: (name: string) => void }) {
  if (names.size === 0) return null;
  const list = [...names].slice(0, NAMES_MAX);
  const labels = labelsOf(list.map(([name]) => name));
  return (
    <div class="key">
      {list.map(([name, { layer, colour }], at) => (
        <button type="button" key={name} title={name} class={hidden.has(name) ? "off" : ""} aria-pressed={!hidden.has(name)} onClick={() => toggle(name)}>
          <Sample layer={layer} colour={colour} />{labels[at]}
        </button>
      ))}
      {names.size > NAMES_MAX && <span class="messages">and {names.size - NAMES_MAX} more</span>}
    </div>
  );
}

function Sample({ layer, colour }: { layer: Layer; colour: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.setTransform(2, 0, 0, 2, 0, 0);
    context.clearRect(0, 0, 18, 12);
    context.globalAlpha = Math.max(0.3, layer.alpha);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1.6;
    if (layer.shape === "bars" || layer.shape === "band") return context.fillRect(1, 2, 16, 8);
    if (layer.shape === "line" || layer.shape === "dashed" || layer.shape === "steps") {
      if (layer.shape === "dashed") context.setLineDash([4, 3]);
      context.beginPath();
      const steps: [number, number][] = [[1, 9], [9, 9], [9, 3], [17, 3]];
      for (const [x, y] of layer.shape === "steps" ? steps : [[1, 6], [17, 6]] as [number, number][]) context.lineTo(x, y);
      return context.stroke();
    }
    drawPoint(context, layer.shape, 9, 6, 3.6);
  });
  return <canvas ref={canvas} width={36} height={24} />;
}

interface Shown {
  view: PanelsView;
  log: boolean;
  hidden: Set<string>;
  enlarge: ((panel: number) => void) | undefined;
}

function Planes({ view, log, hidden, enlarge }: Shown) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(canvas);
  const [window, setWindow] = useState<Window>(whole);
  const [tip, setTip] = useState<{ x: number; y: number; panel: number; found: Found[] } | null>(null);
  const beside = useMemo(() => numbersWidth(view, log, hidden), [view, log, hidden]);
  const grid = useMemo(() => gridOf(view, view.panels.length, size, beside), [view, size, beside]);
  const planes = useMemo(() => planesOf(view, grid, log, hidden, window), [view, grid, log, hidden, window]);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || size.width === 0) return;
    prepare(context, size);
    drawAll(context, view, grid, planes, hidden, size);
  });
  const at = (event: MouseEvent) => {
    const panel = panelAt(grid, event.offsetX, event.offsetY);
    const box = grid.boxes[panel];
    return { panel, box, x: box ? (event.offsetX - box.left) / box.width : 0, y: box ? 1 - (event.offsetY - box.top) / box.height : 0 };
  };
  const zoomedIn = window.x1 - window.x0 < 1 || window.y1 - window.y0 < 1;
  useEffect(() => {
    const element = canvas.current;
    const wheel = (event: WheelEvent) => {
      const place = at(event);
      if (!place.box || !(event.ctrlKey || event.shiftKey || event.altKey || zoomedIn)) return;
      event.preventDefault();
      setWindow((w) => zoomed(w, place, (event.deltaY || event.deltaX) > 0 ? WHEEL_STEP : 1 / WHEEL_STEP));
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  });
  const move = (event: MouseEvent) => {
    const place = at(event);
    if (event.buttons === 1 && zoomedIn && place.box) setWindow((w) => moved(w, event.movementX / (place.box?.width ?? 1), -event.movementY / (place.box?.height ?? 1)));
    const [plane, panel] = [planes[place.panel], view.panels[place.panel]];
    const list = plane && panel ? found(plane, panel, hidden, event.offsetX, event.offsetY) : [];
    setTip(list.length > 0 ? { x: event.offsetX, y: event.offsetY, panel: place.panel, found: list } : null);
  };
  const doubleClick = (event: MouseEvent) => {
    const place = at(event);
    if (zoomedIn) return setWindow(whole);
    if (enlarge && place.box) return enlarge(place.panel);
    if (place.box) setWindow((w) => zoomed(w, place, 1 / 4));
  };
  const empty = !view.panels.some((panel) => panel.layers.some((layer) => layer.y.length > 0));
  return (
    <div class="plane">
      {empty && <p class="notice over">No data yet.</p>}
      <canvas
        ref={canvas} role="img" aria-label={`${view.y.label} against ${view.x.label}`} data-zoomed={zoomedIn ? "1" : "0"}
        data-panels={grid.shown} onMouseMove={move} onMouseLeave={() => setTip(null)} onDblClick={doubleClick}
      />
      {grid.shown < view.panels.length && <p class="messages corner">{grid.shown} of {view.panels.length} panels fit; open the plot for more</p>}
      {tip && <Tip view={view} tip={tip} width={size.width} />}
    </div>
  );
}

function Tip({ view, tip, width }: { view: PanelsView; tip: { x: number; y: number; panel: number; found: Found[] }; width: number }) {
  const time = (side: Side) => view[side].scale === "time";
  const edge = (f: Found) => {
    const [from, to] = [f.layer.x[f.at], f.layer.x[f.at + 1]].map((v) => written(v, time("x")));
    const bins = f.layer.shape === "steps" || f.layer.shape === "bars";
    return bins ? `${from} to ${to}` : from;
  };
  const title = view.panels[tip.panel]?.title;
  return (
    <div class="tip" style={{ left: `${Math.max(0, Math.min(tip.x + 14, width - 240))}px`, top: `${tip.y + 14}px` }}>
      <b>{[title, tip.found.length === 1 ? tip.found[0]?.layer.name : ""].filter(Boolean).join(", ")}</b>
      {tip.found[0] && <span>{view.x.label || "x"}: {edge(tip.found[0])}</span>}
      {tip.found.map((f, at) => (
        <span key={at}>{(tip.found.length > 1 && f.layer.name) || view.y.label || "y"}: {written(f.layer.y[f.at], time("y"))}{f.layer.shape === "band" && ` to ${written(f.layer.z[f.at], time("y"))}`}</span>
      ))}
      {tip.found.map((f, at) => f.layer.notes[f.at] && <span key={`note ${at}`}>{f.layer.notes[f.at]}</span>)}
    </div>
  );
}
