// The page of served datasets: a contig's depth, drawn as it is measured, and igv.js on the reads.
const $ = (id) => document.getElementById(id);
const address = new URLSearchParams(location.search);
const number = new Intl.NumberFormat("en");
const WINDOW = 5000; // bp that are shown where somebody clicks
const EDGE = { left: 46, bottom: 22, top: 8 };

let dataset = null; // what the server says of it
let track = null; // {contig, length, bin, means, done}: the depth that is drawn
let stop = new AbortController(); // of the depth that is being read
let browser = null; // a promise of igv's
let at = null; // the position under the pointer

function fail(error) {
  if (error.name === "AbortError") return;
  $("error").textContent = error.message;
  $("error").hidden = false;
}

function credentials() { // the token is kept until the tab is closed
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function ask(path, options) {
  const answer = await fetch(path, { headers: credentials(), ...options });
  if (answer.ok) return answer;
  $("access").hidden = ![401, 403].includes(answer.status);
  const said = (await answer.text()).trim();
  throw new Error(`${answer.status}: ${said.startsWith("{") ? JSON.parse(said).htsget.message : said}`);
}

function parse(text) { // a region as samtools writes it: 1-based, closed
  const contigs = new Map(dataset.contigs);
  const asked = text.trim(); // names may have colons
  const [, braced, named, places = ""] = contigs.has(asked) ? [, , asked] : /^(?:\{(.*)\}|(.*?))(?::([^:]*))?$/s.exec(asked);
  const contig = braced ?? named;
  if (!contigs.has(contig)) throw new Error(`${asked}: no such contig in ${dataset.name}`);
  const length = contigs.get(contig);
  const [, start, dash, end] = /^([^-]*)(-?)([^-]*)$/.exec(places) ?? [, "?"];
  const first = start ? placed(start) - 1 : 0;
  const last = end ? placed(end) : start && !dash ? first + WINDOW : length;
  if (Number.isNaN(first + last)) throw new Error(`${asked}: write a region as in chr1:1,000-2,000 or chr1:1M-2M`);
  if (first >= length) throw new Error(`${asked}: past the end of the contig, which has ${number.format(length)} bp`);
  if (first >= last) throw new Error(`${asked}: the start is past the end`);
  return { contig, length, start: Math.max(first, 0), end: Math.min(last, length) };
}

function placed(text) { // a position such as 1,000 or 1.5M; NaN if it is none
  const [, digits, unit] = /^(\d[\d,]*(?:\.\d+)?)([kmg]?)$/i.exec(text) ?? [];
  return digits ? Math.round(Number(digits.replaceAll(",", "")) * { k: 1e3, m: 1e6, g: 1e9, "": 1 }[unit.toLowerCase()]) : NaN;
}

const written = (region) => `${region.contig}:${number.format(region.start + 1)}-${number.format(region.end)}`;

function remember(region) {
  const locus = `${region.contig}:${region.start + 1}-${region.end}`;
  history.replaceState(null, "", `?${new URLSearchParams({ dataset: dataset.name, locus })}`);
  $("locus").value = written(region);
}

async function open(name, locus) {
  dataset = await (await ask(`datasets/${encodeURIComponent(name)}`)).json();
  document.title = `${name} – bams3`;
  $("dataset").value = name;
  const mapped = dataset.contigs.reduce((sum, contig) => sum + contig[2], 0);
  const facts = { reads: dataset.records, mapped, "without a position": dataset.unplaced, contigs: dataset.contigs.length };
  $("facts").replaceChildren(...Object.entries(facts).map(([term, value]) => {
    const pair = document.createElement("div");
    pair.append(Object.assign(document.createElement("dt"), { textContent: term }));
    pair.append(Object.assign(document.createElement("dd"), { textContent: number.format(value) }));
    return pair;
  }));
  const filled = dataset.contigs.filter(([, , some, others]) => some + others);
  $("contig").replaceChildren(...filled.map(([contig]) => new Option(contig, contig)));
  $("contig").disabled = !filled.length;
  const wig = new URL(`bigwig/${encodeURIComponent(name)}.bw`, document.baseURI).href;
  dataset.wig = dataset.bigwig ? wig : null;
  $("bigwig").hidden = !dataset.wig;
  $("wig").href = $("wig").textContent = wig;
  stop.abort(); // nothing of an earlier dataset stays
  if (browser) Promise.all([library(), browser]).then(([igv, earlier]) => igv.removeBrowser(earlier)).catch(fail);
  track = browser = null;
  $("depth").width = $("depth").width;
  $("igv").replaceChildren();
  $("locus").value = locus ?? "";
  $("error").hidden = true;
  $("reading").textContent = filled.length ? "Click a position to see its reads." : "No read has a position.";
  history.replaceState(null, "", `?${new URLSearchParams({ dataset: name })}`);
  if (locus) await show(parse(locus));
  else if (filled.length) await show(parse(filled[0][0]));
}

async function show(region) {
  $("error").hidden = true;
  if (![...$("contig").options].some((option) => option.value === region.contig)) {
    $("contig").append(new Option(region.contig, region.contig));
  }
  $("contig").value = region.contig;
  remember(region);
  if (track?.of !== dataset || track.contig !== region.contig) measure(region.contig, region.length).catch(fail);
  track.shown = region;
  draw();
  await reads(region);
}

async function measure(contig, length) {
  stop.abort();
  stop = new AbortController();
  const bins = Math.min(4096, Math.max(300, Math.round($("plot").clientWidth)));
  const mine = { of: dataset, contig, length, bin: 1, means: new Map(), done: false };
  track = mine;
  const query = new URLSearchParams({ contig, bins });
  const answer = await ask(`datasets/${encodeURIComponent(dataset.name)}/depth?${query}`, { signal: stop.signal });
  const decoder = new TextDecoder();
  let rest = "";
  const reader = answer.body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + decoder.decode(read.value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const said = JSON.parse(line);
      if (typeof said === "number") mine.bin = said;
      else said[1].forEach((mean, i) => mine.means.set(said[0] / mine.bin + i, mean));
    }
    draw();
  }
  mine.done = true;
  draw();
}

