// Tables of models: sorted, filtered, and drawn only where they are seen, so that 1,000 × 200 is quick.
"use strict";

// data: models (names), texts (columns of words, the first of which can be chosen from), columns (of
// numbers) and remarks (columns of words behind these). The ids of its elements begin with `prefix`;
// elements that are not there are not used.
function modelTable(prefix, data) {
  const own = (id) => byId(prefix + id);
  const on = (id, event, act) => own(id)?.addEventListener(event, act);
  const MARGIN = 12; // rows drawn above and below what is seen
  const MANY = 40; // columns
  const scroll = own("table-scroll"), table = own("table");
  const head = table.tHead, body = table.tBodies[0];
  const { models, texts, columns, remarks = [] } = data;
  const words = [...texts, ...remarks];
  const shown = new Set(columns.filter((c) => c.shown).map((c) => c.key));
  let order = models.map((_, i) => i);
  let sort = { key: null, down: true };
  let drawn = { first: -1, last: -1 };
  let whole = false; // on paper, every row is drawn

  function cell(column, model) {
    const value = column.values[model];
    if (value === null) return "<td>–</td>";
    const low = column.low?.[model], high = column.high?.[model], n = column.n?.[model];
    let title = `${escape(column.label)}: ${value}`, half = "";
    if (low != null && high != null) {
      title += `, 95 % interval ${digits(low)} to ${digits(high)}`;
      const decimals = digits(value).split(".")[1].length;
      half = ` <small>±${((high - low) / 2).toFixed(decimals)}</small>`;
    }
    if (n != null) title += `, ${n} images`;
    if (column.notes?.[model]) title += `, ${escape(column.notes[model])}`;
    const text = column.decimals == null ? digits(value) : number(value, column.decimals);
    return `<td title="${title}">${text}${half}</td>`;
  }

  const visible = () => columns.filter((c) => shown.has(c.key));

  function drawHead() {
    const keys = [["model", "model"], ...[...texts, ...visible(), ...remarks].map((c) => [c.key, c.label])];
    head.innerHTML = `<tr>${keys.map(([key, label], i) => {
      const how = sort.key === key ? (sort.down ? "descending" : "ascending") : "none";
      return `<th scope="col" class="${i ? (words.some((t) => t.key === key) ? "words" : "") : "first"}" aria-sort="${how}" title="${escape(key)}">` +
        `<button type="button" data-key="${escape(key)}">${escape(label)}</button></th>`;
    }).join("")}</tr>`;
    // Widths that depend on every cell cost too much when there are very many cells.
    const many = keys.length > MANY;
    table.style.tableLayout = many ? "fixed" : "";
    table.style.width = many ? `${12 + 10 * words.length + 8 * (keys.length - 1 - words.length)}rem` : "";
    table.querySelector("colgroup")?.remove();
    if (many) table.insertAdjacentHTML("afterbegin", `<colgroup><col style="width:12rem">${'<col style="width:10rem">'.repeat(texts.length)}</colgroup>`);
  }

  const spacer = (rows, height, width) =>
    `<tr class="space" aria-hidden="true"><td colspan="${width}" style="height:${rows * height}px"></td></tr>`;

  function row(place, list) {
    const m = order[place];
    const told = (list) => list.map(({ values }) => `<td class="words" title="${escape(values[m])}">${escape(values[m])}</td>`).join("");
    return `<tr aria-rowindex="${place + 2}"><th scope="row" title="${escape(models[m])}">${escape(models[m])}</th>` +
      `${told(texts)}${list.map((c) => cell(c, m)).join("")}${told(remarks)}</tr>`;
  }

  // Draws the rows that are seen and some around them; without `anew`, only those that are missing.
  function drawRows(anew) {
    const height = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 34;
    const seen = Math.ceil(scroll.clientHeight / height), top = Math.floor(scroll.scrollTop / height);
    let first = Math.max(0, top - MARGIN), last = Math.min(order.length, top + seen + MARGIN);
    if (whole) [first, last] = [0, order.length];
    const enough = drawn.first <= Math.max(0, top - 1) && drawn.last >= Math.min(order.length, top + seen + 1);
    if (!anew && enough) return;
    const list = visible(), width = list.length + 1 + words.length;
    const rows = (from, to) => {
      let html = "";
      for (let place = from; place < to; place++) html += row(place, list);
      return html;
    };
    const overlap = !anew && first < drawn.last && drawn.first < last;
    if (overlap) {
      const [above, below] = [body.firstElementChild, body.lastElementChild];
      for (let k = drawn.first; k < first; k++) above.nextElementSibling.remove();
      for (let k = last; k < drawn.last; k++) below.previousElementSibling.remove();
      above.insertAdjacentHTML("afterend", rows(first, drawn.first));
      below.insertAdjacentHTML("beforebegin", rows(drawn.last, last));
      above.firstElementChild.style.height = `${first * height}px`;
      below.firstElementChild.style.height = `${(order.length - last) * height}px`;
    } else {
      body.innerHTML = spacer(first, height, width) + rows(first, last) + spacer(order.length - last, height, width);
    }
    drawn = { first, last };
  }

  function arrange() {
    const wanted = own("filter-model").value.trim().toLowerCase(), chosen = own("filter-category").value;
    order = models.map((_, i) => i).filter((i) =>
      models[i].toLowerCase().includes(wanted) && (!chosen || texts[0].values[i] === chosen));
    const column = columns.find((c) => c.key === sort.key);
    const said = sort.key === "model" ? models : words.find((t) => t.key === sort.key)?.values;
    const sign = sort.down ? -1 : 1;
    if (said) order.sort((a, b) => sign * said[a].localeCompare(said[b], "en", { numeric: true }));
    if (column) {
      order.sort((a, b) => {
        const x = column.values[a], y = column.values[b];
        return x === null || y === null ? (x === null) - (y === null) : sign * (x - y); // without a value: last
      });
    }
    own("table-said").textContent = `${order.length} of ${models.length} ${data.noun ?? "models"}, ${visible().length} of ${columns.length} columns`;
    if (own("column-count")) own("column-count").textContent = `${visible().length} of ${columns.length}`;
    table.setAttribute("aria-rowcount", order.length + 1);
    scroll.scrollTop = 0;
    drawHead();
    drawRows(true);
  }

  function listColumns() {
    const wanted = own("filter-column").value.trim().toLowerCase();
    const found = columns.filter((c) => (c.key + " " + c.label).toLowerCase().includes(wanted));
    own("column-list").innerHTML = found.map((c) =>
      `<label><input type="checkbox" value="${escape(c.key)}" ${shown.has(c.key) ? "checked" : ""}> ${escape(c.label === c.key ? c.key : `${c.label} (${c.key})`)}</label>`).join("");
    return found;
  }

  function choose(keys, keep) {
    if (!keep) shown.clear();
    keys.forEach((key) => shown.add(key));
    listColumns();
    arrange();
  }

  head.addEventListener("click", (event) => {
    const key = event.target.closest("button")?.dataset.key;
    if (!key) return;
    const text = key === "model" || words.some((t) => t.key === key);
    sort = { key, down: sort.key === key ? !sort.down : !text };
    arrange();
    [...head.querySelectorAll("button")].find((b) => b.dataset.key === key).focus();
  });
  let waiting = false;
  scroll.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawRows(false); });
  }, { passive: true });
  window.addEventListener("resize", () => drawRows(true));
  on("filter-model", "input", arrange);
  on("filter-category", "input", arrange);
  on("filter-column", "input", listColumns);
  on("column-list", "change", (event) => {
    if (event.target.checked) shown.add(event.target.value); else shown.delete(event.target.value);
    arrange();
  });
  on("columns-main", "click", () => choose(columns.filter((c) => c.shown).map((c) => c.key)));
  on("columns-all", "click", () => choose(listColumns().map((c) => c.key), true));
  on("columns-none", "click", () => choose([]));
  on("show-intervals", "change", (event) => scroll.classList.toggle("no-intervals", !event.target.checked));
  if (data.printed) {
    window.addEventListener("beforeprint", () => { whole = true; drawRows(true); });
    window.addEventListener("afterprint", () => { whole = false; drawRows(true); });
  }

  options(own("filter-category"), [["", "all"], ...[...new Set(texts[0].values)].sort().map((v) => [v, v])], "");
  if (own("column-list")) listColumns();
  arrange();
}

// Tables that are written whole: sorted by the text or the numbers in their cells.
for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const header = event.target.closest("th");
    if (!header) return;
    const down = header.getAttribute("aria-sort") !== "descending";
    const index = header.cellIndex, rows = [...table.tBodies[0].rows];
    const value = (row) => {
      const text = row.cells[index].textContent.replaceAll("−", "-").replace("< ", "");
      const number = parseFloat(text);
      return Number.isNaN(number) ? text : number;
    };
    const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    rows.sort((a, b) => (down ? -1 : 1) * compare(value(a), value(b)));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  });
}

// Downloads are made when they are asked for.
const files = dataIn("files");
const makes = {}; // functions that return the text of files that the page does not hold as they are
for (const link of document.querySelectorAll("a[data-file]")) {
  link.addEventListener("click", () => {
    if (link.href.startsWith("blob:")) return;
    link.href = URL.createObjectURL(new Blob([makes[link.dataset.file]?.() ?? files[link.dataset.file]], { type: "text/csv" }));
  });
}
