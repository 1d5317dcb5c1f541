// The page's data: columns and curves unpacked from the JSON that page_data.py writes.

// Columns of settings alone. No key of a config begins with a blank, so none has such a name.
const INTERVAL = " interval of ";
const RELATION = " against the best";

const unpacked = (column) =>
  Array.isArray(column) ? column : column.places.map((place) => column.levels[place]);

function readData(raw) {
  const cells = new Map(Object.entries(raw.cells).map(([name, column]) => [name, unpacked(column)]));
  const lists = {};
  for (const name of ["labels", "reasons", "settingOf", "states", "isCounted", "folders", "files"]) lists[name] = unpacked(raw[name]);
  const runs = lists.labels.map((label, place) => ({
    isRun: true, place, label, key: `run ${place}`, name: cells.get("run")[place], state: lists.states[place],
    reason: lists.reasons[place], folder: lists.folders[place], files: lists.files[place], log: raw.logs[place],
    mark: cells.get("run")[place] === raw.best && lists.labels.length > 1 ? raw.measure.bestRun : "", isCounted: Boolean(lists.isCounted[place]),
    value: (name) => cells.get(name)?.[place] ?? null,
  }));
  const members = new Map();
  for (const run of runs) {
    const place = lists.settingOf[run.place];
    members.set(place, [...(members.get(place) || []), run]);
  }
  const settings = raw.settings && raw.settings.label.map((label, place) =>
    readSetting(raw.settings, raw.measure, label, place, members.get(place)));
  return { measure: raw.measure, columns: raw.columns, factors: raw.factors, runs, settings, config: readConfig(raw.config),
    curves: readCurves(raw.histories) };
}

function readSetting(raw, measure, label, place, runs) {
  const own = new Map(Object.entries(raw.factors).map(([name, values]) => [name, values[place]]));
  own.set("seed", raw.counts[place].seeds ?? 0).set(RELATION, raw.relation[place] || null);
  const statistics = (name) => ["mean", "sd", "low", "high"].map((what) => raw[`${name}_${what}`][place]);
  return {
    isRun: false, place, label, runs, key: `setting ${place}`, counts: raw.counts[place], statistics,
    mark: markOf(raw, measure, place),
    value(name) {
      if (own.has(name)) return own.get(name);
      if (measure.columns.includes(name)) return statistics(name)[0];
      if (name.startsWith(INTERVAL)) return statistics(name.slice(INTERVAL.length))[2];
      if (name === "sweep") return [...new Set(runs.map((run) => run.value(name)))].join(", ");
      return meanOf(runs.filter((run) => run.isCounted).map((run) => run.value(name)));
    },
  };
}

// The settings that cannot be told from the best one are marked like it.
function markOf(raw, measure, place) {
  const means = raw[`${measure.column}_mean`].filter((mean) => mean !== null);
  if (!raw.isMarked[place] || means.length < 2) return "";
  if (raw.isMarked.filter(Boolean).length === 1) return "best";
  return place === 0 ? measure.bestSetting : "not told apart from the best";
}

function meanOf(values) {
  const numbers = values.filter((value) => typeof value === "number");
  return numbers.length ? numbers.reduce((sum, value) => sum + value, 0) / numbers.length : null;
}

function readConfig(raw) {
  const differing = Object.entries(raw.differing).map(([key, column]) => [key, unpacked(column)]);
  const isKnown = unpacked(raw.isKnown);
  return {
    same: Object.entries(raw.same),
    isKnown: (run) => Boolean(isKnown[run.place]),
    of: (run) => differing.map(([key, values]) => [key, values[run.place]]),
  };
}

// Curves of runs as points {epoch, value}, and of settings with the mean's interval: {epoch, value, low, high, count}.
function readCurves(raw) {
  const bytes = Uint8Array.from(atob(raw.values), (char) => char.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const counts = raw.epochs.map((last) => (last ? Math.ceil(last / raw.step) + ((last - 1) % raw.step ? 1 : 0) : 0));
  const starts = [];
  const total = counts.reduce((sum, count) => (starts.push(sum), sum + count), 0);
  const digits = (value) => Number(value.toPrecision(7)); // as many as it was written with
  const at = (metric, place, index) =>
    digits(view.getFloat32(4 * (total * raw.metrics.indexOf(metric) + starts[place] + index), true));
  const epochAt = (place, index) => Math.min(1 + index * raw.step, raw.epochs[place]);
  const indices = (place) => Array.from({ length: counts[place] }, (_, index) => index);
  const ofRun = (run, metric) =>
    indices(run.place).map((index) => ({ epoch: epochAt(run.place, index), value: at(metric, run.place, index) }));
  const isWhole = (place, index) => METRICS.every((metric) => Number.isFinite(at(metric, place, index)));
  const ofSetting = (setting, metric) => {
    const values = new Map();
    for (const { place } of setting.runs.filter((run) => raw.isAveraged[run.place])) {
      for (const index of indices(place).filter((each) => isWhole(place, each))) {
        const epoch = epochAt(place, index);
        if (!values.has(epoch)) values.set(epoch, []);
        values.get(epoch).push(at(metric, place, index));
      }
    }
    return [...values].sort((a, b) => a[0] - b[0])
      .map(([epoch, each]) => ({ epoch, ...interval(each, raw.quantiles, metric) }));
  };
  return {
    metrics: raw.metrics, step: raw.step, isEmpty: total === 0,
    has: (row) => (row.isRun ? counts[row.place] > 0 : row.runs.some((run) => counts[run.place])),
    of: (row, metric) => (row.isRun ? ofRun : ofSetting)(row, metric),
  };
}

// The mean of some values and the ends of its 95% interval by Student's t, which end where the metric does.
function interval(values, quantiles, metric) {
  const count = values.length;
  const value = meanOf(values);
  if (count < 2) return { value, count };
  const sd = Math.sqrt(values.reduce((sum, each) => sum + (each - value) ** 2, 0) / (count - 1));
  const half = (quantiles[count - 2] * sd) / Math.sqrt(count);
  const most = metric.endsWith("accuracy") ? 1 : Infinity;
  return { value, count, low: Math.max(value - half, 0), high: Math.min(value + half, most) };
}