function step(span) { // of ticks: 1, 2 or 5 times a power of ten
  const power = 10 ** Math.floor(Math.log10(span || 1));
  return [1, 2, 5, 10].map((factor) => factor * power).find((each) => span / each <= 1) ?? power;
}

function draw() {
  if (!track) return;
  const canvas = $("depth");
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  const right = width - 8, bottom = height - EDGE.bottom;
  const x = (position) => EDGE.left + (position / track.length) * (right - EDGE.left);
  const depths = [...track.means.values()].sort((a, b) => a - b);
  // A few repeats may be a hundred times as deep as the rest: they reach over the edge.
  const high = depths.length ? Math.max(depths[Math.floor(depths.length * 0.99)] * 1.25, 1) : 1;
  const y = (depth) => bottom - (Math.min(depth, high) / high) * (bottom - EDGE.top);

  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = colour("--faint");
  pen.strokeStyle = colour("--line");
  pen.textAlign = "right";
  for (let depth = 0, by = step(high / 3); depth <= high; depth += by) {
    pen.fillText(number.format(depth), EDGE.left - 6, y(depth) + 4);
    pen.beginPath();
    pen.moveTo(EDGE.left, y(depth));
    pen.lineTo(right, y(depth));
    pen.stroke();
  }
  pen.textAlign = "center";
  const [unit, divisor] = track.length >= 3e6 ? ["Mb", 1e6] : track.length >= 3e3 ? ["kb", 1e3] : ["bp", 1];
  for (let position = 0, by = step(track.length / 8); position <= track.length; position += by) {
    const text = `${number.format(position / divisor)} ${unit}`;
    const half = pen.measureText(text).width / 2;
    pen.fillText(text, Math.min(Math.max(x(position), half), width - half), height - 6);
  }
  pen.fillStyle = colour("--bar");
  for (const [bin, depth] of track.means) {
    const left = Math.floor(x(bin * track.bin)), end = x(Math.min((bin + 1) * track.bin, track.length));
    pen.fillRect(left, y(depth), Math.ceil(end) - left, bottom - y(depth));
  }
  pen.fillStyle = pen.strokeStyle = colour("--mark");
  const { shown } = track;
  if (shown && shown.end - shown.start < track.length) {
    pen.globalAlpha = 0.25;
    pen.fillRect(x(shown.start), EDGE.top, Math.max(x(shown.end) - x(shown.start), 2), bottom - EDGE.top);
    pen.globalAlpha = 1;
  }
  if (at !== null) {
    pen.beginPath();
    pen.moveTo(x(at), EDGE.top);
    pen.lineTo(x(at), bottom);
    pen.stroke();
  }
  canvas.dataset.bins = track.means.size;
  canvas.dataset.done = track.done;
}

