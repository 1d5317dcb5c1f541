// What a click on a run shows: its config, history, log and files, and the command that trains it again.

function detailOf(run, data) {
  const parts = [element("h3", {}, run.name), element("p", {}, stateOf(run))];
  const add = (title, ...content) => parts.push(element("h4", {}, title), ...content);
  const command = reproduction(run);
  if (data.config.isKnown(run)) {
    const isAlone = data.runs.length === 1;
    if (!isAlone) add("Where its config differs from other runs'", pairs(data.config.of(run)));
    const same = `${isAlone ? "Config" : "The same in all runs"}: ${plural(data.config.same.length, "key")}`;
    parts.push(element("details", {}, element("summary", {}, same), pairs(data.config.same)));
  }
  if (command) add("Train it again", element("pre", {}, command));
  if (run.folder !== null && run.files.length) add("Files", element("ul", { class: "files" }, run.files.map((name) =>
    element("li", {}, element("a", { href: linkTo(run, name) }, name)))));
  if (data.curves.has(run)) {
    const { metric } = data.measure;
    const { parts: drawn } = curvesOf(data.curves, [run], { metric, names: [metric.replace("val_", ""), metric] });
    add("History", ...drawn, historyOf(run, data));
  }
  if (run.log) add("The end of its log", element("pre", { tabindex: 0, "aria-label": "The end of its log" }, run.log));
  else if (run.files.includes("train.log")) add("The end of its log", element("p", {}, "Not in this page: see train.log."));
  return element("section", { class: "detail", "aria-label": `Run ${run.name}` }, parts);
}

function stateOf(run) {
  return `${run.label}: ${run.value("status")}${run.reason ? `: ${run.reason}` : ""}`;
}

function pairs(entries) {
  if (!entries.length) return element("p", {}, "Nowhere.");
  return element("dl", { class: "pairs" }, entries.map(([key, value]) =>
    element("div", {}, element("dt", {}, key), element("dd", {}, value === null ? "not set" : value))));
}

function historyOf(run, { curves, measure }) {
  const columns = curves.metrics.map((metric) => curves.of(run, metric));
  const best = run.value("best_epoch");
  const row = (point, index) => {
    const isBest = point.epoch === best;
    const mark = isBest ? ` (${measure.best})` : "";
    return element("tr", { class: isBest ? "is-marked" : null },
      element("th", { scope: "row", class: "number" }, `${point.epoch}${mark}`),
      columns.map((column, place) => element("td", { class: "number" },
        metricText(column[index].value, curves.metrics[place]))));
  };
  const head = ["epoch", ...curves.metrics.map(spoken)].map((name) => element("th", { scope: "col", class: "number" }, name));
  const summary = `All ${plural(columns[0].length, "epoch")}`;
  const thinned = `${plural(columns[0].length, "epoch")}, one of ${curves.step}: history.csv has all`;
  return element("details", {}, element("summary", {}, curves.step > 1 ? thinned : summary),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `History of ${run.name}` },
      element("table", {}, element("thead", {}, element("tr", {}, head)),
        element("tbody", {}, columns[0].map(row)))));
}

const linkTo = (run, name) => [...run.folder.split("/"), name].map(encodeURIComponent).join("/");

// With the run's folder where it is now, if the page is opened as a file, or else from the folder of the page.
function reproduction(run) {
  if (run.folder === null || !run.files.includes("run.json")) return "";
  const path = location.protocol === "file:" ? decoded(new URL(linkTo(run, ""), location.href).pathname) : run.folder;
  return `fashion-sweep-reproduce ${quoted(path.replace(/\/$/, ""))}`;
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.split("'").join(`'"'"'`)}'`);
