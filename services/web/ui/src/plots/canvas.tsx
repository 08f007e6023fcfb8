// A canvas that fits its place, redraws when told, and reports the pointer; the base of maps and
// images. Frame, ticks and colour bar are drawn here, the content by the caller.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { Colours } from "../api";
import { parseTable, position, rgbText, type Rgb } from "../colours";
import { live } from "../live";
import { Clicks } from "./click";
import { linearTicks, logTicks, type Tick } from "./ticks";
import { moved, whole, type Window, zoomed } from "./viewport";

export interface Frame {
  context: CanvasRenderingContext2D;
  left: number;
  top: number;
  width: number;
  height: number;
  window: Window;
}

export interface Pointer {
  // Fractions of the whole plane, y upward.
  x: number;
  y: number;
}

interface Props {
  draw: (frame: Frame) => void;
  hover: (at: Pointer, frame: { width: number; height: number; window: Window }) => ComponentChildren;
  // A single click, neither a drag nor a zoom.
  click?: (at: Pointer, frame: { width: number; height: number; window: Window }) => void;
  colours: Colours;
  label: string;
  margin?: Margin;
}

export interface Margin {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const MARGIN: Margin = { left: 54, right: 96, top: 8, bottom: 34 };
const NONE: Margin = { left: 0, right: 0, top: 0, bottom: 0 };
const WHEEL_STEP = 1.2;

export function colourTable(colours: Colours): Rgb[] {
  const hex = live.config?.colour_maps[colours.map] ?? live.config?.colour_maps["cividis"] ?? "";
  return parseTable(hex);
}

// The size of a canvas [px], kept current.
export function useSize(canvas: { current: HTMLCanvasElement | null }) {
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setSize({ width: Math.floor(entry.contentRect.width), height: Math.floor(entry.contentRect.height) });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return size;
}

export function CanvasPlot({ draw, hover, click, colours, label, margin = MARGIN }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(canvas);
  const [window, setWindow] = useState<Window>(whole);
  const [tip, setTip] = useState<{ x: number; y: number; text: ComponentChildren } | null>(null);

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || size.width === 0) return;
    const frame = prepare(context, size, window, margin);
    drawColourBar(frame, colours);
    context.save();
    draw(frame);
    context.restore();
  });

  const inside = (event: MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    const x = (event.clientX - (box?.left ?? 0) - margin.left) / (size.width - margin.left - margin.right);
    const y = 1 - (event.clientY - (box?.top ?? 0) - margin.top) / (size.height - margin.top - margin.bottom);
    return { x, y, within: x >= 0 && x <= 1 && y >= 0 && y <= 1 };
  };
  // Preact attaches wheel listeners passively, where the page could not be kept from scrolling.
  useEffect(() => {
    const element = canvas.current;
    const wheel = (event: WheelEvent) => {
      const at = inside(event);
      if (!at.within || !(event.ctrlKey || event.shiftKey || event.altKey || element?.dataset.zoomed === "1")) return;
      event.preventDefault();
      setWindow((w) => zoomed(w, at, (event.deltaY || event.deltaX) > 0 ? WHEEL_STEP : 1 / WHEEL_STEP));
    };
    element?.addEventListener("wheel", wheel, { passive: false });
    return () => element?.removeEventListener("wheel", wheel);
  });
  const place = (at: { x: number; y: number }) => [
    { x: window.x0 + at.x * (window.x1 - window.x0), y: window.y0 + at.y * (window.y1 - window.y0) },
    { width: size.width - margin.left - margin.right, height: size.height - margin.top - margin.bottom, window },
  ] as const;
  const clicks = useMemo(() => new Clicks(), []);
  useEffect(() => () => clicks.stop(), []);
  const up = (event: MouseEvent) => {
    const at = inside(event);
    if (click && at.within && event.button === 0) clicks.up(event.clientX, event.clientY, () => click(...place(at)));
  };
  const move = (event: MouseEvent) => {
    const at = inside(event);
    if (event.buttons === 1) {
      const fx = event.movementX / (size.width - margin.left - margin.right);
      const fy = -event.movementY / (size.height - margin.top - margin.bottom);
      setWindow((w) => moved(w, fx, fy));
    }
    const text = at.within ? hover(...place(at)) : null;
    setTip(text ? { x: event.offsetX, y: event.offsetY, text } : null);
  };
  const zoomedIn = window.x1 - window.x0 < 1 || window.y1 - window.y0 < 1;
  return (
    <div class="plane">
      <canvas
        ref={canvas} role="img" aria-label={label} data-zoomed={zoomedIn ? "1" : "0"}
        title="" onMouseMove={move} onMouseLeave={() => setTip(null)}
        onMouseDown={(event) => clicks.down(event.clientX, event.clientY)} onClick={up} onDblClick={(event) => {
          clicks.stop();
          const at = inside(event);
          setWindow((w) => (zoomedIn ? whole : zoomed(w, at, 1 / 4)));
        }}
      />
      {tip && <div class="tip" style={{ left: `${Math.max(0, Math.min(tip.x + 14, size.width - 200))}px`, top: `${tip.y + 14}px` }}>{tip.text}</div>}
    </div>
  );
}

