// What the page's other scripts share: its data, text, and the look of charts.
"use strict";
const byId = (id) => document.getElementById(id);
const dataIn = (id) => JSON.parse(byId(id)?.textContent ?? "null");
const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => String(text).replace(/[&<>"']/g, (c) => entities[c]);
const plain = (text) => text.replaceAll("_", " ");
const minus = (text) => text.replace("-", "−");

function digits(value) {
  const size = Math.abs(value);
  return minus(value.toFixed(size >= 10 ? 2 : size >= 0.001 || size === 0 ? 3 : 6));
}

function number(value, decimals = 2) {
  const text = value === null ? "–" : value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : minus(text);
}

function options(select, entries, chosen) {
  select.innerHTML = entries.map(([value, label]) =>
    `<option value="${escape(value)}" ${value === chosen ? "selected" : ""}>${escape(label)}</option>`).join("");
}

// Okabe & Ito's colours, a little lighter on dark paper.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#888888", "#b0a000"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "x", "star", "hexagon", "pentagon"];
const chartConfig = { displayModeBar: false, responsive: true };
const charts = []; // functions, each of which draws its charts anew
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const narrow = () => window.innerWidth < 740;

function chartLayout(extra) {
  const axis = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--soft"), automargin: true };
  const { xaxis, yaxis, ...rest } = extra;
  return {
    font: { color: style("--ink"), family: "system-ui, sans-serif", size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 15, t: 15, b: 50 },
    legend: narrow() ? { orientation: "h", y: -0.3, yanchor: "top", font: { size: 11 } } : {},
    hoverlabel: { align: "left" }, hovermode: "closest",
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

for (const form of document.querySelectorAll("form")) form.addEventListener("submit", (event) => event.preventDefault());
