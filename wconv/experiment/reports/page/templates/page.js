"use strict";
// Figures, filters, sorting and sliders of a page; all texts go into the document as texts.
const specs = JSON.parse(document.getElementById("specs").textContent);
const charts = [...document.querySelectorAll(".chart")];
const filters = document.getElementById("filters");
const hidden = { model: new Set(), arm: new Set() };
const views = new Map(); // of each figure that has been drawn, or is being drawn, a promise

function draw(element) {
  if (!views.has(element)) views.set(element, embed(element));
  return views.get(element);
}

async function embed(element) {
  const { view } = await vegaEmbed(element, specs[element.dataset.spec], {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
    logLevel: 1 /* errors; a filter that hides all is none */, tooltip: { disableDefaultStyle: true },
  });
  const select = element.closest("figure").querySelector("select");
  if (select) {
    view.signal("cost_field", select.value);
    select.addEventListener("change", () => view.signal("cost_field", select.value).runAsync());
  }
  return filterView(view);
}

function filterView(view) {
  return view.signal("hidden_arms", [...hidden.arm]).signal("hidden_models", [...hidden.model]).runAsync();
}

// Figures are drawn when they come near the screen, and one after the other when there is nothing else to do.
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
}, { rootMargin: "200px" });
charts.forEach((chart) => near.observe(chart));
addEventListener("load", async () => {
  for (const chart of charts) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await draw(chart);
  }
});

filters.addEventListener("change", async () => {
  for (const kind of ["model", "arm"]) {
    hidden[kind] = new Set([...filters.querySelectorAll(`[name=${kind}]:not(:checked)`)].map((box) => box.value));
  }
  for (const element of document.querySelectorAll("main [data-model], main [data-arm]")) {
    element.hidden = hidden.model.has(element.dataset.model) || hidden.arm.has(element.dataset.arm);
  }
  for (const drawn of views.values()) filterView(await drawn);
  dispatchEvent(new Event("resize")); // a figure that was hidden had no width
});

function value(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replaceAll(",", "").replace("−", "-"));
  return { text, number: /^[-+−]?[\d.]/.test(text) ? number : NaN };
}

function compare(one, other) {
  if (isNaN(one.number) && isNaN(other.number)) return one.text.localeCompare(other.text, "en", { numeric: true });
  return one.number - other.number;
}

for (const table of document.querySelectorAll(".sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const order = heading.ariaSort === "descending" ? "ascending" : heading.ariaSort === "ascending" ? "descending"
      : heading.classList.contains("number") ? "descending" : "ascending"; // the largest number first
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.ariaSort = order;
    const rows = [...table.tBodies[0].rows].map((row) => [row, value(row, column)]);
    const isMissing = ([, cell]) => cell.text === "-";
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => isMissing(a) - isMissing(b) || sign * compare(a[1], b[1]));
    table.tBodies[0].append(...rows.map(([row]) => row));
  }));
}

for (const crop of document.querySelectorAll(".crop")) {
  const slider = crop.querySelector("input"), output = crop.querySelector("output");
  const images = [...crop.querySelectorAll(".stack img")];
  slider.addEventListener("input", () => {
    images.forEach((image, place) => { image.hidden = place !== slider.valueAsNumber; });
    const { name, psnr } = images[slider.valueAsNumber].dataset;
    const figure = document.createElement("b");
    figure.textContent = psnr;
    output.replaceChildren(`${name} `, figure);
    slider.ariaValueText = `${name} ${psnr}`.trim();
  });
}

const theme = document.getElementById("theme"), root = document.documentElement;
const isDark = () => (root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
theme.hidden = false;
nameTheme();
theme.addEventListener("click", () => { root.style.colorScheme = isDark() ? "light" : "dark"; nameTheme(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
