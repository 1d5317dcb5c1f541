// The table of settings with their runs inside, or of runs alone: filter, sort, columns, pages. keep(isKept) shows some
// rows only, null all of them.

const PAGE = 50;
const PRINTED = 500;
const OPENED = 100;

function leaderboardOf(data, curves) {
  const state = { isGrouped: Boolean(data.settings), sort: null, words: [], isKept: null, page: 0, size: PAGE,
    hidden: new Set(data.columns.filter((column) => column.isHidden).map(({ name }) => name)), open: new Set(), detailed: new Set() };
  const status = element("p", { role: "status", class: "soft" });
  const table = element("table", { class: "leaderboard" });
  const pages = element("div", { class: "controls" });
  const menu = element("div", { class: "columns" });
  const scroll = element("div", { class: "scroll", role: "region", tabindex: 0, "aria-labelledby": "leaderboard" }, table);

  const columns = () => columnsOf(data, state.isGrouped);
  const shownColumns = () => columns().filter((column) => !state.hidden.has(column.name));
  const change = (changes) => { Object.assign(state, { page: 0 }, changes); draw(); };

  function draw() {
    const kept = (state.isGrouped ? data.settings : data.runs).filter(state.isKept ?? (() => true));
    const rows = sorted(matching(kept, state.words), state.sort);
    const start = state.page * state.size;
    const names = shownColumns();
    table.replaceChildren(head(names), element("tbody", {}, rows.slice(start, start + state.size).flatMap((row) =>
      rowsOf(row, names))));
    say(rows, start);
    drawPages(rows.length);
  }

  function say(rows, start) {
    const noun = state.isGrouped ? "setting" : "run";
    const all = state.isGrouped ? data.settings.length : data.runs.length;
    const found = state.words.length || state.isKept ? `${rows.length} of ${plural(all, noun)} match. ` : `${plural(all, noun)}. `;
    const end = Math.min(start + state.size, rows.length);
    status.textContent = found + (end - start < rows.length ? `Rows ${start + 1} to ${end}.` : "");
  }

  function drawPages(count) {
    const last = Math.ceil(count / state.size) - 1;
    const button = (label, page) => element("button", { type: "button", disabled: page < 0 || page > last,
      onclick: () => { change({ page }); scroll.focus({ preventScroll: true }); table.scrollIntoView({ block: "nearest" }); } }, label);
    pages.hidden = last < 1;
    pages.replaceChildren(button("Previous page", state.page - 1), element("span", {}, `Page ${state.page + 1} of ${last + 1}`),
      button("Next page", state.page + 1));
  }

  function head(names) {
    const sortBy = (name, isHighFirst) => {
      const isDown = state.sort?.name === name ? !state.sort.isDown : isHighFirst;
      change({ sort: { name, isDown } });
      [...table.querySelectorAll("th button")].find((button) => button.dataset.name === name)?.focus();
    };
    const cells = names.map(({ name, label, isNumber, isHighFirst = false }) => {
      if (state.isOnPaper) return element("th", { scope: "col", class: isNumber ? "number" : null }, label);
      const button = element("button", { type: "button", onclick: () => sortBy(name, isHighFirst) }, label);
      button.dataset.name = name;
      const order = state.sort?.name === name ? (state.sort.isDown ? "descending" : "ascending") : "none";
      return element("th", { scope: "col", "aria-sort": order, class: isNumber ? "number" : null }, button);
    });
    const first = (state.isGrouped ? "setting" : "run") + (data.curves.isEmpty ? "" : " and curve");
    return element("thead", {}, element("tr", {}, element("th", { scope: "col" }, first), cells));
  }

  function rowsOf(row, names) {
    const made = [rowOf(row, names)];
    if (row.isRun && state.detailed.has(row)) {
      row.detail = row.detail ?? detailOf(row, data);
      made.push(element("tr", { class: "detail-row" }, element("td", { colspan: names.length + 1 }, row.detail)));
    }
    if (!row.isRun && state.open.has(row)) {
      made.push(...sorted(inside(row, state.words), state.sort).flatMap((run) => rowsOf(run, names)));
    }
    return made;
  }

  function rowOf(row, names) {
    const set = row.isRun ? state.detailed : state.open;
    const toggle = () => {
      if (!set.delete(row)) set.add(row);
      draw();
      [...table.querySelectorAll("button.open")].find((button) => button.dataset.key === row.key)?.focus({ preventScroll: true });
    };
    const open = element("button", { type: "button", class: "open", "aria-expanded": String(set.has(row)), onclick: toggle },
      row.label);
    open.dataset.key = row.key;
    const mark = row.mark && element("strong", { class: "mark" }, row.mark);
    const isInside = row.isRun && state.isGrouped;
    const made = element("tr", { class: [row.state || "", row.mark && "is-marked", row.isRun ? "run" : "setting", isInside && "inside"]
      .filter(Boolean).join(" ") },
      element("th", { scope: "row" }, element("div", { class: "first" }, data.curves.isEmpty ? null : drawnBox(row), open, mark)),
      names.map((column) => element("td", { class: column.isNumber ? "number" : null }, textOf(row, column, data.measure))));
    made.addEventListener("click", (event) => {
      if (!event.target.closest("button, input, a") && !String(getSelection())) toggle();
    });
    return made;
  }

  function drawnBox(row) {
    return element("input", { type: "checkbox", "aria-label": `Curve of ${row.label}`, checked: curves.isDrawn(row),
      disabled: !data.curves.has(row), onchange: () => curves.toggle(row) });
  }

  function drawMenu() {
    menu.replaceChildren(...columns().map(({ name, label }) => element("label", {},
      element("input", { type: "checkbox", checked: !state.hidden.has(name), onchange: () => {
        if (!state.hidden.delete(name)) state.hidden.add(name);
        draw();
      } }), ` ${label}`)));
  }

  const filter = element("input", { type: "search", placeholder: "words that a row must have", size: 26, oninput: () =>
    change({ words: filter.value.toLowerCase().split(/\s+/).filter(Boolean) }) });
  const group = element("input", { type: "checkbox", checked: true, onchange: () => {
    change({ isGrouped: group.checked, sort: null });
    drawMenu();
  } });
  const controls = element("div", { class: "controls" }, element("label", {}, "Filter ", filter),
    data.settings ? element("label", {}, group, " group runs by setting") : null,
    element("button", { type: "button", onclick: () => change({ sort: null }) }, "Best first"),
    element("details", { class: "menu" }, element("summary", {}, "Columns"), menu));
  onPaper(state, data, draw);
  drawMenu();
  draw();
  return { parts: [controls, status, scroll, pages], keep: (isKept) => change({ isKept }) };
}

