// The section of curves: which rows are drawn, of which metric, and their values at an epoch.

const FIRST_DRAWN = 8;

// A chart with its slider, legend and buttons. rows: the first ones to draw; others are added and removed by toggle().
// names: the metrics to draw of one run, instead of one that is chosen. colours: see colouringOf; none of one run.
function curvesOf(curves, rows, { metric, names = null, colours = null }) {
  const state = { metric, isLog: false, drawn: [], hidden: new Set() };
  const chart = new LineChart({
    label: (series) => `${spoken(state.metric)} by epoch of ${series.map((each) => each.label).join("; ") || "nothing"}`,
    onEpoch: (epoch) => moveTo(epoch),
  });
  const legend = element("ul", { class: "legend" });
  const slider = element("input", { type: "range", min: 1, step: curves.step });
  const epochText = element("span", { class: "value" });
  slider.addEventListener("input", () => moveTo(nearestEpoch(Number(slider.value))));

  const tones = element("div", { class: "tones" });

  function series() {
    const looks = colours ? colours.looks(state.drawn) : state.drawn.map(({ slot }) => ownLook(slot));
    return state.drawn.map(({ row, name }, index) => ({
      key: row.key + (name ?? ""), label: name ? spoken(name) : row.label, ...looks[index],
      points: curves.of(row, name ?? state.metric), isHidden: state.hidden.has(row.key + (name ?? "")),
    }));
  }

  function nearestEpoch(wanted) {
    const epochs = chart.series.flatMap((each) => each.points.map((point) => point.epoch));
    return epochs.reduce((best, each) => (Math.abs(each - wanted) < Math.abs(best - wanted) ? each : best), epochs[0] ?? null);
  }

  function moveTo(epoch) {
    if (epoch === null) return;
    chart.point(epoch);
    slider.value = epoch;
    slider.setAttribute("aria-valuetext", [`epoch ${epoch}`, ...chart.visible().map((each) =>
      `${each.label} ${valueAt(each, epoch, state.metric) || "none"}`)].join(", "));
    epochText.textContent = epoch;
    for (const [index, shown] of [...legend.querySelectorAll(".value")].entries()) {
      shown.textContent = valueAt(chart.series[index], epoch, state.metric);
    }
  }

  function entry(each) {
    const toggle = () => {
      if (!state.hidden.delete(each.key)) state.hidden.add(each.key);
      draw();
      [...legend.querySelectorAll("button")].find((button) => button.dataset.key === each.key)?.focus();
    };
    const button = element("button", { type: "button", "aria-pressed": String(!each.isHidden), onclick: toggle },
      swatch(each), element("span", {}, each.label));
    button.dataset.key = each.key;
    const isMean = each.points.some((point) => point.low !== undefined);
    return element("li", {}, button, element("span", { class: isMean ? "value below" : "value" }));
  }

  function draw() {
    chart.show(series(), { isLog: state.isLog, metric: names ? names[0] : state.metric });
    const last = Math.max(1, ...chart.series.map((each) => each.points[each.points.length - 1]?.epoch ?? 1));
    slider.max = last;
    legend.replaceChildren(...chart.series.map(entry));
    tones.replaceChildren(...(colours?.by ? tonesOf(`Coloured by ${colours.by.label}:`, colours.by.tones) : []));
    moveTo(nearestEpoch(chart.epoch ?? last));
  }

  function toggle(row) {
    const known = state.drawn.findIndex((each) => each.row.key === row.key);
    if (known >= 0) state.drawn.splice(known, 1);
    else state.drawn.push({ row, slot: freeSlot(state.drawn) });
    if (colours) colours.tell();
    else draw();
  }

  const choices = curves.metrics.map((name) => element("option", { value: name, selected: name === metric }, spoken(name)));
  const button = (label, onclick) => element("button", { type: "button", onclick }, label);
  const controls = element("div", { class: "controls" },
    names ? null : element("label", {}, "Metric ",
      element("select", { onchange: (event) => { state.metric = event.target.value; chart.view = null; draw(); } }, choices)),
    element("label", {}, element("input", { type: "checkbox", onchange: (event) => {
      state.isLog = event.target.checked; chart.view = null; draw(); } }), " log axis"),
    colours ? colours.select() : null,
    button("Zoom in", () => chart.zoomBy(0.5)), button("Zoom out", () => chart.zoomBy(2)),
    button("Whole curve", () => chart.zoom(null)),
    element("label", { class: "epoch" }, "Epoch ", slider, epochText));
  if (names) state.drawn = names.map((name, slot) => ({ row: rows[0], slot, name }));
  else state.drawn = rows.map((row, slot) => ({ row, slot }));
  if (colours) {
    colours.drawn = state.drawn;
    colours.listen(draw);
  }
  draw();
  return { parts: [controls, chart.holder, chart.note, tones, legend], toggle, isDrawn: (row) => state.drawn.some((each) => each.row === row) };
}

function freeSlot(drawn) {
  const taken = new Set(drawn.map((each) => each.slot));
  let slot = 0;
  while (taken.has(slot)) slot += 1;
  return slot;
}

// Of a series at an epoch: the value, and of a mean its interval and how many seeds it has.
function valueAt({ points, isHidden }, epoch, metric) {
  const point = points.find((each) => each.epoch === epoch);
  if (!point || isHidden) return "";
  const text = (value) => metricText(value, metric);
  const range = point.low === undefined ? "" : ` (${text(point.low)} to ${text(point.high)})`;
  const seeds = point.count === undefined ? "" : `, ${plural(point.count, "seed")}`;
  return text(point.value) + range + seeds;
}
