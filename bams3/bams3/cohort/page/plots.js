// The plots. Each is drawn when it first comes into view, and again when its contents change.

const CONFIG = { // no data may leave the page: plotly's button to share a chart would send them
  responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
};
const TOOLS = 34; // pixels above a plot, for its toolbar; the legend is below
const SYMBOLS = { fail: "x", outlier: "diamond", pass: "circle" };

function style(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function layout(more) {
  const axis = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--line"), automargin: true };
  const made = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: style("--text"), family: "system-ui, sans-serif" },
    margin: { l: 60, r: 20, t: TOOLS, b: 50 }, hovermode: "closest", modebar: { bgcolor: "rgba(0,0,0,0)", color: style("--faint"), activecolor: style("--text") },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, traceorder: "normal", itemsizing: "constant" },
    hoverlabel: { bgcolor: style("--back"), bordercolor: style("--line"), font: { color: style("--text") } },
    ...more,
  };
  for (const name of ["xaxis", "yaxis"]) made[name] = { ...axis, ...more[name] };
  return made;
}

// Quantiles of each column of a matrix of rows: arrays for 5, 50 and 95 %.
function quantiles(rows) {
  const width = rows[0].length;
  const found = [0.05, 0.5, 0.95].map(() => new Float32Array(width));
  const column = new Float32Array(rows.length);
  for (let i = 0; i < width; i++) {
    for (let s = 0; s < rows.length; s++) column[s] = rows[s][i];
    column.sort();
    [0.05, 0.5, 0.95].forEach((share, q) => { found[q][i] = column[Math.round(share * (rows.length - 1))]; });
  }
  return found;
}

// A subset of ascending numbers with at least this distance between neighbours.
function spaced(numbers, distance) {
  return numbers.reduce((kept, number) => kept.length && number - kept.at(-1) < distance ? kept : [...kept, number], []);
}

// The part of a plot's width that a slanted axis label takes.
function share(plot) {
  return 18 / Math.max(document.getElementById(plot).clientWidth - 80, 100);
}

function median(values) {
  const sorted = Float32Array.from(values).sort();
  return sorted[sorted.length >> 1] || 0;
}

// A name in a plot, where tags, entities and formulas would be taken for markup; long names are shortened.
function label(name) {
  const characters = Array.from(name);
  const text = characters.length > 40 ? `${characters.slice(0, 39).join("")}…` : name;
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("$", "&#36;");
}

