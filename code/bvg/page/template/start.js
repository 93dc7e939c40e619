// Draws the charts with Plotly, which travels compressed inside this page, and draws them anew where
// the window's width or the colour scheme changes, and for paper.
"use strict";
(async () => {
  async function loadPlotly() {
    const bytes = Uint8Array.from(atob(byId("plotly").textContent.trim()), (c) => c.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.text = await new Response(unpacked).text();
    document.head.append(script);
  }

  try {
    await loadPlotly();
  } catch (error) {
    for (const chart of document.querySelectorAll(".chart")) {
      chart.textContent = "This browser cannot draw the charts; one from 2023 or later can.";
    }
    return;
  }
  const drawAll = () => charts.forEach((draw) => draw());
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); } });
  const PAPER = 660; // pixels: A4 without its margins
  const widths = (width) => document.querySelectorAll(".js-plotly-plot").forEach((chart) => Plotly.relayout(chart, { width }));
  window.addEventListener("beforeprint", () => widths(PAPER));
  window.addEventListener("afterprint", () => widths(undefined));
  document.documentElement.dataset.ready = "yes";
})();
