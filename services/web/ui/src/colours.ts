// Values to colours, with the same 256-entry tables as the server's pictures.

import type { Colours } from "./api";

export type Rgb = readonly [number, number, number];

export function parseTable(hex: string): Rgb[] {
  const table: Rgb[] = [];
  for (let at = 0; at + 6 <= hex.length; at += 6) table.push(parseHex(hex.slice(at, at + 6)));
  return table;
}

function parseHex(hex: string): Rgb {
  const value = Number.parseInt(hex, 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

// Resolves any CSS colour by letting a canvas parse it.
const resolved = new Map<string, Rgb>();
export function cssColour(text: string): Rgb {
  const known = resolved.get(text);
  if (known) return known;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return [128, 128, 128];
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  const [r = 0, g = 0, b = 0] = context.getImageData(0, 0, 1, 1).data;
  const rgb: Rgb = [r, g, b];
  resolved.set(text, rgb);
  return rgb;
}

// Position of a value on the colour scale: 0 at `low`, 1 at `high`; bounds are inside.
export function position(value: number, colours: Colours): number {
  if (!colours.log) return (value - colours.low) / (colours.high - colours.low);
  return Math.log(value / colours.low) / Math.log(colours.high / colours.low);
}

export type Paint = (value: number | null) => Rgb;

export function painter(colours: Colours, table: Rgb[], css: (text: string) => Rgb = cssColour): Paint {
  const missing = css(colours.missing);
  const first = table[0] ?? missing;
  const last = table[table.length - 1] ?? missing;
  const under = colours.under === null ? first : css(colours.under);
  const over = colours.over === null ? last : css(colours.over);
  return (value) => {
    if (value === null || !Number.isFinite(value)) return missing;
    const at = position(value, colours);
    if (at < 0) return under;
    if (at > 1) return over;
    return table[Math.min(table.length - 1, Math.floor(at * table.length))] ?? missing;
  };
}

export const rgbText = ([r, g, b]: Rgb) => `rgb(${r} ${g} ${b})`;
