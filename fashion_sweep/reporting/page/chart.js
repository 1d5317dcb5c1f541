// A line chart in SVG with bands, a logarithmic axis, zoom and a cursor. Colours are CSS variables, so that it follows
// the colour scheme and prints. What the pointer does, the buttons and the slider beside it do as well.

const COLOURS = 8;
const MARGIN = { left: 58, right: 14, top: 10, bottom: 40 };

class LineChart {
  constructor({ label, onEpoch }) {
    Object.assign(this, { label, onEpoch, series: [], view: null, epoch: null, isLog: false, metric: "" });
    this.svg = shape("svg", { role: "img", class: "chart" });
    this.holder = element("div", { class: "chart-holder" }, this.svg);
    this.note = element("p", { class: "soft" });
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.holder);
  }

  show(series, { isLog, metric }) {
    Object.assign(this, { series, isLog, metric });
    this.draw();
  }

  zoom(view) {
    this.view = view;
    this.draw();
  }

  // Halves or doubles the range of epochs around the cursor.
  zoomBy(factor) {
    const whole = this.range(this.visible());
    const [low, high] = this.axes.x.range;
    const middle = this.epoch !== null && this.epoch >= low && this.epoch <= high ? this.epoch : (low + high) / 2;
    const half = Math.max(((high - low) * factor) / 2, 0.5);
    const range = [Math.max(middle - half, whole.x[0]), Math.min(middle + half, whole.x[1])];
    this.zoom(range[1] - range[0] >= whole.x[1] - whole.x[0] ? null : { x: range, y: null });
  }

  visible() {
    return this.series.filter((each) => !each.isHidden);
  }

  isDrawn(value) {
    return Number.isFinite(value) && (!this.isLog || value > 0);
  }

  // The ranges of epochs and values, of the epochs in view only, and what goes beyond: values, or bands.
  range(series, within = [-Infinity, Infinity]) {
    const drawn = series.map((each) => each.points.filter((point) => this.isDrawn(point.value)));
    const seen = drawn.map((points) => points.filter(({ epoch }) => epoch >= within[0] && epoch <= within[1]));
    const x = ends(drawn.flat().map((point) => point.epoch)) ?? [0, 1];
    const most = this.isLog || this.metric.endsWith("accuracy") ? Infinity
      : outlierLimit(seen.map((points) => points.map((point) => point.value)));
    const lines = ends(seen.flat().map((point) => point.value).filter((value) => value <= most));
    if (!lines) return { x, y: [0.1, 1], beyond: "" };
    const inside = seen.flat().filter((point) => point.value <= most);
    const y = withBands(lines, inside, this.isLog);
    const isBandCut = inside.some((point) => point.high > y[1] || point.low < y[0]);
    return { x, y, beyond: inside.length < seen.flat().length ? "values" : isBandCut ? "bands" : "" };
  }

  scales(width, height) {
    const { x } = this.view ?? this.range(this.visible());
    const { y: whole, beyond } = this.range(this.visible(), x);
    const y = this.view?.y ?? whole;
    const { left, right, top, bottom } = MARGIN;
    return {
      x: axis(x[0] === x[1] ? [x[0] - 0.5, x[1] + 0.5] : x, [left, width - right], false),
      y: axis(padded(y, this.isLog, Boolean(this.view?.y)), [height - bottom, top], this.isLog),
      beyond: this.view?.y ? "" : beyond,
    };
  }

  draw() {
    const width = Math.max(this.holder.clientWidth, 260);
    const height = Math.round(Math.min(Math.max(width * 0.5, 240), 420));
    this.axes = this.scales(width, height);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const shown = this.visible();
    this.svg.setAttribute("aria-label", this.label(shown));
    this.note.hidden = !this.axes.beyond;
    this.note.textContent = this.axes.beyond === "bands" ? "Some bands reach beyond this axis."
      : `Values above ${significant(this.axes.y.range[1], 2)} are cut off: a log axis shows all.`;
    const lines = this.frame();
    for (const each of shown) if (each.points.some((point) => point.low !== undefined)) lines.append(this.band(each));
    for (const each of shown) lines.append(this.line(each), ...this.alone(each));
    this.cursor = shape("g", { class: "cursor" });
    this.svg.replaceChildren(...this.grid(width, height), lines, this.cursor);
    this.point(this.epoch);
  }

  // Where lines are drawn: an svg of its own, which cuts off what lies outside.
  frame() {
    const [x, right] = this.axes.x.pixels;
    const [bottom, y] = this.axes.y.pixels;
    const [width, height] = [right - x, bottom - y];
    return shape("svg", { x, y, width, height, viewBox: `${x} ${y} ${width} ${height}` });
  }

  grid(width, height) {
    const { x, y } = this.axes;
    const [left, right] = x.pixels;
    const [bottom, top] = y.pixels;
    const text = (content, attributes) => shape("text", attributes, content);
    const ticks = y.ticks(6);
    const texts = tickTexts(ticks, this.isLog);
    return [
      ...ticks.flatMap((tick, index) => [
        shape("line", { x1: left, x2: right, y1: y.at(tick), y2: y.at(tick), class: "grid" }),
        text(texts[index], { x: left - 6, y: y.at(tick) + 4, "text-anchor": "end" }),
      ]),
      ...x.ticks(width / 80).filter(Number.isInteger).map((tick) =>
        text(String(tick), { x: x.at(tick), y: bottom + 17, "text-anchor": "middle" })),
      shape("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" }),
      text("epoch", { x: (left + right) / 2, y: height - 5, "text-anchor": "middle" }),
      text(spoken(this.metric), { x: 13, y: (top + bottom) / 2, "text-anchor": "middle",
        transform: `rotate(-90 13 ${(top + bottom) / 2})` }),
    ];
  }

  line(each) {
    return shape("path", { d: this.path(each.points, "value"), class: `line ${look(each)}` });
  }

  // Points without a neighbour, which a line would not show.
  alone({ points, colour }) {
    const isDrawn = (index) => points[index] !== undefined && this.isDrawn(points[index].value);
    return points.filter((_, index) => isDrawn(index) && !isDrawn(index - 1) && !isDrawn(index + 1))
      .map((point) => this.dot(point, colour));
  }

  dot(point, colour) {
    const place = { cx: this.axes.x.at(point.epoch), cy: this.axes.y.at(point.value) };
    return shape("circle", { ...place, r: 3.5, class: `dot ${colour}` });
  }

  // A point that cannot be drawn breaks the line.
  path(points, name) {
    let isOpen = false;
    return points.map((point) => {
      const move = isOpen ? "L" : "M";
      isOpen = this.isDrawn(point[name]);
      return isOpen ? `${move}${this.axes.x.at(point.epoch).toFixed(1)},${this.axes.y.at(point[name]).toFixed(1)}` : "";
    }).join("");
  }

  band({ points, colour }) {
    const floor = this.axes.y.range[0];
    const known = points.filter((point) => this.isDrawn(point.high));
    const low = known.map((point) => ({ ...point, low: this.isDrawn(point.low) ? point.low : floor })).reverse();
    const path = this.path(known, "high") + this.path(low, "low").replace("M", "L");
    return shape("path", { d: path ? `${path}Z` : "", class: `band ${colour}` });
  }

  // Moves the cursor to an epoch, or takes it away.
  point(epoch) {
    this.epoch = epoch;
    this.cursor.replaceChildren();
    if (epoch === null) return;
    const x = this.axes.x.at(epoch);
    const [bottom, top] = this.axes.y.pixels;
    if (x < this.axes.x.pixels[0] - 1 || x > this.axes.x.pixels[1] + 1) return;
    this.cursor.append(shape("line", { x1: x, x2: x, y1: top, y2: bottom }));
    for (const { points, colour } of this.visible()) {
      const found = points.find((each) => each.epoch === epoch);
      if (found && this.isDrawn(found.value)) this.cursor.append(this.dot(found, colour));
    }
  }

  listen() {
    let start = null;
    const place = (event) => {
      const box = this.svg.getBoundingClientRect();
      const scale = this.svg.viewBox.baseVal.width / box.width;
      return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
    };
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0) start = place(event);
      if (start) this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      const here = place(event);
      if (start && isFar(start, here)) this.select(start, here);
      this.onEpoch(this.nearest(here.x));
    });
    this.svg.addEventListener("pointerup", (event) => {
      const here = place(event);
      if (start && isFar(start, here)) this.zoom(this.between(start, here));
      start = null;
    });
    this.svg.addEventListener("pointercancel", () => { start = null; this.draw(); });
    this.svg.addEventListener("dblclick", () => this.zoom(null));
  }

  nearest(x) {
    const epoch = this.axes.x.from(x);
    const epochs = this.visible().flatMap((each) => each.points.map((point) => point.epoch));
    return epochs.reduce((best, each) =>
      (best === null || Math.abs(each - epoch) < Math.abs(best - epoch) ? each : best), null);
  }

  select(start, here) {
    this.selection?.remove();
    const [left, right] = [start.x, here.x].sort((a, b) => a - b);
    const [top, bottom] = [start.y, here.y].sort((a, b) => a - b);
    this.selection = shape("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "selection" });
    this.svg.append(this.selection);
  }

  between(start, here) {
    const { x, y } = this.axes;
    const isFlat = Math.abs(start.y - here.y) < 10;
    return { x: ends([x.from(start.x), x.from(here.x)]), y: isFlat ? null : ends([y.from(start.y), y.from(here.y)]) };
  }
}
const isFar = (one, two) => Math.abs(one.x - two.x) > 6;
const look = ({ colour, dash }) => `${colour} dash-${dash}`;

