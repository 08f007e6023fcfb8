// Tables and single numbers.

import type { Scalar, Table } from "../api";
import { number } from "../format";

export function ScalarPlot({ view }: { view: Scalar }) {
  return <p class="scalar">{number(view.value)} <small>{view.unit}</small></p>;
}

export function TablePlot({ view }: { view: Table }) {
  return (
    <div class="scroll">
      <table>
        <thead><tr>{view.columns.map((name) => <th key={name}>{name}</th>)}</tr></thead>
        <tbody>
          {view.rows.map((row, at) => (
            <tr key={at}>{row.map((cell, column) => <td key={column} class={typeof cell === "number" ? "number" : ""}>{text(cell)}</td>)}</tr>
          ))}
          {view.rows.length === 0 && <tr><td colSpan={view.columns.length}>nothing</td></tr>}
        </tbody>
      </table>
    </div>
  );
}

export function text(cell: unknown): string {
  if (typeof cell === "number") return number(cell);
  if (cell === null || cell === undefined) return "–";
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}
