// Published models: the cloud of them, with the table's own models in it, forest plots, instruments.
"use strict";
{
  const published = dataIn("published");
  const { models, facts, columns } = published;
  const own = dataIn("own");
  for (const name of ["correlations", "instruments", "agreement"]) {
    const { keys, rows } = published[name];
    published[name] = rows.map((row) => Object.fromEntries(keys.map((key, k) => [key, row[k]])));
  }
  const CLOUD = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b0a000", "#9467bd"];
  const OTHERS = "#888888"; // of groups for which no colour is left
  const MOST_NAMED = 12; // models whose names stand beside their points
  const EVERY = ""; // in place of a source: every source that has the measure
  for (const c of columns) {
    c.of = new Map(c.models.map((model, k) => [model, k]));
    for (const name of ["n", "protocols", "flags"]) {
      if (!Array.isArray(c[name])) c[name] = Array(c.models.length).fill(c[name]); // one for all
    }
    c.label = published.labels[c.measure];
  }

  // Which results an axis shows: those of one source, or of every one.
  const shownBy = (axis) => {
    const [measure, source] = JSON.parse(axis);
    return columns.filter((c) => c.measure === measure && (source === EVERY || c.source === source));
  };
  const axisOf = (measure, source) => JSON.stringify([measure, source]);

  function chooseAxis(id, chosen) {
    const measures = [...new Set(columns.map((c) => c.measure))];
    byId(id).innerHTML = measures.map((measure) => {
      const having = columns.filter((c) => c.measure === measure);
      const all = having.length > 1 ? [[axisOf(measure, EVERY), `${having[0].label}: every source`]] : [];
      const entries = [...all, ...having.map((c) => [axisOf(measure, c.source), `${c.label}: ${c.source} (${c.models.length})`])];
      return `<optgroup label="${escape(having[0].label)}">${entries.map(([value, text]) =>
        `<option value="${escape(value)}" ${value === chosen ? "selected" : ""}>${escape(text)}</option>`).join("")}</optgroup>`;
    }).join("");
    byId(id).addEventListener("input", cloud);
  }

  // The points of two axes: within each source if both show every one, else of any two.
  function points(x, y) {
    const [xs, ys] = [shownBy(x), shownBy(y)];
    const within = JSON.parse(x)[1] === EVERY && JSON.parse(y)[1] === EVERY;
    const found = [];
    for (const a of xs) for (const b of ys) {
      if (within && a.source !== b.source) continue;
      a.models.forEach((model, i) => {
        const j = b.of.get(model);
        if (j !== undefined) found.push({ model, a, i, b, j });
      });
    }
    return found;
  }

  const told = (c, k) => {
    const how = [c.source, published.protocols[c.protocols[k]], c.n[k] ? `${c.n[k].toLocaleString("en")} images` : ""];
    const flag = published.flags[c.flags[k]];
    return `${escape(c.label)}: ${digits(c.values[k])} <i>(${escape(how.filter((word) => word).join(", "))})</i>` +
      (flag ? `<br><i>${escape(flag)}</i>` : "");
  };
  const fact = (name, model) => facts[name].names[facts[name].of[model]];
  const hover = ({ model, a, i, b, j }) =>
    `<b>${escape(models[model])}</b><br>${escape(fact("kind", model))}, ${escape(fact("family", model))}, ` +
    `${escape(fact("data", model))}<br>${told(a, i)}<br>${told(b, j)}`;

  function groupOf(point, colour) {
    if (colour !== "source") return fact(colour, point.model);
    return point.a.source === point.b.source ? point.a.source : `${point.a.source} and ${point.b.source}`;
  }

  const wanted = () => byId("cloud-find").value.toLowerCase().split(/[\s,]+/).filter((word) => word);

  function cloud() {
    const [x, y, colour] = ["cloud-x", "cloud-y", "cloud-colour"].map((id) => byId(id).value);
    const all = points(x, y), words = wanted();
    const isFound = (point) => words.some((word) => models[point.model].toLowerCase().includes(word));
    const found = words.length ? all.filter(isFound) : [];
    const sizes = new Map();
    for (const point of all) sizes.set(groupOf(point, colour), (sizes.get(groupOf(point, colour)) ?? 0) + 1);
    const groups = [...sizes.keys()].sort((a, b) => sizes.get(b) - sizes.get(a) || a.localeCompare(b));
    const named = groups.slice(0, groups.length > CLOUD.length ? CLOUD.length - 1 : CLOUD.length);
    const shown = groups.length > named.length ? [...named, null] : named; // null: all others
    const place = ({ a, i, b, j }) => [a.values[i], b.values[j]];
    const traces = shown.map((group, g) => {
      const members = all.filter((point) => {
        const its = groupOf(point, colour);
        return group === null ? !named.includes(its) : group === its;
      });
      return {
        type: "scatter", mode: "markers", name: `${escape(group ?? `${groups.length - named.length} others`)} (${members.length})`,
        x: members.map((p) => place(p)[0]), y: members.map((p) => place(p)[1]), text: members.map(hover),
        marker: {
          color: group === null ? OTHERS : CLOUD[g], symbol: SYMBOLS[g % SYMBOLS.length], size: 7,
          opacity: words.length ? 0.2 : 0.75, line: { width: 0.5, color: style("--paper") },
        },
        hovertemplate: "%{text}<extra></extra>",
      };
    });
    traces.push(...ownTraces(x, y));
    const middle = all.reduce((sum, p) => sum + place(p)[0] / all.length, 0);
    if (found.length) traces.push(foundTrace(found, place, middle));
    const title = (axis) => shownBy(axis)[0].label + (JSON.parse(axis)[1] ? ` (${JSON.parse(axis)[1]})` : "");
    Plotly.react("cloud-chart", traces, chartLayout({
      xaxis: { title: { text: escape(title(x)) } }, yaxis: { title: { text: escape(title(y)) } },
      height: narrow() ? 560 : 620, showlegend: true, uirevision: x + y,
    }), chartConfig);
    const many = new Set(all.map((p) => p.model)).size;
    byId("cloud-said").textContent = `${many.toLocaleString("en")} models${all.length > many ? `, ${all.length.toLocaleString("en")} points` : ""}. ${related(x, y)}`;
    byId("cloud-found").textContent = words.length ? listed(found) : "";
  }

  function foundTrace(found, place, middle) {
    const text = (point) => `<b>${escape(models[point.model])}</b>`;
    return {
      type: "scatter", mode: found.length > MOST_NAMED ? "markers" : "markers+text", showlegend: false,
      x: found.map((p) => place(p)[0]), y: found.map((p) => place(p)[1]), text: found.map(text),
      textposition: found.map((p) => place(p)[0] > middle ? "middle left" : "middle right"),
      hovertext: found.map(hover), hovertemplate: "%{hovertext}<extra></extra>", cliponaxis: false,
      marker: { color: style("--ink"), size: 10, symbol: "circle-open", line: { width: 2.5 } },
    };
  }

  function listed(found) {
    const names = [...new Set(found.map((p) => models[p.model]))];
    if (!names.length) return "No model with these two measures has such a name.";
    const rest = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : "";
    return `Found: ${names.slice(0, MOST_NAMED).join(", ")}${rest}.`;
  }

  // What is known of the correlation of two axes; the statistics are those of the forest plot.
  function related(x, y) {
    const [[a, aSource], [b, bSource]] = [JSON.parse(x), JSON.parse(y)];
    const row = published.correlations.find((c) => c.subset === "all" && (
      c.bias === a && c.bias_source === aSource && c.target === b && c.target_source === bSource ||
      c.bias === b && c.bias_source === bSource && c.target === a && c.target_source === aSource));
    return row ? `${statistic(row, "")}${row.r_given === null ? "" : `; given ImageNet accuracy, ${statistic(row, "_given")}`}.` : "";
  }

  function statistic(row, suffix) {
    const [low, high] = [row["low" + suffix], row["high" + suffix]];
    const interval = low === null ? "no interval" : `95 % interval ${number(low)} to ${number(high)}`;
    return `r = ${number(row["r" + suffix])} (${interval} over ${row.families} families, n = ${row.n})`;
  }

  // The table's own models: filled where a source shows images alike on both axes, else open.
  function ownTraces(x, y) {
    if (!own) return [];
    const axes = [x, y].map((axis) => ({ cells: own.cells.measures[JSON.parse(axis)[0]], sources: shownBy(axis) }));
    if (axes.some(({ cells }) => !cells)) return [];
    const whole = own.cells.models.map((_, m) => m).filter((m) => axes.every(({ cells }) => cells.values[m] !== null));
    const alike = ({ cells, sources }, m) => sources.filter((c) => !cells.reasons[c.source][m]);
    const text = (m) => `<b>${escape(own.cells.models[m])}</b> (yours)` + axes.map((axis) => {
      const [c] = axis.sources, same = alike(axis, m).map((one) => one.source);
      const reasons = axis.sources.map((one) => axis.cells.reasons[one.source][m]).filter((reason) => reason);
      return `<br>${escape(c.label)}: ${digits(axis.cells.values[m])}` +
        (same.length ? `<br><i>measured as in ${escape(same.join(", "))}</i>` : `<br><i>not comparable: ${escape(reasons.join("; "))}</i>`);
    }).join("");
    return [["filled", "yours"], ["open", "yours, another protocol"]].map(([kind, name]) => {
      const members = whole.filter((m) => axes.every((axis) => alike(axis, m).length) === (kind === "filled"));
      return {
        type: "scatter", mode: whole.length > MOST_NAMED ? "markers" : "markers+text", name: `${name} (${members.length})`,
        x: members.map((m) => axes[0].cells.values[m]), y: members.map((m) => axes[1].cells.values[m]),
        text: members.map((m) => escape(own.cells.models[m])), textposition: "bottom center", cliponaxis: false,
        hovertext: members.map(text), hovertemplate: "%{hovertext}<extra></extra>",
        marker: { color: style("--ink"), size: 14, symbol: kind === "filled" ? "star" : "star-open", line: { width: kind === "filled" ? 0 : 1.6 } },
      };
    }).filter((trace) => trace.x.length);
  }

  // Rows of a value with its interval, and a fainter range behind it; filled where it is `firm`.
  function rowsChart(id, rows, title, range) {
    const at = rows.map((_, i) => rows.length - 1 - i); // the first row is the uppermost
    const line = (from, to, width, colour) => ({
      type: "scatter", mode: "lines", hoverinfo: "skip", line: { width, color: colour },
      x: rows.flatMap((row) => [row[from] ?? null, row[to] ?? null, null]), y: at.flatMap((y) => [y, y, null]),
    });
    const traces = [
      line("least", "most", 9, style("--line")), line("low", "high", 2, style("--accent")),
      {
        type: "scatter", mode: "markers", x: rows.map((row) => row.value), y: at, text: rows.map((row) => row.hover),
        hovertemplate: "%{text}<extra></extra>",
        marker: { size: 10, color: style("--accent"), symbol: rows.map((row) => row.firm ? "circle" : "circle-open"), line: { width: 2 } },
      },
    ];
    Plotly.react(id, traces, chartLayout({
      xaxis: { title: { text: title }, zeroline: true, zerolinewidth: 2, zerolinecolor: style("--soft"), range },
      yaxis: { tickvals: at, ticktext: rows.map((row) => narrow() ? row.label.replace(" and ", "<br>") : row.label), range: [-0.7, rows.length - 0.3], showgrid: false, zeroline: false, tickfont: { size: narrow() ? 10 : 13 } },
      height: 110 + (narrow() ? 44 : 30) * rows.length, showlegend: false,
    }), chartConfig);
  }
  const STATISTICS = { "": "r", _given: "r given ImageNet accuracy", _effective: "r with effective robustness" };
  const tables = (row) => row.bias_source === row.target_source ? row.bias_source : `${row.bias_source}, ${row.target_source}`;

  function forest() {
    const [bias, target, subset, suffix] = ["bias", "target", "subset", "statistic"].map((id) => byId(`forest-${id}`).value);
    const having = published.correlations.filter((c) => c.bias === bias && published.targets[c.target] === target);
    const rows = having.filter((c) => (c.subset === subset || subset === EVERY) && c["r" + suffix] !== null);
    const most = (row) => Math.max(...rows.filter((other) => tables(other) === tables(row)).map((other) => other.n));
    rows.sort((a, b) => most(b) - most(a) || tables(a).localeCompare(tables(b)) || b.n - a.n);
    byId("forest-said").textContent = rows.length ? "" : "No table has enough models with both.";
    const names = rows.map((row) => tables(row) + (subset === EVERY ? `, ${row.subset}` : ""));
    const precise = names.map((name, i) => names.filter((other) => other === name).length > 1 ? `${name}: ${published.labels[rows[i].target]}` : name);
    rowsChart("forest-chart", rows.map((row, i) => correlationRow(row, suffix, precise[i])), STATISTICS[suffix], [-1.05, 1.05]);
  }

  function correlationRow(row, suffix, name) {
    const get = (key) => row[key + suffix];
    const turns = get("turns_without") ? `<br>its sign is another without ${escape(get("turns_without"))}` : "";
    const p = get("p") === null ? "no p" : `p ${get("p") < 0.0001 ? "< 0.0001" : `= ${get("p").toPrecision(2)}`}, ${get("holm") < 0.0001 ? "< 0.0001" : get("holm")?.toPrecision(2)} after Holm's correction`;
    const range = get("low") === null ? {} : { least: get("least"), most: get("most") };
    return {
      label: `${escape(name)} <i>n = ${row.n}</i>`, value: get("r"), low: get("low"), high: get("high"), ...range,
      firm: get("holm") !== null && get("holm") < 0.05,
      hover: `<b>${escape(name)}</b><br>${escape(statistic(row, suffix))}<br>${p}` +
        `<br>without one family: ${number(get("least"))} to ${number(get("most"))}${turns}`,
    };
  }

  function agreement() {
    const measure = byId("agreement-measure").value;
    const rows = published.agreement.filter((row) => row.measure === measure).map((row) => ({
      label: `${escape(row.a_source)} − ${escape(row.b_source)} <i>n = ${row.n}</i>`, value: row.mean,
      low: row.mean - 1.96 * row.sd, high: row.mean + 1.96 * row.sd,
      least: row.sampling === null ? null : -1.96 * row.sampling, most: row.sampling === null ? null : 1.96 * row.sampling, firm: true,
      hover: `<b>${escape(row.a_source)} − ${escape(row.b_source)}</b><br>mean ${digits(row.mean)}, SD ${digits(row.sd)}, RMS ${digits(row.rms)}` +
        `<br>RMS of sampling: ${row.sampling === null ? "unknown" : digits(row.sampling)}<br>largest: ${escape(row.largest_models).replaceAll("; ", "<br>")}`,
    }));
    const unit = measure.startsWith("top1_acc") ? "difference (points)" : "difference";
    const widest = 1.08 * Math.max(...rows.flatMap((row) => [row.low, row.high, row.most].map((end) => Math.abs(end ?? 0))));
    rowsChart("agreement-chart", rows, unit, [-widest, widest]);
  }

  function instruments() {
    const bias = byId("instruments-bias").value;
    const name = (measure, source) => `${published.biases[measure]} (${source})`;
    const rows = published.instruments.filter((row) => row.subset === "all" && row.r !== null && [row.a, row.b].includes(bias)).map((row) => {
      const [a, b] = [name(row.a, row.a_source), name(row.b, row.b_source)];
      return correlationRow(row, "", row.a === bias ? `${a} and ${b}` : `${b} and ${a}`);
    });
    rowsChart("instruments-chart", rows, "r", [-1.05, 1.05]);
  }

  const distinct = (values) => [...new Set(values)];
  const choose = (id, entries, chosen, draw) => {
    options(byId(id), entries, chosen);
    byId(id).addEventListener("input", draw);
  };
  const same = (names) => names.map((name) => [name, name]);
  const start = published.start.map(([measure, source]) => axisOf(measure, source));
  chooseAxis("cloud-x", start[0]);
  chooseAxis("cloud-y", start[1]);
  choose("cloud-colour", [...Object.entries(facts).map(([key, { title }]) => [key, title]), ["source", "source"]], "kind", cloud);
  byId("cloud-find").addEventListener("input", cloud);
  choose("forest-bias", Object.entries(published.biases), "shape-bias", forest);
  choose("forest-target", same(distinct(published.correlations.map((row) => published.targets[row.target]))), "A", forest);
  choose("forest-subset", [...same(distinct(published.correlations.map((row) => row.subset))), [EVERY, "every group"]], "all", forest);
  choose("forest-statistic", Object.entries(STATISTICS), "", forest);
  choose("instruments-bias", Object.entries(published.biases), "shape-bias", instruments);
  const compared = distinct(published.agreement.map((row) => row.measure));
  choose("agreement-measure", compared.map((measure) => [measure, published.labels[measure]]), compared[0], agreement);

  const dense = (c, values) => models.map((_, m) => c.of.has(m) ? values[c.of.get(m)] : null);
  const listing = {
    models, texts: Object.entries(facts).map(([key, { title, names, of }]) => ({ key, label: title, values: of.map((k) => names[k]) })),
    columns: columns.map((c) => ({
      key: `${c.measure}@${c.source}`, label: `${c.label}, ${c.source}`, shown: published.main.includes(c.measure),
      values: dense(c, c.values), n: dense(c, c.n), notes: dense(c, c.protocols.map((k) => published.protocols[k])),
    })),
  };
  modelTable("published-", listing);
  if (byId("standing-table")) {
    modelTable("standing-", own.standing);
    modelTable("against-", own.against);
  }

  const quoted = (cell) => /[",\n]/.test(cell ?? "") ? `"${String(cell).replaceAll('"', '""')}"` : cell ?? "";
  const csv = (header, rows) => [header, ...rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
  const listingCsv = ({ models, texts, columns, remarks }) => {
    const all = [...texts, ...columns, ...remarks];
    return csv(["model", ...all.map((c) => c.key)], models.map((model, i) => [model, ...all.map((c) => c.values[i])]));
  };
  makes["published.csv"] = () => csv(["source", "model", "protocol", "measure", "value", "n", "flag"],
    columns.filter((c) => !published.withheld.includes(c.source)).flatMap((c) => c.models.map((model, k) =>
      [c.source, models[model], published.protocols[c.protocols[k]], c.measure, c.values[k], c.n[k], published.flags[c.flags[k]]])));
  makes["published_correlations.csv"] = () => csv(Object.keys(published.correlations[0] ?? {}), published.correlations.map(Object.values));
  makes["standing.csv"] = () => listingCsv(own.standing);
  makes["against_published.csv"] = () => listingCsv(own.against);
  charts.push(cloud, forest, agreement, instruments);
}
