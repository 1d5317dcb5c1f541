// Axes of the swept parameters and of the measure: the place of a row's value on each, from 0 to 1 upwards, and below 0
// what a scale does not have: missing values, and zeros on logarithmic axes.

const DECADE = 10;
const STEPS = 7; // colours of the scale for numbers
const FEW = 8; // values that have a tick each
const LISTED = 20; // values that are offered one by one
const LOOKS = 32; // of categories: colours times dashes
const OFF = 0.11; // between the places below 0
const NEAR = 1e-6;

// One axis for each swept parameter, in the order of tables, and the measure's.
function axesOf(data, rows) {
  const { column, metric } = data.measure;
  const made = data.factors.map(({ name, label, levels }) => {
    const known = { name, label, valueOf: (row) => row.value(name), none: "none" };
    return levels ? categoryAxis(known, levels) : numberAxis(known, rows);
  });
  const label = data.columns.find((each) => each.name === column).label;
  const valueOf = (row) => (row.isRun && row.state !== "completed" ? null : row.value(column));
  return [...made, numberAxis({ name: column, label, valueOf, none: "no result", isResult: true,
    isHighBest: metric.endsWith("accuracy") }, rows)];
}

// levels: in their order, upwards.
function categoryAxis(known, levels) {
  const places = new Map(levels.map((level, place) => [level, place]));
  const at = (place) => (levels.length > 1 ? place / (levels.length - 1) : 0.5);
  const textOf = (level) => (level === null ? known.none : significant(level));
  const ticks = levels.map((level, place) => ({ at: at(place), text: textOf(level) }));
  const tones = levels.slice(0, LOOKS).map((level, place) => ({ ...ownLook(place), text: textOf(level) }));
  if (levels.length > LOOKS) tones.push({ colour: "colour-none", dash: 0, text: "all others" });
  return {
    ...known, ticks, tones,
    at: (row) => at(places.get(known.valueOf(row)) ?? 0),
    toneOf: (row) => tones[Math.min(places.get(known.valueOf(row)) ?? 0, LOOKS)],
    choices: ticks.map((tick) => ({ text: tick.text, range: [tick.at - NEAR, tick.at + NEAR] })),
    textOf: ([low, high]) =>
      ticks.filter(({ at }) => at >= low && at <= high).map(({ text }) => text).join(", ") || "nothing",
  };
}

function numberAxis(known, rows) {
  const every = rows.map(known.valueOf);
  const numbers = every.filter((value) => value !== null);
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  const least = distinct.find((value) => value > 0);
  const last = distinct[distinct.length - 1];
  const isLog = !known.isResult && distinct[0] >= 0 && last >= DECADE * least;
  const zero = isLog && distinct[0] === 0 ? [0] : [];
  const off = [...zero, ...(numbers.length < every.length ? [null] : [])];
  const most = known.isResult && !known.isHighBest ? outlierLimit(numbers.map((value) => [value])) : Infinity;
  const range = ends(distinct.filter((value) => value <= most && !off.includes(value))) ?? [0, 1];
  const scale = axis(range[0] === range[1] ? padded(range, isLog, false) : range, [0, 1], isLog);
  const place = (value) => (value === null ? -OFF * (zero.length + 1) : zero.includes(value) ? -OFF
    : Math.min(Math.max(scale.at(value), 0), 1));
  const below = off.map((value) => ({ at: place(value), text: value === null ? known.none : "0" }));
  const made = { ...known, isLog, isCut: last > range[1], top: range[1], at: (row) => place(known.valueOf(row)) };
  const shown = distinct.filter((value) => !off.includes(value));
  return { ...made, ...numberTicks(made, scale, shown, place, below), ...scaleTones(known, scale, distinct, off) };
}

// The ticks, and the values or ranges to choose from.
function numberTicks(known, scale, distinct, place, below) {
  const isFew = distinct.length <= FEW && !known.isResult;
  const values = isFew ? distinct : scale.ticks(6);
  const texts = isFew ? values.map((value) => significant(value)) : tickTexts(values, known.isLog);
  const ticks = [...values.map((value, index) => ({ at: place(value), text: texts[index] })), ...below];
  const number = (at) => significant(scale.from(Math.min(Math.max(at, 0), 1)), 3);
  const textOf = ([low, high]) => [
    ...below.filter(({ at }) => at >= low && at <= high).map(({ text }) => text),
    ...(high >= 0 ? [`${number(low)} to ${number(high)}${known.isCut && high >= 1 ? " and above" : ""}`] : []),
  ].join(", ") || "nothing";
  const near = (at, text) => ({ text, range: [at - NEAR, at + NEAR] });
  const each = () => distinct.map((value) => near(place(value), significant(value)));
  const quarter = (part) => ({ text: textOf([part / 4, (part + 1) / 4]), range: [part / 4, (part + 1) / 4] });
  const choices = known.isResult ? bestShares(known, distinct, place)
    : distinct.length <= LISTED ? each() : [0, 1, 2, 3].map(quarter);
  return { ticks, textOf, choices: [...choices, ...below.map(({ at, text }) => near(at, text))] };
}

// The best results to choose from, by number of distinct ones.
function bestShares({ isHighBest }, distinct, place) {
  const bestFirst = isHighBest ? [...distinct].reverse() : distinct;
  const shares = [["best tenth", 0.1], ["best quarter", 0.25], ["best half", 0.5]];
  return shares.filter(() => distinct.length > 1).map(([text, share]) => {
    const worst = place(bestFirst[Math.max(Math.round(distinct.length * share), 1) - 1]);
    return { text, range: isHighBest ? [worst - NEAR, 1] : [0, worst + NEAR] };
  });
}

// Few numbers have a colour each, more have one for each of STEPS parts of the axis.
function scaleTones(known, scale, distinct, off) {
  const tone = (step, text) => ({ colour: `scale-${step}`, dash: 0, text });
  const none = { colour: "colour-none", dash: 0, text: known.none };
  const edge = (part) => significant(scale.from(part / STEPS), 3);
  const isEach = distinct.length <= STEPS;
  const step = (index) => Math.round((index * (STEPS - 1)) / Math.max(distinct.length - 1, 1));
  const low = off.includes(0) ? "0" : edge(0);
  const isCut = distinct[distinct.length - 1] > scale.range[1];
  const high = (part) => (part === STEPS - 1 && isCut ? "and more" : `to ${edge(part + 1)}`);
  const numbers = isEach ? distinct.map((value, index) => tone(step(index), significant(value)))
    : Array.from({ length: STEPS }, (_, part) => tone(part, `${part ? edge(part) : low} ${high(part)}`));
  const partOf = (value) =>
    (off.includes(value) ? 0 : Math.min(Math.max(Math.floor(scale.at(value) * STEPS), 0), STEPS - 1));
  const toneOf = (row) => {
    const value = known.valueOf(row);
    return value === null ? none : numbers[isEach ? distinct.indexOf(value) : partOf(value)];
  };
  return { toneOf, tones: off.includes(null) ? [...numbers, none] : numbers };
}