// With the intervals of settings, and how they compare with the best, beside what they are of.
function columnsOf({ columns, measure }, isGrouped) {
  if (!isGrouped) return columns;
  const beside = (column) => [
    ...(measure.columns.includes(column.name)
      ? [{ ...column, name: INTERVAL + column.name, label: `95% interval of ${column.label}` }] : []),
    ...(column.name === measure.column ? [{ name: RELATION, label: "against the best", decimals: null, isNumber: false }] : []),
  ];
  return columns.flatMap((column) =>
    [column.name === "seed" ? { ...column, label: "seed, or seeds" } : column, ...beside(column)]);
}

function textOf(row, { name, decimals }, measure) {
  const text = (value) => cellText(value, decimals);
  if (row.isRun) return text(row.value(name));
  if (name === "run") return "";
  if (name === "seed") return plural(row.value(name), "seed");
  if (name === "status") return statesOf(row);
  if (measure.columns.includes(name)) {
    const [mean, sd] = row.statistics(name);
    return text(mean) + (sd === null ? "" : ` ± ${text(sd)}`);
  }
  if (name.startsWith(INTERVAL)) {
    const [, , low, high] = row.statistics(name.slice(INTERVAL.length));
    return low === null ? "" : `${text(low)} to ${text(high)}`;
  }
  return text(row.value(name));
}

const NOUNS = { seeds: "completed", at_chance: "of them at chance" };
const statesOf = (setting) =>
  Object.entries(setting.counts).map(([what, count]) => `${count} ${NOUNS[what] ?? spoken(what)}`).join(", ");

function wordsOf(row) {
  row.words = row.words ?? [row.label, row.name, row.state, row.reason, row.mark, row.value("status"), row.value("sweep"),
    row.value(RELATION), row.counts && statesOf(row)].join(" ").toLowerCase();
  return row.words;
}

const has = (row, words) => words.every((word) => wordsOf(row).includes(word));
const matching = (rows, words) => rows.filter((row) => has(row, words) || row.runs?.some((run) => has(run, words)));
const inside = (setting, words) => (has(setting, words) ? setting.runs : setting.runs.filter((run) => has(run, words)));

// Numbers before texts, and what is missing last, whichever way the rows are sorted.
function sorted(rows, sort) {
  if (!sort) return rows;
  const keys = new Map(rows.map((row) => [row, sort.name === "status" && !row.isRun ? statesOf(row) : row.value(sort.name)]));
  const rank = (value) => (value === null ? 2 : typeof value === "number" ? 0 : 1);
  return [...rows].sort((one, two) => {
    const [a, b] = [keys.get(one), keys.get(two)];
    if (rank(a) !== rank(b) || a === null) return rank(a) - rank(b);
    const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    return sort.isDown ? -order : order;
  });
}

// On paper nobody turns a page or opens a row, so the rows are all there: of up to OPENED runs, those inside settings, too.
// Browsers repeat the head of a table on each sheet, but not the buttons in it.
function onPaper(state, data, draw) {
  let before = null;
  addEventListener("beforeprint", () => {
    before = { page: state.page, size: state.size, open: state.open };
    const isShort = data.runs.length <= OPENED;
    Object.assign(state, { isOnPaper: true, page: 0, size: PRINTED, open: new Set(isShort && data.settings ? data.settings : state.open) });
    draw();
  });
  addEventListener("afterprint", () => { Object.assign(state, { isOnPaper: false }, before); draw(); });
}
