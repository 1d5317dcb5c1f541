// Elements and numbers for people. Texts become text nodes only, so nothing in a config can act as markup.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value === "boolean") made[name] = value;
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

const SVG = "http://www.w3.org/2000/svg"; // the name of the format: nothing is loaded from there

function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A number with the significant digits that tell neighbours apart, without trailing zeros.
function significant(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : value > 0 ? "infinite" : "-infinite";
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return String(value);
  const size = Math.abs(value);
  if (size >= 10 ** digits && size < 1e9) return String(Math.round(value));
  return String(Number(value.toPrecision(digits)));
}

// A value of a column whose numbers have so many decimals, so that they align; others have significant digits.
function cellText(value, decimals) {
  if (decimals === null || typeof value !== "number" || Math.abs(value) >= 1e5) return significant(value);
  return value.toFixed(decimals);
}

// A value of a metric, as in tables.
const METRICS = ["loss", "accuracy", "val_loss", "val_accuracy"];
const DECIMALS = 4;
const metricText = (value, metric) => cellText(value, METRICS.includes(metric) ? DECIMALS : null);

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const spoken = (name) => name.split("_").join(" ");
