// Numbers, times and names as people read them. All times are UTC.

const two = (value: number) => String(Math.floor(value)).padStart(2, "0");

export function utcTime(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
}

export function utcDateTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 10)} ${utcTime(ms)}`;
}

// Age in at most two units: `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
export function age(seconds: number): string {
  const s = Math.round(Math.abs(seconds));
  const sign = seconds < -0.5 ? "-" : "";
  if (s < 60) return `${sign}${s} s`;
  if (s < 3600) return `${sign}${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${sign}${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${sign}${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// Four significant digits, with thousands kept readable.
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return value.toExponential(3);
  if (Number.isInteger(value)) return value.toLocaleString("en-GB");
  return value.toLocaleString("en-GB", { maximumSignificantDigits: Math.max(4, Math.floor(Math.log10(size)) + 1) });
}

// 12345678 -> `12.3 M`; below ten thousand every digit.
export function count(value: number): string {
  if (value < 10_000) return String(value);
  const [unit, size] = value < 1e6 ? ["k", 1e3] : value < 1e9 ? ["M", 1e6] : ["G", 1e9] as const;
  const scaled = value / size;
  return `${scaled >= 999.5 ? Math.round(scaled) : scaled.toPrecision(3)} ${unit}`;
}

// Labels of a time axis in UTC, as short as the step allows; the first one and every new day show
// the date.
export function timeLabels(times_s: number[], step_s: number): string[] {
  let day = "";
  return times_s.map((time) => {
    const date = new Date(time * 1000).toISOString();
    const text = step_s >= 86_400 ? "" : date.slice(11, step_s >= 60 ? 16 : 19);
    const fresh = date.slice(0, 10) !== day;
    day = date.slice(0, 10);
    return fresh ? `${text}\n${day}`.trim() : text;
  });
}

// Whole multiples of a round step between two times [ms], at most `most` of them.
export function roundTimes(from_ms: number, to_ms: number, most: number): { step_s: number; times_ms: number[] } {
  const steps_s = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
  const step_s = steps_s.find((step) => (to_ms - from_ms) / 1000 / step <= most) ?? 86_400 * Math.ceil((to_ms - from_ms) / 86_400_000 / most);
  const times_ms: number[] = [];
  for (let at = Math.ceil(from_ms / 1000 / step_s) * step_s * 1000; at <= to_ms; at += step_s * 1000) times_ms.push(at);
  return { step_s, times_ms };
}

export const isGlob = (entry: string) => /[*?]/.test(entry);

// Names of a row that match an entry: exact, or with `*` any text and with `?` any character; sorted
// so that du2 < du10.
export function matching(entry: string, names: string[]): string[] {
  if (!isGlob(entry)) return names.filter((name) => name === entry);
  const escaped = entry.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  const pattern = new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`);
  return names.filter((name) => pattern.test(name)).sort(byNumber);
}

export function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