class Plots {
  constructor(data, table) {
    this.data = data;
    this.table = table;
    this.column = Object.fromEntries(data.columns.map((name, i) => [name, i]));
    this.relativeDepth = null;
    this.bands = {};
    this.visible = new Set();
    this.drawers = {
      genome: () => this.genome(), distribution: () => this.distribution(), components: () => this.components(),
      regions: () => this.regions(), sex: () => this.sex(), kinship: () => drawKinship(this),
    };
    this.placeBins();
    const seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting && !this.visible.has(target.id)) { this.visible.add(target.id); this.drawers[target.id](); }
      }
    }, { rootMargin: "200px" });
    document.querySelectorAll(".plot").forEach((plot) => seen.observe(plot));
    let width = innerWidth, waiting;
    addEventListener("resize", () => { // changes how many labels fit on an axis
      if (width === innerWidth) return;
      width = innerWidth;
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        this.draw("genome", "regions");
        document.documentElement.dataset.drawn = width;
      }, 200);
    });
  }

  draw(...names) {
    for (const name of names.length ? names : Object.keys(this.drawers)) if (this.visible.has(name)) this.drawers[name]();
  }

  // Where each bin is drawn: in megabases, contig after contig.
  placeBins() {
    const { contig, start, end } = this.data.bins;
    this.contigs = [];
    let offset = 0;
    contig.forEach((name, i) => {
      const last = this.contigs.at(-1);
      if (!last || last.name !== name) {
        if (last) offset += last.length;
        this.contigs.push({ name, offset, first: i, length: 0, bins: 0 });
      }
      this.contigs.at(-1).length = end[i] / 1e6;
      this.contigs.at(-1).bins += 1;
    });
    const select = document.getElementById("contig");
    select.append(new Option("all", ""), ...this.contigs.map(({ name }) => new Option(name, name)));
    select.addEventListener("change", () => this.draw("genome"));
    document.getElementById("relative").addEventListener("change", () => this.draw("genome"));
    document.getElementById("most").addEventListener("change", () => this.draw("regions"));
    this.middle = start.map((from, i) => (from + end[i]) / 2e6);
  }

  line(sample, n, x, y, more = {}) {
    return { type: "scatter", mode: "lines", name: label(this.data.rows[sample][0]), x, y, line: { color: colours()[n], width: 1.6 }, ...more };
  }

  band(x, [low, middle, high], more = {}) {
    const none = { type: "scatter", mode: "lines", x, hoverinfo: "skip", ...more };
    const fill = theme() === "dark" ? "rgba(160,175,190,0.25)" : "rgba(90,100,110,0.2)";
    return [
      { ...none, y: low, line: { width: 0 }, showlegend: false },
      { ...none, y: high, line: { width: 0 }, fill: "tonexty", fillcolor: fill, name: "middle 90 %" },
      { ...none, y: middle, line: { color: style("--faint"), width: 1.4, dash: "dot" }, name: "median" },
    ];
  }

  genome() {
    const relative = document.getElementById("relative").checked;
    if (relative && !this.relativeDepth) {
      this.relativeDepth = this.data.depth.map((row) => { const m = median(row) || 1; return row.map((value) => value / m); });
    }
    const rows = relative ? this.relativeDepth : this.data.depth;
    const key = relative ? "relative" : "depth";
    this.bands[key] ??= quantiles(rows);
    const one = this.contigs.find(({ name }) => name === document.getElementById("contig").value);
    const shown = one ? [one] : this.contigs;
    const x = [], from = shown[0].first, to = shown.at(-1).first + shown.at(-1).bins;
    const place = shown.flatMap((contig) => Array.from({ length: contig.bins }, (_, i) => {
      const bin = contig.first + i;
      x.push((one ? 0 : contig.offset) + this.middle[bin]);
      return `${label(contig.name)}:${(this.data.bins.start[bin] + 1).toLocaleString("en")}–${this.data.bins.end[bin].toLocaleString("en")}`;
    }));
    const part = (values) => values.subarray(from, to);
    const hover = { text: place, hovertemplate: "%{text}<br>%{y:.2f}<extra>%{fullData.name}</extra>" };
    const traces = [
      ...this.band(x, this.bands[key].map(part)),
      ...this.table.chosen.map((sample, n) => this.line(sample, n, x, part(rows[sample]), hover)),
    ];
    const top = Math.max(...[...this.table.chosen.map((s) => rows[s]), this.bands[key][2]].map((row) => part(row).slice().sort().at(-Math.ceil((to - from) / 200))));
    const edges = one ? [] : shown.slice(1).map(({ offset }) => ({ type: "line", x0: offset, x1: offset, y0: 0, y1: 1, yref: "paper", line: { color: style("--line"), width: 1 } }));
    const total = shown.at(-1).offset + shown.at(-1).length;
    const middles = spaced(shown.map(({ offset, length }) => offset + length / 2), total * share("genome"));
    const named = shown.filter(({ offset, length }) => middles.includes(offset + length / 2));
    const ticks = one ? {} : { tickvals: middles, ticktext: named.map(({ name }) => label(name)), tickangle: -45, showgrid: false, range: [0, total] };
    Plotly.react("genome", traces, layout({
      xaxis: one ? { title: { text: `${label(one.name)}, Mb` } } : ticks,
      yaxis: { title: { text: relative ? "depth / median" : "mean depth" }, range: [0, 1.1 * top || 1] },
      shapes: edges, hovermode: "closest", uirevision: one ? one.name : "all",
    }), CONFIG);
  }

  distribution() {
    const rows = this.data.shares;
    const x = Array.from(rows[0], (_, depth) => depth);
    this.bands.shares ??= quantiles(rows);
    const hover = { hovertemplate: "≥ %{x} reads: %{y:.0%}<extra>%{fullData.name}</extra>" };
    Plotly.react("distribution", [
      ...this.band(x, this.bands.shares),
      ...this.table.chosen.map((sample, n) => this.line(sample, n, x, rows[sample], hover)),
    ], layout({ xaxis: { title: { text: "depth" } }, yaxis: { title: { text: `share of ${this.data.covered}` }, tickformat: ".0%", range: [0, 1.02] } }), CONFIG);
  }

  // Samples as points in two columns, with a marker for each status; selected samples are labelled.
  points(place, across, up, titles) {
    const [a, b] = [this.column[across], this.column[up]];
    const rows = this.data.rows;
    const usable = rows.map((_, i) => i).filter((i) => rows[i][a] != null && rows[i][b] != null);
    const traces = Object.keys(SYMBOLS).map((status) => {
      const members = usable.filter((i) => rows[i][1] === status);
      return {
        type: "scatter", mode: "markers", name: status, customdata: members, x: members.map((i) => rows[i][a]), y: members.map((i) => rows[i][b]),
        text: members.map((i) => label(rows[i][0])), hovertemplate: "%{text}<br>%{x}, %{y}<extra>%{fullData.name}</extra>",
        marker: { color: style(`--${status}`), symbol: SYMBOLS[status], size: status === "pass" ? 6 : 9, opacity: 0.8 },
      };
    });
    const chosen = this.table.chosen.filter((i) => usable.includes(i));
    traces.push({
      type: "scatter", mode: "markers+text", showlegend: false, hoverinfo: "skip", x: chosen.map((i) => rows[i][a]), y: chosen.map((i) => rows[i][b]),
      text: chosen.map((i) => label(rows[i][0])), textposition: "top center", cliponaxis: false,
      marker: { color: "rgba(0,0,0,0)", size: 13, line: { width: 2, color: chosen.map((i) => colours()[this.table.chosen.indexOf(i)]) } },
    });
    Plotly.react(place, traces, layout({ xaxis: { title: { text: titles[0] } }, yaxis: { title: { text: titles[1] } } }), CONFIG);
    this.toggleOnClick(place, (point) => point.customdata);
  }

  toggleOnClick(place, sampleOf) {
    const plot = document.getElementById(place);
    plot.removeAllListeners("plotly_click");
    plot.on("plotly_click", ({ points: [point] }) => {
      const sample = sampleOf(point);
      if (sample !== undefined) this.table.toggle(sample);
    });
  }

  components() {
    if (this.column.pc2 !== undefined) return this.points("components", "pc1", "pc2", ["first component", "second component"]);
    const place = document.getElementById("components"), number = this.data.rows.length;
    place.classList.add("empty");
    place.textContent = number < 3
      ? `Two components need at least three samples; there ${number === 1 ? "is only one" : "are only two"}.`
      : "Two components need at least two autosomal bins that the median sample covers; there are fewer.";
  }

  sex() {
    this.points("sex", "x_ratio", "y_ratio", ["first sex chromosome (X) / autosomes", "second (Y) / autosomes"]);
  }

  // Depth of regions relative to the sample's mean and to the region's median: log2.
  regions() {
    if (!this.ratios) {
      const mean = this.column.target_mean_coverage ?? this.column.mean_coverage;
      const scaled = this.data.means.map((row, i) => row.map((value) => value / (this.data.rows[i][mean] || 1)));
      const [, middle] = quantiles(scaled);
      this.ratios = scaled.map((row) => row.map((value, i) => middle[i] > 0.05 ? Math.max(-2, Math.min(2, Math.log2(Math.max(value, 0.01) / middle[i]))) : NaN));
    }
    const { contig, start, end, name } = this.data.regions;
    const count = name.length, number = { unit: "", decimals: 2 }, samples = Math.min(this.data.rows.length, Number(document.getElementById("most").value));
    const centre = theme() === "dark" ? "#20272f" : "#f7f7f7";
    const plot = document.getElementById("regions");
    plot.style.height = `${Math.min(Math.max(300, 150 + 13 * samples), 800)}px`;
    const all = Array.from({ length: count }, (_, i) => i);
    const labels = spaced(count <= 40 ? all : all.filter((i) => contig[i] !== contig[i - 1]), count * share("regions"));
    const names = samples <= 50 ? Array.from({ length: samples }, (_, i) => i) : spaced(this.table.chosen.toSorted((a, b) => a - b), samples / 50);
    const trace = {
      type: "heatmap", z: this.ratios.slice(0, samples), zmin: -2, zmax: 2, zsmooth: count * samples > 50000 ? "fast" : false,
      colorscale: [[0, "#0a6ebd"], [0.35, theme() === "dark" ? "#2d5f8a" : "#9ecae8"], [0.5, centre], [0.65, theme() === "dark" ? "#8a5a24" : "#f5bd80"], [1, "#e06c00"]],
      colorbar: { title: { text: "log2 ratio" }, thickness: 14, tickvals: [-2, -1, 0, 1, 2], ticktext: ["≤ −2", "−1", "0", "1", "≥ 2"] },
      hoverongaps: false, hoverinfo: "none",
    };
    Plotly.react("regions", [trace], layout({
      xaxis: { tickvals: labels, ticktext: labels.map((i) => label(count <= 40 ? name[i] : contig[i])), tickangle: -45, showgrid: false },
      yaxis: { range: [samples - 0.5, -0.5], tickvals: names, ticktext: names.map((i) => label(this.data.rows[i][0])), showgrid: false },
    }), CONFIG);
    const hint = document.getElementById("regions-hint");
    const many = this.data.regionsOf > count ? `the ${count} of ${this.data.regionsOf.toLocaleString("en")} regions that vary most; ` : "";
    const about = `Depth relative to each sample's mean and each region's median: ${many}failing samples are on top, then outliers. Click to show a sample.`;
    hint.textContent = about;
    plot.removeAllListeners("plotly_hover");
    plot.on("plotly_hover", ({ points: [{ x, y }] }) => {
      const place = `${contig[x]}:${(start[x] + 1).toLocaleString("en")}–${end[x].toLocaleString("en")}`;
      hint.textContent = `${this.data.rows[y][0]}, ${name[x]} (${place}): depth ${shown(this.data.means[y][x], number)}, log2 ratio ${this.ratios[y][x].toFixed(2)}`;
    });
    plot.removeAllListeners("plotly_unhover");
    plot.on("plotly_unhover", () => { hint.textContent = about; });
    this.toggleOnClick("regions", ({ y }) => y);
  }
}