function ends(values) {
  if (!values.length) return null;
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

// Above it a value would flatten all others: 30 times as far from the lowest as the worse quartile of the median line.
function outlierLimit(lines) {
  const known = lines.filter((values) => values.length);
  const low = ends(known.flat())?.[0];
  if (low === undefined) return Infinity;
  const at = (values, share) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * share)];
  const typical = at(known.map((values) => at(values, 0.75)), 0.5);
  return low + 30 * Math.max(typical - low, Math.abs(typical) / 10);
}

// Bands may be much wider than what the lines do: they get no more space above and below than the lines have.
function withBands([low, high], points, isLog) {
  const edges = points.filter((point) => point.low !== undefined).flatMap((point) => [point.low, point.high]);
  const [lowest, highest] = ends(edges.filter((value) => !isLog || value > 0)) ?? [low, high];
  const space = isLog ? high / low : high - low || Math.abs(high) / 10;
  const [least, most] = isLog ? [low / space, high * space] : [low - space, high + space];
  return [Math.max(least, Math.min(low, lowest)), Math.min(most, Math.max(high, highest))];
}

function padded([low, high], isLog, isExact) {
  if (isExact) return [low, high];
  if (isLog) return low === high ? [low / 2, high * 2] : [low / (high / low) ** 0.04, high * (high / low) ** 0.04];
  const space = low === high ? Math.abs(low) / 10 || 1 : (high - low) * 0.04;
  return [low - space, high + space];
}