// Empties a canvas, in CSS pixels whatever those of the screen are.
export function prepare(context: CanvasRenderingContext2D, size: { width: number; height: number }, window = whole, margin = NONE): Frame {
  const ratio = devicePixelRatio || 1;
  const { canvas } = context;
  if (canvas.width !== size.width * ratio || canvas.height !== size.height * ratio) {
    canvas.width = size.width * ratio;
    canvas.height = size.height * ratio;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size.width, size.height);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = inkColour();
  return {
    context,
    left: margin.left,
    top: margin.top,
    width: size.width - margin.left - margin.right,
    height: size.height - margin.top - margin.bottom,
    window,
  };
}

export const inkColour = () => getComputedStyle(document.documentElement).getPropertyValue("--ink").trim() || "#222";
export const gridColour = () => getComputedStyle(document.documentElement).getPropertyValue("--line").trim() || "#ccc";

// Pixel of a fraction of the whole plane.
export const pixelX = (f: Frame, x: number) => f.left + ((x - f.window.x0) / (f.window.x1 - f.window.x0)) * f.width;
export const pixelY = (f: Frame, y: number) => f.top + (1 - (y - f.window.y0) / (f.window.y1 - f.window.y0)) * f.height;

// `line` counts the lines of text below the axis.
export function tickX(f: Frame, x: number, text: string, line = 0) {
  const at = pixelX(f, x);
  if (at < f.left - 1 || at > f.left + f.width + 1) return;
  f.context.textAlign = "center";
  f.context.textBaseline = "top";
  f.context.fillText(text, at, f.top + f.height + 6 + 13 * line);
}

export function tickY(f: Frame, y: number, text: string) {
  const at = pixelY(f, y);
  if (at < f.top - 1 || at > f.top + f.height + 1) return;
  f.context.textAlign = "right";
  f.context.textBaseline = "middle";
  f.context.fillText(text, f.left - 6, at);
}

function drawColourBar(f: Frame, colours: Colours) {
  const { context } = f;
  const table = colourTable(colours);
  const left = f.left + f.width + 14;
  const step = f.height / table.length;
  table.forEach((rgb, at) => {
    context.fillStyle = rgbText(rgb);
    context.fillRect(left, f.top + f.height - (at + 1) * step, 12, step + 1);
  });
  context.fillStyle = inkColour();
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const { at, text } of barTicks(colours, f.height)) {
    context.fillText(text, left + 16, f.top + (1 - position(at, colours)) * f.height);
  }
  context.save();
  context.translate(f.left + f.width + 86, f.top + f.height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(colours.label, 0, 0);
  context.restore();
}

function barTicks({ low, high, log }: Colours, height: number): Tick[] {
  return log ? logTicks(low, high) : linearTicks(low, high, height / 40);
}
