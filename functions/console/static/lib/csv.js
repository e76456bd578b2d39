// Tables as files that a spreadsheet opens.

/** Save rows of cells as a file. Numbers stay numbers. */
export function save(name, rows) {
  const text = rows.map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
  const link = document.createElement("a");
  // The first character marks it as UTF-8, which spreadsheets need.
  link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Quote a cell. Text that a spreadsheet would run as a formula gets an apostrophe before it. */
function cell(value) {
  if (typeof value === "number") return String(value);
  const text = (value ?? "").replace(/^(?='*[=+\-@\t\r\n])/, "'");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
