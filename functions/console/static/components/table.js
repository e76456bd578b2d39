// A table with a caption and column headings, which becomes a list of cards on a phone.

import { Fragment, html } from "../lib/vendor.js";

/**
 * `columns` are `{name, cell(row), isNumber, isRowHeader, isQuiet}`; only screen readers see the name
 * of a quiet column. `detail(row)` returns the content below a row, if any.
 */
export const Table = ({ caption, columns, rows, keyOf, detail }) => html`<table>
  <caption class="unseen">
    ${caption}
  </caption>
  <thead>
    <tr>
      ${columns.map(
        ({
          name,
          isNumber,
          isQuiet,
        }) => html`<th key=${name} scope="col" class=${isNumber ? "right" : ""}>
          <span class=${isQuiet ? "unseen" : ""}>${name}</span>
        </th>`,
      )}
    </tr>
  </thead>
  <tbody>
    ${rows.map((row) => {
      const below = detail?.(row);
      return html`<${Fragment} key=${keyOf(row)}>
        <tr class=${below ? "opened" : ""}>
          ${columns.map((column) => html`<${Cell} key=${column.name} column=${column} row=${row} />`)}
        </tr>
        ${
          below &&
          html`<tr class="detail">
          <td colspan=${columns.length}>${below}</td>
        </tr>`
        }
      <//>`;
    })}
  </tbody>
</table>`;

function Cell({ column: { name, cell, isNumber, isRowHeader, isQuiet }, row }) {
  const label = isQuiet ? undefined : name;
  const look = isNumber ? "right" : "";
  return isRowHeader
    ? html`<th scope="row" class=${look}>${cell(row)}</th>`
    : html`<td data-label=${label} class=${look}><div>${cell(row)}</div></td>`;
}