// From values to pixels and back, and round values in between.
function axis(range, pixels, isLog) {
  const [low, high] = isLog ? range.map(Math.log) : range;
  const scale = (pixels[1] - pixels[0]) / (high - low);
  return {
    range, pixels,
    at: (value) => pixels[0] + ((isLog ? Math.log(value) : value) - low) * scale,
    from: (pixel) => { const value = low + (pixel - pixels[0]) / scale; return isLog ? Math.exp(value) : value; },
    ticks: (most) => (isLog && range[1] / range[0] > 20 ? powers(range) : steps(range, most)),
  };
}

// Of equal steps, all with the same decimals.
function tickTexts(ticks, isLog) {
  if (isLog || ticks.some((tick) => Math.abs(tick) >= 1e5 || String(tick).includes("e"))) {
    return ticks.map((tick) => (Math.abs(tick) >= 1e5 ? tick.toExponential().replace("+", "") : significant(tick)));
  }
  const decimals = Math.max(...ticks.map((tick) => (String(tick).split(".")[1] ?? "").length), 0);
  return ticks.map((tick) => tick.toFixed(decimals));
}

function steps([low, high], most) {
  const rough = (high - low) / Math.max(most, 2);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(10)));
}

function powers([low, high]) {
  const exponents = Array.from({ length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, index) => Math.floor(Math.log10(low)) + index);
  const mantissas = exponents.length > 6 ? [1] : exponents.length > 3 ? [1, 3] : [1, 2, 5];
  const every = Math.ceil(exponents.length / 9);
  return exponents.filter((_, index) => index % every === 0).flatMap((exponent) => mantissas.map((each) => Number(`${each}e${exponent}`)))
    .filter((tick) => tick >= low && tick <= high);
}
