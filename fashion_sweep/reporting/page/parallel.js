// Parallel coordinates: a line for each row across an axis for each swept parameter and one for the measure. Ranges of
// axes keep some rows, here and in the table. What dragging along an axis does, the boxes above do as well.

const GAP = 92; // the least width of an axis with its texts
const HEIGHT = 340;
const SPACE = { left: 14, right: 134, top: 34, bottom: 16 };
const MANY = 300; // rows, of more the lines are thinner
const LETTER = 6.6; // the width of one, about
const LONGEST = 18; // letters of a value, which lines are behind
const REACH = 12; // how far from a line the pointer may be

// onKeep: gets which rows are kept, as a function of a row.
function coordinatesOf(axes, rows, { colours, noun, onKeep }) {
  const ranges = new Map();
  const result = axes[axes.length - 1];
  const svg = shape("svg", { role: "img", class: "coordinates" });
  const holder = element("div", { class: "scroll", role: "region", tabindex: 0, "aria-labelledby": "parallel" }, svg);
  const note = element("p", { class: "soft" });
  const tones = element("div", { class: "tones" });
  const lines = shape("g", {});
  const pointed = shape("g", { class: "pointed" });
  const narrowest = SPACE.left + (axes.length - 1) * GAP + SPACE.right;
  const width = () => Math.max(holder.clientWidth - 2, narrowest);
  const step = () => (width() - SPACE.left - SPACE.right) / (axes.length - 1);
  const xOf = (index) => SPACE.left + index * step();
  const low = Math.min(0, ...axes.flatMap((each) => each.ticks.map((tick) => tick.at)));
  const yOf = (at) => HEIGHT - SPACE.bottom - ((at - low) / (1 - low)) * (HEIGHT - SPACE.top - SPACE.bottom);
  const atOf = (y) => low + ((HEIGHT - SPACE.bottom - y) / (HEIGHT - SPACE.top - SPACE.bottom)) * (1 - low);
  const isKept = (row) => [...ranges].every(([each, [from, to]]) => each.at(row) >= from && each.at(row) <= to);
  const places = new Map(rows.map((row) => [row, axes.map((each) => each.at(row))]));
  const pathOf = (row) => places.get(row)
    .map((at, index) => `${index ? "L" : "M"}${xOf(index).toFixed(1)},${yOf(at).toFixed(1)}`).join("");

  // One path for all rows of a look, so that thousands are drawn at once: first those that are not kept, then those
  // without a colour of their own, and last the look of the best row, which is above all others.
  function drawLines() {
    const away = [];
    const paths = new Map([[look(OTHER), []]]);
    for (const row of rows) {
      const name = look(colours.look(row));
      if (!paths.has(name)) paths.set(name, []);
      (isKept(row) ? paths.get(name) : away).push(pathOf(row));
    }
    const [others, ...own] = [...paths];
    const drawn = [["away", away], others, ...own.reverse()].filter(([, each]) => each.length);
    lines.replaceChildren(...drawn.map(([name, each]) => shape("path", { d: each.join(""), class: `line ${name}` })));
    svg.setAttribute("aria-label", labelOf());
  }

  function labelOf() {
    const by = [...ranges.keys()].map((each) => each.label).join(", ");
    const kept = by && `, ${rows.filter(isKept).length} of them kept by ${by}`;
    return `Lines of ${plural(rows.length, noun)} across ${axes.map((each) => each.label).join(", ")}${kept}`;
  }

  function draw() {
    svg.setAttribute("viewBox", `0 0 ${width()} ${HEIGHT}`);
    svg.style.minWidth = `${narrowest}px`;
    svg.style.setProperty("--width", `${Math.min(Math.max(MANY / rows.length, 0.2), 1) * 2}px`);
    drawLines();
    leave();
    svg.replaceChildren(lines, pointed, ...axes.map(axisOf));
    tones.replaceChildren(...legendOf());
  }

  function leave() {
    pointed.replaceChildren();
    const by = [...ranges.keys()].map((each) => `${each.label} ${rangeText(each)}`).join("; ");
    const kept = by && `${rows.filter(isKept).length} of ${plural(rows.length, noun)} kept: ${by}. `;
    const cut = result.isCut ? `Values above ${significant(result.top, 3)} are drawn at the end of their axis.` : "";
    note.textContent = kept + cut;
  }

  function legendOf() {
    if (colours.by) return tonesOf(`Coloured by ${colours.by.label}:`, colours.by.tones);
    const drawn = colours.drawn.map(({ row, slot }) => ({ ...ownLook(slot), text: row.label }));
    return tonesOf(`Coloured by ${noun}, those whose curves are drawn:`,
      drawn.length < rows.length ? [...drawn, { ...OTHER, text: "all others" }] : drawn);
  }

  function axisOf(each, index) {
    const x = xOf(index);
    const room = Math.floor(((index < axes.length - 1 ? step() : SPACE.right) - 14) / LETTER);
    const every = Math.ceil(each.ticks.length / 20);
    const texts = each.ticks.filter((_, place) => place % every === 0).flatMap((tick) => [
      shape("line", { x1: x - 3, x2: x + 3, y1: yOf(tick.at), y2: yOf(tick.at), class: "axis" }),
      fitted(tick.text, Math.min(room, LONGEST), { x: x + 7, y: yOf(tick.at) + 4 }),
    ]);
    const line = shape("line", { x1: x, x2: x, y1: yOf(1), y2: yOf(low), class: "axis" });
    const chosen = ranges.has(each) ? [shape("rect", { ...boxOf(x, ranges.get(each), 3), class: "selection" })] : [];
    const name = fitted(each.label, room - 1, { x: x - 8, y: 14, class: "name" });
    return shape("g", {}, line, ...chosen, ...texts, name, handle(each, x));
  }

  // Around a range of an axis, and so many pixels more.
  function boxOf(x, range, more) {
    const [bottom, top] = range.map((at) => yOf(Math.min(Math.max(at, low), 1)));
    return { x: x - 6, y: top - more, width: 12, height: bottom - top + 2 * more };
  }

  // Where dragging chooses a range; a click takes it away.
  function handle(each, x) {
    const [y, height] = [yOf(1) - 12, yOf(low) - yOf(1) + 24];
    const area = shape("rect", { x: x - 13, y, width: 26, height, class: "handle" });
    let start = null;
    const here = (event) => {
      const box = svg.getBoundingClientRect();
      return atOf(((event.clientY - box.top) * HEIGHT) / box.height);
    };
    const between = (event) => [start, here(event)].sort((a, b) => a - b);
    area.addEventListener("pointerdown", (event) => {
      if (event.button === 0) start = here(event);
      if (start !== null) area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointerup", (event) => {
      const [from, to] = start === null ? [0, 0] : between(event);
      if (start !== null) keep(each, to - from > 0.01 ? [from, to] : null);
      start = null;
      preview.remove();
    });
    area.addEventListener("pointermove", (event) => {
      if (start === null) return;
      for (const [name, value] of Object.entries(boxOf(x, between(event), 0))) preview.setAttribute(name, value);
      area.before(preview);
    });
    area.addEventListener("pointercancel", () => { start = null; preview.remove(); });
    return area;
  }
  const preview = shape("rect", { class: "selection" });

  // range: null to keep all rows.
  function keep(each, range) {
    if (range) ranges.set(each, range);
    else ranges.delete(each);
    tell();
  }

  function tell() {
    for (const [index, each] of axes.entries()) mirror(each, choosers[index]);
    onKeep(ranges.size ? isKept : null);
    draw();
  }

  const choiceOf = (each) => each.choices.findIndex((choice) => String(choice.range) === String(ranges.get(each)));
  const rangeText = (each) => each.choices[choiceOf(each)]?.text ?? each.textOf(ranges.get(each));

  // Shows a range in an axis' box, also one that is none of its choices.
  function mirror(each, select) {
    const range = ranges.get(each);
    const known = choiceOf(each);
    select.querySelector(".dragged")?.remove();
    if (range && known < 0) select.append(element("option", { class: "dragged" }, rangeText(each)));
    select.selectedIndex = !range ? 0 : known < 0 ? select.options.length - 1 : known + 1;
  }

  const choosers = axes.map((each) => element("select", { onchange: (event) => {
    const choice = each.choices[event.target.selectedIndex - 1];
    if (choice || event.target.selectedIndex === 0) keep(each, choice?.range ?? null);
  } }, element("option", {}, "all"), each.choices.map((choice) => element("option", {}, choice.text))));

  function point(event) {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) * width()) / box.width;
    const y = ((event.clientY - box.top) * HEIGHT) / box.height;
    const index = Math.min(Math.max(Math.floor((x - SPACE.left) / step()), 0), axes.length - 2);
    const share = Math.min(Math.max((x - xOf(index)) / step(), 0), 1);
    let found = null;
    let least = REACH;
    for (const row of rows.filter(isKept)) {
      const [left, right] = places.get(row).slice(index, index + 2);
      const away = Math.abs(yOf(left * (1 - share) + right * share) - y);
      if (away < least) [found, least] = [row, away];
    }
    leave();
    if (!found) return;
    pointed.append(shape("path", { d: pathOf(found), class: `line ${look(colours.look(found))}` }));
    note.textContent = `${found.label}: ${result.label} ${significant(result.valueOf(found)) || "without a value"}`;
  }
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerleave", leave);

  const controls = element("div", { class: "controls" },
    axes.map((each, index) => element("label", {}, `Keep ${each.label} `, choosers[index])),
    element("button", { type: "button", onclick: () => { ranges.clear(); tell(); } }, `All ${noun}s`),
    colours.select());
  new ResizeObserver(draw).observe(holder);
  colours.listen(draw);
  draw();
  return [controls, holder, note, tones];
}

// A text that is shortened in its middle where there is no room for it, with all of it to point at.
function fitted(text, room, attributes) {
  if (text.length <= room) return shape("text", attributes, text);
  const half = Math.max(Math.floor((room - 1) / 2), 1);
  return shape("text", attributes, `${text.slice(0, half)}…${text.slice(-half)}`, shape("title", {}, text));
}
