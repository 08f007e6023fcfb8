// Tables and single numbers.

import type { Scalar, Table } from "../api";
import { number } from "../format";
import { live } from "../live";
import { eventPlot, linkTo } from "../questions";

export function ScalarPlot({ view }: { view: Scalar }) {
  return <p class="scalar">{number(view.value)} <small>{view.unit}</small></p>;
}

export function TablePlot({ view, service }: { view: Table; service: string | undefined }) {
  return (
    <div class="scroll">
      <table class={view.columns.length === 2 ? "pairs" : ""}>
        <thead><tr>{view.columns.map((name) => <th key={name}>{name}</th>)}</tr></thead>
        <tbody>
          {view.rows.map((row, at) => (
            <tr key={at}>{row.map((cell, column) => <td key={column} class={typeof cell === "number" ? "number" : ""}><Cell cell={isName(view, row, column) ? String(cell) : cell} service={service} /></td>)}</tr>
          ))}
          {view.rows.length === 0 && <tr><td colSpan={view.columns.length}>nothing</td></tr>}
        </tbody>
      </table>
    </div>
  );
}

// Numbers that name something, such as a module or a run, are written as they are typed in elsewhere.
const NAMING = /\b(id|run|index|counter|timestamp)$|^run of\b|^(first|last|newest) (frame|DOM)\b/i;

// What a cell is, stands above it, in a table of pairs before it.
export function isName(view: Table, row: unknown[], column: number): boolean {
  const pairs = view.columns.length === 2 && column === 1;
  const name = pairs ? String(row[0]) : view.columns[column] ?? "";
  return typeof row[column] === "number" && NAMING.test(name.replaceAll("_", " "));
}

// Stored event displays are shown small and lead to the picture, and to the plot of the service that
// has them.
function Cell({ cell, service }: { cell: unknown; service: string | undefined }) {
  const stored = typeof cell === "string" ? storedEvent(cell) : null;
  if (!stored) return <>{text(cell)}</>;
  if (!stored.picture) return <a href={stored.href}>{stored.name}</a>;
  const plot = eventPlot(live, service);
  return (
    <>
      <a class="thumb" href={stored.href} title={stored.name}><img src={`${stored.href}?w=480&h=480`} alt={stored.name} loading="lazy" /></a>
      {plot && <a href={linkTo(plot, { name: stored.name.replace(/\.png$/, "") })}>look at it</a>}
    </>
  );
}

const FOLDER = "/event_selection/";

// What a path below `/event_selection/` leads to: without an ending, the picture. Events of another
// table than the usual one lie in a folder of its name.
export function storedEvent(cell: string): { href: string; name: string; picture: boolean } | null {
  if (!cell.startsWith(FOLDER)) return null;
  const path = cell.slice(FOLDER.length);
  const [, name] = /^(?:[\w-][\w.-]*\/)?(\w[\w.-]*)$/.exec(path) ?? [];
  if (name === undefined) return null;
  const file = /\.(png|json|dat)$/.test(path) ? path : `${path}.png`;
  return { href: FOLDER + file, name, picture: file.endsWith(".png") };
}

export function text(cell: unknown): string {
  if (typeof cell === "number") return number(cell);
  if (cell === null || cell === undefined) return "–";
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}
