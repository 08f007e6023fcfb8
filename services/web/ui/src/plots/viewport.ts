// Zoom and pan of a canvas plot, in fractions of the whole plane: wheel zooms at the pointer, drag
// pans, double click shows all.

export interface Window {
  x0: number;
  x1: number;
  y0: number;
  y1: number;
}

export const whole: Window = { x0: 0, x1: 1, y0: 0, y1: 1 };
const SMALLEST = 1 / 500;

// Zooms by a factor about a point (fractions of the visible part); never leaves the plane.
export function zoomed(window: Window, at: { x: number; y: number }, factor: number): Window {
  const [x0, x1] = scaled(window.x0, window.x1, at.x, factor);
  const [y0, y1] = scaled(window.y0, window.y1, at.y, factor);
  return { x0, x1, y0, y1 };
}

function scaled(low: number, high: number, at: number, factor: number): [number, number] {
  const width = Math.min(1, Math.max(SMALLEST, (high - low) * factor));
  return clamped(low + at * (high - low - width), width);
}

export function moved(window: Window, dx: number, dy: number): Window {
  const [x0, x1] = clamped(window.x0 - dx * (window.x1 - window.x0), window.x1 - window.x0);
  const [y0, y1] = clamped(window.y0 - dy * (window.y1 - window.y0), window.y1 - window.y0);
  return { x0, x1, y0, y1 };
}

function clamped(low: number, width: number): [number, number] {
  const start = Math.min(Math.max(0, low), 1 - width);
  return [start, start + width];
}
