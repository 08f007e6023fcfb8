// Round numbers for axes.

import { number, roundTimes, timeLabels } from "../format";

export interface Tick {
  at: number;
  text: string;
}

const TICKS_MAX = 100;

// A round number with the digits it has: `0.0005`, not `5.000e-4`.
function round(at: number): string {
  return at !== 0 && Math.abs(at) < 1e-3 ? String(Number(at.toPrecision(6))) : number(at);
}

// About `wanted` round numbers within a range.
export function linearTicks(low: number, high: number, wanted: number): Tick[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [];
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const digit = [1, 2, 5, 10].find((d) => rough / power <= d * (1 + 1e-9)) ?? 10;
  return multiples(low, high, digit * power);
}

// All multiples of a step; none when they are too many to be told apart.
export function multiples(low: number, high: number, step: number): Tick[] {
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  if (!(count >= 1 && count <= TICKS_MAX)) return [];
  return Array.from({ length: count }, (_, n) => {
    const at = (first + n) * step;
    // A zero that is a rounding error of the step must not be written with its digits.
    return { at, text: round(Math.abs(at) < step * 1e-6 ? 0 : Number(at.toPrecision(12))) };
  });
}

// Powers of ten within a range, and 2 and 5 times these where there are few.
export function logTicks(low: number, high: number): Tick[] {
  if (!(low > 0 && high > low)) return [];
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const every = Math.floor((last - first) / 12) + 1;
  const digits = high / low <= 300 ? [1, 2, 5] : [1];
  const ticks: Tick[] = [];
  for (let power = first; power <= last; power += every) {
    for (const digit of digits) {
      const at = digit * 10 ** power;
      if (at >= low * 0.999999 && at <= high * 1.000001) ticks.push({ at, text: round(at) });
    }
  }
  return ticks;
}

// Round times; the date stands below the first one and each new day.
export function timeTicks(low: number, high: number, wanted: number): Tick[] {
  if (!(high > low)) return [];
  const { step_s, times_ms } = roundTimes(low, high, Math.max(1, Math.floor(wanted)));
  const labels = timeLabels(times_ms.map((ms) => ms / 1000), step_s);
  return times_ms.map((at, index) => ({ at, text: labels[index] ?? "" }));
}

// How many minor steps a step of a time axis [s] has.
export function minorParts(step_s: number): number {
  const parts: Record<number, number> = {
    1: 5, 2: 2, 5: 5, 10: 5, 15: 3, 30: 3, 60: 4, 120: 2, 300: 5, 600: 5, 900: 3, 1800: 3, 3600: 4, 7200: 4, 10800: 3,
    14400: 4, 21600: 6, 28800: 4, 43200: 6, 86400: 4, 172800: 2, 604800: 7,
  };
  return parts[step_s] ?? 5;
}
