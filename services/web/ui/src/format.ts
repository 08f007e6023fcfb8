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

// 12345678 -> `12.3 M`.
export function count(value: number): string {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]] as const) {
    if (value >= size * 10) return `${(value / size).toPrecision(3)} ${unit}`;
  }
  return String(value);
}

// Names of a row that match an entry: exact, or with `*` any text; sorted so that du2 < du10.
export function matching(entry: string, names: string[]): string[] {
  if (!entry.includes("*")) return names.filter((name) => name === entry);
  const parts = entry.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`^${parts.join(".*")}$`);
  return names.filter((name) => pattern.test(name)).sort(byNumber);
}

export function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
