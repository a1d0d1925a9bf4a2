// Who is who: what is found, and the matrix of kinship.

const FINDINGS = 20; // shown at first

function tellFindings(findings) {
  const list = document.getElementById("findings"), more = document.getElementById("more-findings");
  document.getElementById("identity-hint").textContent = findings.length
    ? "Samples that are not who the sheet says they are, the most severe findings first."
    : "All samples are who the sheet says they are, as far as the sites can tell.";
  const show = (most) => {
    list.replaceChildren(...findings.slice(0, most).map(([kind, severity, one, other, text]) => {
      const item = document.createElement("li"), [name, samples] = ["span", "b"].map((tag) => document.createElement(tag));
      name.textContent = kind;
      name.className = severity === "high" ? "fail" : "outlier";
      samples.textContent = other ? `${one}, ${other}` : one;
      item.append(name, samples, text);
      return item;
    }));
    more.hidden = findings.length <= most;
  };
  more.textContent = `Show all ${findings.length.toLocaleString("en")}`;
  more.addEventListener("click", () => show(Infinity));
  show(FINDINGS);
}

// The matrix: relatives stand together. A click selects both samples of a pair.
function drawKinship(plots) {
  const { samples, kinship, related } = plots.data.identity;
  const place = document.getElementById("kinship"), select = document.getElementById("kin"), hint = document.getElementById("kinship-hint");
  if (!place.dataset.told) {
    place.dataset.told = "yes";
    if (!related.length) select.value = "all";
    select.addEventListener("change", () => plots.draw("kinship"));
  }
  const kin = new Set(related.flatMap(([i, j]) => [i, j]));
  const shownOnes = samples.map((_, i) => i).filter((i) => select.value === "all" || kin.has(i));
  const about = "Kinship: 0.5 for one person or twins, 0.25 for parents and children and for siblings, 0.125 for relatives of the second degree. " +
    (shownOnes.length ? "Relatives are next to each other. Click to show both samples." : "No sample has a relative in the cohort.");
  hint.textContent = about;
  const dark = theme() === "dark", number = { unit: "", decimals: 3 };
  const how = new Map(related.map(([i, j, what]) => [i * samples.length + j, what]));
  const labels = spaced(shownOnes.map((_, i) => i), shownOnes.length * share("kinship"));
  const ticks = { tickvals: labels, ticktext: labels.map((i) => label(samples[shownOnes[i]])), showgrid: false, zeroline: false };
  place.style.height = `${Math.min(Math.max(300, 150 + 14 * shownOnes.length), 800)}px`;
  const trace = {
    type: "heatmap", z: shownOnes.map((i) => shownOnes.map((j) => kinship[i][j])), zmin: 0, zmax: 0.5, hoverongaps: false, hoverinfo: "none",
    colorscale: dark
      ? [[0, "#20272f"], [0.15, "#2d5f8a"], [0.5, "#56b4e9"], [1, "#ffc266"]]
      : [[0, "#f7f7f7"], [0.15, "#9ecae8"], [0.5, "#0a6ebd"], [1, "#e06c00"]],
    colorbar: { title: { text: "kinship" }, thickness: 14, tickvals: [0, 0.125, 0.25, 0.5] },
  };
  Plotly.react("kinship", [trace], layout({
    xaxis: { ...ticks, tickangle: -45, constrain: "domain" },
    yaxis: { ...ticks, range: [shownOnes.length - 0.5, -0.5] },
  }), CONFIG);
  place.removeAllListeners("plotly_hover");
  place.on("plotly_hover", ({ points: [{ x, y }] }) => {
    const [i, j] = [shownOnes[x], shownOnes[y]].sort((a, b) => a - b);
    const what = i === j ? "the sample itself" : how.get(i * samples.length + j) ?? "unrelated";
    hint.textContent = `${samples[i]}, ${samples[j]}: kinship ${shown(kinship[i][j], number)}, ${what}`;
  });
  place.removeAllListeners("plotly_unhover");
  place.on("plotly_unhover", () => { hint.textContent = about; });
  place.removeAllListeners("plotly_click");
  place.on("plotly_click", ({ points: [{ x, y }] }) => {
    for (const i of new Set([shownOnes[x], shownOnes[y]])) {
      const sample = plots.data.rows.findIndex((row) => row[0] === samples[i]);
      if (!plots.table.chosen.includes(sample)) plots.table.toggle(sample);
    }
  });
}
