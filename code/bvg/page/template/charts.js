// The table's own models: their charts, and the table of them.
"use strict";
{
  const payload = dataIn("payload");
  modelTable("", {
    ...payload, texts: [{ key: "category", label: "category", values: payload.categories.map(plain) }], printed: true,
  });
  const categories = [...new Set(payload.categories)].sort();
  const column = (key) => payload.columns.find((c) => c.key === key);

  const bars = (c, members) => ({
    type: "data", symmetric: false, thickness: 1, width: 0,
    array: members.map((i) => c.high?.[i] != null && c.values[i] !== null ? c.high[i] - c.values[i] : 0),
    arrayminus: members.map((i) => c.low?.[i] != null && c.values[i] !== null ? c.values[i] - c.low[i] : 0),
  });

  const marker = (category) => {
    const i = categories.indexOf(category);
    return { color: COLOURS[i % COLOURS.length], symbol: SYMBOLS[i % SYMBOLS.length], size: 10, line: { width: 1, color: style("--paper") } };
  };

  function said(row) {
    if (!row) return "no correlation";
    if (row.r === null) return `no r (${row.note})`;
    const p = (value) => value === null ? "–" : value < 0.0001 ? "< 0.0001" : `= ${value.toPrecision(value < 0.001 ? 1 : 2)}`;
    const interval = row.low === null || row.low === row.high || row.n < payload.fewestTold ? "no interval" : `95 % interval ${number(row.low)} to ${number(row.high)}`;
    const t = row.n >= payload.few ? ` (${p(row.p).replace("= ", "")} by the t approximation)` : "";
    return `r = ${number(row.r)} (${interval}), n = ${row.n}, p ${p(row.p_permutation)} by permutation${t}`;
  }

  function scatter() {
    const [x, y, group] = ["scatter-x", "scatter-y", "scatter-group"].map((id) => byId(id).value);
    const a = column(x), b = column(y), errors = byId("scatter-errors").checked;
    if (!a || !b) return;
    const members = payload.groups[group].filter((i) => a.values[i] !== null && b.values[i] !== null);
    const traces = categories.map((category) => {
      const own = members.filter((i) => payload.categories[i] === category);
      return {
        type: "scatter", mode: "markers", name: plain(category), marker: marker(category),
        x: own.map((i) => a.values[i]), y: own.map((i) => b.values[i]),
        text: own.map((i) => escape(payload.models[i])),
        error_x: errors ? bars(a, own) : undefined, error_y: errors ? bars(b, own) : undefined,
        hovertemplate: `<b>%{text}</b><br>${plain(category)}<br>${a.label}: %{x:.4~g}<br>${b.label}: %{y:.4~g}<extra></extra>`,
      };
    }).filter((trace) => trace.x.length);
    const unit = (c) => payload.biases.includes(c.key) ? "" : " (%)";
    Plotly.react("scatter-chart", traces, chartLayout({
      xaxis: { title: { text: a.label } }, yaxis: { title: { text: b.label + unit(b) } }, height: narrow() ? 470 : 520, showlegend: true,
    }), chartConfig);
    const row = payload.correlations.find((c) => c.group === group && c.bias === x && c.target === y);
    byId("scatter-said").textContent = `${group}: ${said(row)}`;
  }

  // A row of points for each kind of training; more: what else to say of a model when pointed at.
  function byCategory(id, key, title, range, more = () => "") {
    const c = column(key);
    if (!byId(id)) return;
    if (!c) { byId(id).hidden = true; return; }
    const traces = categories.map((category) => {
      const own = payload.models.map((_, i) => i).filter((i) => payload.categories[i] === category && c.values[i] !== null);
      return {
        type: "scatter", mode: "markers", name: plain(category), marker: marker(category), error_x: bars(c, own),
        x: own.map((i) => c.values[i]), y: own.map(() => plain(category)),
        text: own.map((i) => escape(payload.models[i]) + more(i)),
        hovertemplate: `<b>%{text}</b><br>${c.label}: %{x:.3f}<extra></extra>`,
      };
    }).filter((trace) => trace.x.length);
    Plotly.react(id, traces, chartLayout({
      xaxis: { title: { text: title }, ...range }, yaxis: { autorange: "reversed", type: "category" },
      showlegend: false, height: 130 + 46 * traces.length,
    }), chartConfig);
  }

  function shapeBias() {
    const right = column("top1_acc/cue-conflict");
    byCategory("shape-chart", "shape-bias", narrow() ? "shape bias" : "← texture      shape bias      shape →", { range: [-0.02, 1.02] },
      (i) => right?.values[i] != null ? `<br>cue-conflict images right by shape: ${number(right.values[i], 1)} %` : "");
  }

  function calibration() {
    byCategory("ece-chart", "calibration/ece", "expected calibration error", { rangemode: "tozero" });
    byCategory("balance-chart", "class-balance", "class balance", {});
  }

  function suppression() {
    if (!byId("suppression-chart")) return;
    const shown = payload.suppressed.map(column);
    const traces = categories.map((category, k) => {
      const points = shown.flatMap((c, place) => payload.models.map((_, i) => [c, place, i]))
        .filter(([c, , i]) => payload.categories[i] === category && c.values[i] !== null);
      return {
        type: "scatter", mode: "markers", name: plain(category), marker: marker(category),
        x: points.map(([, place]) => place + 0.6 * (k + 0.5) / categories.length - 0.3), y: points.map(([c, , i]) => c.values[i]),
        text: points.map(([c, , i]) => `<b>${escape(payload.models[i])}</b><br>${c.label}`),
        hovertemplate: "%{text}: %{y:.3f}<extra></extra>",
      };
    });
    Plotly.react("suppression-chart", traces, chartLayout({
      xaxis: { tickvals: shown.map((_, place) => place), ticktext: shown.map((c) => narrow() ? c.label.replaceAll(" ", "<br>") : c.label), zeroline: false },
      yaxis: { title: { text: "accuracy / that on originals" }, rangemode: "tozero" }, height: narrow() ? 470 : 420, showlegend: true,
    }), chartConfig);
  }

  function fractions() {
    if (!byId("fraction-chart")) return;
    const parts = { "fraction-correct-shape": ["shape", "#0072b2"], "fraction-correct-texture": ["texture", "#e69f00"], "fraction-neither": ["neither", "#999999"] };
    const bias = column("shape-bias");
    const order = payload.models.map((_, i) => i).filter((i) => column("fraction-correct-shape").values[i] !== null)
      .sort((i, j) => (bias?.values[i] ?? 0) - (bias?.values[j] ?? 0));
    const traces = Object.entries(parts).map(([key, [name, colour]]) => ({
      type: "bar", orientation: "h", name, marker: { color: colour }, y: order.map((i) => payload.models[i]),
      x: order.map((i) => column(key)?.values[i]), hovertemplate: `<b>%{y}</b><br>${name}: %{x:.1%}<extra></extra>`,
    }));
    Plotly.react("fraction-chart", traces, chartLayout({
      barmode: "stack", height: 120 + 24 * order.length, xaxis: { tickformat: ".0%", range: [0, 1] },
      yaxis: { type: "category", tickfont: { size: 11 } }, legend: { orientation: "h", y: 1, yanchor: "bottom", traceorder: "normal" }, margin: { l: 60, r: 30, t: 40, b: 40 },
    }), chartConfig);
  }

  function objects() {
    const { categories: names, values } = payload.shapes;
    if (!byId("object-chart") || !names.length) return;
    const mean = values.map((row) => row.filter((v) => v !== null).reduce((s, v, _, all) => s + v / all.length, 0));
    const order = names.map((_, i) => i).sort((i, j) => mean[i] - mean[j]);
    const traces = payload.models.map((model, m) => ({
      type: "scatter", mode: "markers", name: model, text: names.map(() => escape(model)),
      marker: { ...marker(payload.categories[m]), color: COLOURS[m % COLOURS.length], symbol: SYMBOLS[m % SYMBOLS.length] },
      x: order.map((i) => values[i][m]), y: order.map((i) => names[i]),
      hovertemplate: "<b>%{text}</b><br>%{y}: %{x:.2f}<extra></extra>",
    }));
    Plotly.react("object-chart", traces, chartLayout({
      xaxis: { title: { text: "shape bias" }, range: [-0.02, 1.02] }, yaxis: { type: "category" },
      height: 160 + 26 * names.length + (narrow() ? 22 * Math.min(payload.models.length, 12) : 0), showlegend: payload.models.length <= 12,
    }), chartConfig);
  }

  function choose(id, entries, chosen) {
    options(byId(id), entries, chosen);
    byId(id).addEventListener("input", scatter);
  }

  const label = (key) => [key, column(key).label];
  choose("scatter-x", payload.biases.map(label), payload.biases[0]);
  choose("scatter-y", payload.targets.map(label), payload.targets[0]);
  choose("scatter-group", Object.entries(payload.groups).filter(([, m]) => m.length).map(([g, m]) => [g, `${g} (${m.length})`]), "Total");
  byId("scatter-errors").addEventListener("change", scatter);
  byId("published-look")?.addEventListener("change", (event) =>
    byId("matrices").classList.toggle("as-published", event.target.checked));
  for (const button of document.querySelectorAll(".matrix button")) {
    const { group: of, said: where = "matrix-said" } = button.closest("table").dataset;
    const tell = () => { byId(where).textContent = `${of}, ${button.title}`; };
    button.addEventListener("focus", tell);
    button.addEventListener("mouseenter", tell);
    button.addEventListener("click", () => {
      const group = button.closest("table").dataset.group;
      byId("scatter-x").value = button.dataset.bias;
      byId("scatter-y").value = button.dataset.target;
      byId("scatter-group").value = payload.groups[group] ? group : "Total";
      scatter();
      byId("scatter").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
      byId("scatter-x").focus({ preventScroll: true });
    });
  }
  if (!payload.biases.length || !payload.targets.length) {
    byId("scatter-said").textContent = "The table has no bias, or no benchmark, to draw.";
    byId("scatter-chart").hidden = true;
  }
  charts.push(scatter, shapeBias, fractions, objects, suppression, calibration);
}
