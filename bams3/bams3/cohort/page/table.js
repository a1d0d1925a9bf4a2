// The table of samples: rows, sorting, search, selection.

const PALETTE = { // Okabe and Ito's, safe for colour blindness; yellow and black only where they are visible
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a00", "#000000"],
  dark: ["#56b4e9", "#e69f00", "#33c79b", "#e99bc6", "#f0e442", "#ff7f3f", "#5e9dff", "#ffffff"],
};
const MOST_CHOSEN = PALETTE.light.length;
const [SAMPLE, STATUS, REASONS] = [0, 1, 2]; // columns
const FIRST = 50; // rows shown at first: a table of 1,000 takes a browser a second

// A value as shown under a heading; number formats are cached because browsers are slow to create them.
const FORMATS = new Map();
function shown(value, { unit, decimals }) {
  if (value === null) return "–";
  if (typeof value !== "number") return value;
  if (!FORMATS.has(decimals)) FORMATS.set(decimals, new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  return FORMATS.get(decimals).format(unit === "%" ? 100 * value : value);
}

class SampleTable {
  constructor(data, changed) {
    this.data = data;
    this.changed = changed;
    this.order = data.rows.map((_, i) => i);
    this.chosen = this.order.slice(0, 4);
    this.made = new Map(); // table rows by sample
    this.most = FIRST;
    const texts = data.headings.filter(({ decimals }) => decimals === null).map(({ column }) => column);
    this.words = data.rows.map((row) => texts.map((column) => row[column] ?? "").join("\n").replaceAll("_", " ").toLowerCase());
    this.head = document.querySelector("#samples thead");
    this.body = document.querySelector("#samples tbody");
    this.find = document.getElementById("find");
    this.more = document.getElementById("more");
    this.makeHead();
    this.find.addEventListener("input", () => this.show());
    this.more.addEventListener("click", () => { this.most = Infinity; this.show(); });
    document.getElementById("clear").addEventListener("click", () => { this.chosen = []; this.mark(); });
    this.show();
  }

  // The rows, in order, that match the search; only the first of them until more are requested.
  show() {
    const wanted = this.find.value.trim().replaceAll("_", " ").toLowerCase();
    const found = this.order.filter((i) => this.words[i].includes(wanted));
    this.body.replaceChildren(...found.slice(0, this.most).map((i) => this.row(i)));
    this.more.hidden = found.length <= this.most;
    this.more.textContent = `Show all ${found.length.toLocaleString("en")}`;
    this.mark();
  }

  makeHead() {
    const row = this.head.insertRow();
    for (const { column, text, unit, decimals } of this.data.headings) {
      const cell = document.createElement("th");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      if (unit) {
        const name = document.createElement("span");
        name.className = "unit";
        name.textContent = ` ${unit}`;
        button.append(name);
      }
      button.title = this.data.columns[column];
      button.addEventListener("click", () => this.sort(column));
      cell.scope = "col";
      cell.dataset.column = column;
      if (decimals === null) cell.className = "text";
      cell.append(button);
      row.append(cell);
    }
  }

  row(sample) {
    if (!this.made.has(sample)) {
      const row = document.createElement("tr");
      row.tabIndex = 0;
      const reasons = this.reasons(sample);
      for (const heading of this.data.headings) {
        const { column, decimals } = heading;
        const cell = row.insertCell();
        const value = this.data.rows[sample][column];
        const text = column === REASONS ? value.replaceAll("_", " ") : shown(value, heading);
        cell.append(column === SAMPLE && this.data.server ? this.link(value, this.inServer(value)) : text);
        if (column === SAMPLE && this.data.bigwigs && isInItsPlace()) {
          cell.append(" ", this.link("bigWig", `${this.data.bigwigs}${encodeURIComponent(value)}.bw`));
        }
        if (decimals === null) {
          cell.className = "text";
          if (column !== REASONS && value !== null) cell.title = value;
        }
        const reason = reasons.get(this.data.columns[column]);
        if (reason) {
          cell.classList.add(reason.endsWith(" deviations") ? "outlier" : "fail");
          cell.title = reason.replaceAll("_", " ");
        }
        if (column === STATUS) cell.classList.add(value);
        if (column === REASONS) cell.classList.add("reasons");
      }
      row.addEventListener("click", () => this.toggle(sample));
      row.addEventListener("keydown", (event) => { if (event.key === "Enter") this.toggle(sample); });
      this.made.set(sample, row);
    }
    return this.made.get(sample);
  }

  // Where `bams3 serve` shows the sample's reads.
  inServer(sample) {
    return `${this.data.server.replace(/\/$/, "")}/?${new URLSearchParams({ dataset: sample })}`;
  }

  link(text, address) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = text;
    link.addEventListener("click", (event) => event.stopPropagation());
    link.addEventListener("keydown", (event) => event.stopPropagation());
    return link;
  }

  // Why values of a sample are beyond their limits or far from the others', by the name of their column.
  reasons(sample) {
    const found = new Map();
    for (const reason of this.data.rows[sample][REASONS].split("; ")) {
      const name = reason.split(" ")[0].replace(/:$/, "");
      if (!found.has(name)) found.set(name, reason); // what fails stands before what is outlying
    }
    return found;
  }

  toggle(sample) {
    this.chosen = this.chosen.includes(sample)
      ? this.chosen.filter((i) => i !== sample)
      : [...this.chosen, sample].slice(-MOST_CHOSEN);
    this.mark();
  }

  mark() {
    this.made.forEach((row, sample) => {
      row.classList.toggle("picked", this.chosen.includes(sample));
    });
    const names = this.chosen.map((i, n) => {
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = colours()[n];
      const label = document.createElement("span");
      label.append(swatch, `${this.data.rows[i][0]} `);
      return label;
    });
    document.getElementById("chosen").replaceChildren(...names);
    this.changed();
  }

  sort(column) {
    const isText = this.data.headings.find((heading) => heading.column === column).decimals === null;
    const up = this.sorted?.column === column ? !this.sorted.up : isText;
    this.sorted = { column, up };
    const key = (i) => this.data.rows[i][column];
    this.order.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
    });
    [...this.head.rows[0].cells].forEach((cell) => {
      if (Number(cell.dataset.column) === column) cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
    this.show();
  }
}

function theme() {
  return document.documentElement.dataset.theme;
}

function colours() {
  return PALETTE[theme()];
}
