// A table with a caption and column headings, whose rows become two lines each on a phone.

import { Fragment, html } from "../lib/vendor.js";

/**
 * `columns` are `{name, cell(row), isNumber, isRowHeader, isQuiet, isMain, isMark, isSpare}`; only screen
 * readers see the name of a quiet column. On a phone a mark is before the row's header, the main
 * column beside it, the others are below, and spare ones are left out. `detail(row)` returns the
 * content below a row, if any, and `groupOf(row)` the heading that it is under.
 */
export const Table = ({ caption, columns, rows, keyOf, detail, groupOf }) => html`<table>
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
          isMark,
          isSpare,
        }) => html`<th key=${name} scope="col" class=${look({ isNumber, isMark, isSpare })}>
          <span class=${isQuiet ? "unseen" : ""}>${name}</span>
        </th>`,
      )}
    </tr>
  </thead>
  <tbody>
    ${rows.map((row, index) => {
      const below = detail?.(row);
      const group = groupOf?.(row);
      const isFirst = group && (index === 0 || group !== groupOf(rows[index - 1]));
      return html`<${Fragment} key=${keyOf(row)}>
        ${isFirst && html`<tr class="group"><th scope="rowgroup" colspan=${columns.length}>${group}</th></tr>`}
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

/** Return a cell's classes. */
const look = ({ isNumber, isMain, isMark, isSpare }) =>
  [isNumber && "right", isMain && "main", isMark && "mark", isSpare && "spare"].filter(Boolean).join(" ");

/** On a phone a number has its column's name beside it, unless it is the main one. */
function Cell({ column, row }) {
  const { name, cell, isNumber, isMain, isRowHeader } = column;
  const label = isNumber && !isMain ? name : undefined;
  return isRowHeader
    ? html`<th scope="row" class=${look(column)}>${cell(row)}</th>`
    : html`<td data-label=${label} class=${look(column)}><div>${cell(row)}</div></td>`;
}
