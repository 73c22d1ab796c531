for (const button of document.querySelectorAll(".data thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, table = head.closest("table"), column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    // Numbers by their value, before texts; what is empty comes last.
    const key = row => {
      const text = row.cells[column].textContent.trim(), number = parseFloat(text.replaceAll(",", ""));
      return text === "" || text === "–" ? [2, 0, ""] : /^[-+]?[\d.]/.test(text) ? [0, number, text] : [1, 0, text];
    };
    const order = (a, b) => a[0] - b[0] || a[1] - b[1] || a[2].localeCompare(b[2], "en", {numeric: true});
    const rows = [...table.tBodies[0].rows].map(row => [key(row), row]);
    rows.sort(([a], [b]) => down && a[0] < 2 && b[0] < 2 ? order(b, a) : order(a, b));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  });
}
