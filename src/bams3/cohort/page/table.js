// The table of samples: its rows, sorting, finding, choosing.

const PALETTE = { // Okabe and Ito's, for every kind of sight; its yellow and black where they can be seen
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a00", "#000000"],
  dark: ["#56b4e9", "#e69f00", "#33c79b", "#e99bc6", "#f0e442", "#ff7f3f", "#5e9dff", "#ffffff"],
};
const MOST_CHOSEN = PALETTE.light.length;
const FIRST = 50; // rows, until more are asked for: a table of 1,000 takes a browser a second

function shown(value) {
  if (value === null) return "–";
  if (typeof value !== "number" || Number.isInteger(value)) return typeof value === "number" ? value.toLocaleString("en") : value;
  return Math.abs(value) < 10 ? value.toFixed(4).replace(/0{1,2}$/, "") : value.toFixed(1);
}

class SampleTable {
  constructor(data, changed) {
    this.data = data;
    this.changed = changed;
    this.order = data.rows.map((_, i) => i);
    this.chosen = this.order.slice(0, 4);
    this.made = new Map(); // rows of the table, by sample
    this.most = FIRST;
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

  // The rows in order that have what is looked for; the first of them, until more are asked for.
  show() {
    const wanted = this.find.value.toLowerCase();
    const found = this.order.filter((i) => this.data.rows[i].slice(0, 3).join(" ").toLowerCase().includes(wanted));
    this.body.replaceChildren(...found.slice(0, this.most).map((i) => this.row(i)));
    this.more.hidden = found.length <= this.most;
    this.more.textContent = `All ${found.length.toLocaleString("en")}`;
    this.mark();
  }

  makeHead() {
    const row = this.head.insertRow();
    this.data.columns.forEach((name, column) => {
      const cell = document.createElement("th");
      cell.textContent = name.replaceAll("_", " ");
      cell.scope = "col";
      cell.tabIndex = 0;
      cell.className = column < 3 ? "text" : "";
      cell.addEventListener("click", () => this.sort(column));
      cell.addEventListener("keydown", (event) => { if (event.key === "Enter") this.sort(column); });
      row.append(cell);
    });
  }

  row(sample) {
    if (!this.made.has(sample)) {
      const row = document.createElement("tr");
      row.tabIndex = 0;
      this.data.rows[sample].forEach((value, column) => {
        const cell = row.insertCell();
        cell.textContent = shown(value);
        if (column < 3) cell.className = ["text", `text ${value}`, "text reasons"][column];
        if (column === 2) cell.title = value;
      });
      row.addEventListener("click", () => this.toggle(sample));
      row.addEventListener("keydown", (event) => { if (event.key === "Enter") this.toggle(sample); });
      this.made.set(sample, row);
    }
    return this.made.get(sample);
  }

  toggle(sample) {
    this.chosen = this.chosen.includes(sample)
      ? this.chosen.filter((i) => i !== sample)
      : [...this.chosen, sample].slice(-MOST_CHOSEN);
    this.mark();
  }

  mark() {
    this.made.forEach((row, sample) => {
      const picked = this.chosen.includes(sample);
      row.classList.toggle("picked", picked);
      row.setAttribute("aria-selected", picked);
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
    const up = this.sorted?.column === column ? !this.sorted.up : column < 3;
    this.sorted = { column, up };
    const key = (i) => this.data.rows[i][column];
    this.order.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
    });
    [...this.head.rows[0].cells].forEach((cell, i) => {
      if (i === column) cell.setAttribute("aria-sort", up ? "ascending" : "descending");
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