function point(position) {
  at = Math.min(Math.max(Math.floor(position), 0), track.length - 1);
  const depth = track.means.get(Math.floor(at / track.bin)) ?? 0;
  $("reading").textContent = `${track.contig}:${number.format(at + 1)}: mean depth over ${number.format(track.bin)} bp: ${depth}`;
  draw();
}

function pointed(event) {
  const box = $("depth").getBoundingClientRect();
  return ((event.clientX - box.left - EDGE.left) / (box.width - 8 - EDGE.left)) * track.length;
}

function goTo(position) {
  const start = Math.min(Math.max(Math.floor(position) - WINDOW / 2, 0), Math.max(track.length - WINDOW, 0));
  show({ contig: track.contig, length: track.length, start, end: Math.min(start + WINDOW, track.length) }).catch(fail);
}

const library = (() => {
  let loaded;
  return () => (loaded ??= import("./igv/igv.esm.min.js").then((module) => module.default));
})();

async function reads(region) {
  const name = encodeURIComponent(dataset.name);
  const bam = new URL(`bam/${name}.bam`, document.baseURI).href;
  $("link").href = $("link").textContent = bam;
  const shown = dataset;
  let igv;
  try {
    igv = await library();
  } catch {
    $("no-igv").hidden = false;
    return;
  }
  if (shown !== dataset) return; // another one was chosen meanwhile
  const { contig, start, end } = region;
  // In igv.js, positions follow the first colon, even if the contig has a colon in its name, unless there are tabs.
  const locus = contig.includes(":") ? `${contig}\t${start + 1}\t${end}` : `${contig}:${start + 1}-${end}`;
  if (browser) {
    await (await browser).search(locus);
    return;
  }
  const records = new URL(`reads/${name}`, document.baseURI).href; // exactly those that are shown
  const sizes = new File(dataset.contigs.map(([contig, length]) => `${contig}\t${length}\n`), "chrom.sizes");
  const alignments = { type: "alignment", sourceType: "htsget", format: "bam", name: dataset.name, url: records, headers: credentials(), height: 400 };
  const depths = { type: "wig", format: "bigwig", name: "bigWig", url: dataset.wig, headers: credentials(), height: 60 };
  const place = document.createElement("div"); // igv.js would add itself to what an earlier one has left
  $("igv").replaceChildren(place);
  browser = igv.createBrowser(place, {
    reference: { id: dataset.name, name: dataset.name, format: "chromsizes", fastaURL: sizes, wholeGenomeView: false },
    loadDefaultGenomes: false,
    search: false, // igv.js would send what it does not know to igv.org
    locus,
    tracks: dataset.wig ? [depths, alignments] : [alignments],
  });
  (await browser).on("locuschange", (frames) => {
    const [frame] = frames;
    if (!track || track.of !== shown || frame.chr !== track.contig) return;
    track.shown = { ...track.shown, start: Math.max(Math.floor(frame.start), 0), end: Math.min(Math.ceil(frame.end), track.length) };
    remember(track.shown);
    draw();
  });
}

$("dataset").addEventListener("change", (event) => open(event.target.value).catch(fail));
$("contig").addEventListener("change", (event) => show(parse(event.target.value)).catch(fail));
$("go").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    show(parse($("locus").value)).catch(fail);
  } catch (error) {
    fail(error);
  }
});
$("depth").addEventListener("pointermove", (event) => track && point(pointed(event)));
$("depth").addEventListener("pointerleave", () => { at = null; draw(); });
$("depth").addEventListener("click", (event) => track && goTo(pointed(event)));
$("depth").addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!track || !(by || event.key === "Enter")) return;
  event.preventDefault();
  if (by) point((at ?? 0) + by * Math.max(track.bin, Math.round(track.length / 200)));
  else goTo(at ?? 0);
});
new ResizeObserver(draw).observe($("plot"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

$("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value);
  $("access").hidden = $("error").hidden = true;
  begin().catch(fail);
});

async function begin() {
  const names = await (await ask("datasets")).json();
  $("dataset").replaceChildren(...names.map((name) => new Option(name, name)));
  $("dataset").disabled = names.length < 2;
  const wanted = address.get("dataset") ?? names[0];
  if (wanted === undefined) throw new Error("no datasets yet");
  await open(wanted, address.get("locus"));
}

begin().catch(fail);
