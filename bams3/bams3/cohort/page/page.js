// Start-up: unpack the data, build table and plots, theme, downloads.

// Rows of a matrix that is packed as half-precision floats, gzipped, in base64.
async function unpacked(text, rows) {
  const { body } = await fetch(`data:application/gzip;base64,${text}`);
  const halves = new Uint16Array(await new Response(body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = HALVES[halves[i]];
  const width = halves.length / rows;
  return Array.from({ length: rows }, (_, i) => values.subarray(i * width, (i + 1) * width));
}

// The value of each non-negative half-precision float.
const HALVES = Float32Array.from({ length: 0x7c00 }, (_, half) => {
  const [exponent, fraction] = [half >> 10, half & 0x3ff];
  return exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24;
});

function digits(value) {
  return Number(value.toPrecision(4));
}

function tables(data) {
  const samples = data.rows.map((row) => row[0]);
  const matrix = (places, rows) => {
    const names = Object.keys(places);
    const lines = places[names[0]].map((_, i) => [...names.map((name) => places[name][i]), ...rows.map((row) => digits(row[i]))]);
    return [[...names, ...samples], ...lines];
  };
  return {
    samples: () => [data.columns, ...data.rows],
    genome: () => matrix(data.bins, data.depth),
    regions: () => matrix(data.regions, data.means),
    distribution: () => matrix({ depth: Array.from(data.shares[0], (_, depth) => depth) }, data.shares),
  };
}

function download(name, lines) {
  const text = lines.map((line) => line.map((cell) => cell ?? "").join("\t")).join("\n") + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
  link.download = `${name}.tsv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function chooseTheme(name, plots) {
  document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "Light" : "Dark";
  plots?.draw();
}

// The top of the page: facts about the cohort, the date of the file, and MultiQC's report if it is next to the page.
function tell(data) {
  document.title = document.getElementById("title").textContent = data.title;
  for (const place of document.querySelectorAll(".covered")) place.textContent = data.covered;
  const count = (status) => data.rows.filter((row) => row[1] === status).length;
  const number = data.rows.length;
  document.getElementById("summary").textContent = `${number.toLocaleString("en")} ${number === 1 ? "sample" : "samples"}: ` +
    `${count("fail")} failed, ${count("outlier")} ${count("outlier") === 1 ? "outlier" : "outliers"}, ${count("pass")} passed`;
  const facts = [...data.facts];
  const written = writtenAt();
  if (written) facts.push(["Written", written]);
  if (data.multiqc && isInItsPlace()) {
    const link = document.createElement("a");
    link.href = data.multiqc;
    link.textContent = "MultiQC's report";
    facts.push(["See also", link]);
  }
  document.getElementById("facts").replaceChildren(...facts.map(([term, value]) => {
    const [pair, name, text] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    name.textContent = term;
    text.append(value);
    pair.append(name, text);
    return pair;
  }));
}

// Whether the files that the page names by relative paths are where it looks for them.
function isInItsPlace() {
  return location.pathname.endsWith("/cohort/report.html");
}

// The date of the file. The page itself does not contain it, since it would differ between runs. A browser that does
// not know the date gives the current time.
function writtenAt() {
  const date = new Date(document.lastModified);
  if (!/^(file|https?):/.test(location.protocol) || Number.isNaN(+date) || Date.now() - date < 2000) return null;
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

async function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const number = data.rows.length;
  const packed = [data.depth, data.means, data.shares, ...(data.identity ? [data.identity.kinship] : [])];
  const matrices = await Promise.all(packed.map((text) => unpacked(text, number)));
  [data.depth, data.means, data.shares] = matrices;
  if (data.identity) data.identity.kinship = matrices[3];
  tell(data);
  chooseTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  if (!data.rows.some((row) => row[data.columns.indexOf("x_ratio")] !== null)) document.getElementById("sex-section").hidden = true;
  document.getElementById("identity-section").hidden = !data.identity;
  if (data.identity) tellFindings(data.identity.findings);
  let plots;
  const table = new SampleTable(data, () => plots?.draw());
  plots = new Plots(data, table);
  document.getElementById("theme").addEventListener("click", () => {
    chooseTheme(theme() === "dark" ? "light" : "dark");
    table.mark();
  });
  const made = tables(data);
  document.querySelectorAll("[data-table]").forEach((button) => {
    button.addEventListener("click", () => download(button.dataset.table, made[button.dataset.table]()));
  });
  document.documentElement.dataset.ready = "yes";
}

start();
