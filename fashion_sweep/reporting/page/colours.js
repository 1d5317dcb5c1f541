// What colours mean, in curves and parallel coordinates alike: a row of its own, or its value of a parameter.

const ownLook = (slot) => ({ colour: `colour-${slot % COLOURS}`, dash: Math.floor(slot / COLOURS) % 4 });
const OTHER = { colour: "colour-none", dash: 0 }; // of rows without a curve, where each row has its own

// by: the axis whose values have colours, null for each row's own. drawn: the rows that have a colour of their own.
function colouringOf(axes, noun, by) {
  const listeners = [];
  const selects = [];
  const colours = {
    by, drawn: [],
    listen: (listener) => listeners.push(listener),
    tell: () => listeners.forEach((listener) => listener()),
    // Of each drawn row: dashes tell apart those of one colour.
    looks(drawn) {
      if (!colours.by) return drawn.map(({ slot }) => ownLook(slot));
      const isPlain = colours.by.tones.every((tone) => !tone.dash);
      const counts = new Map();
      return drawn.map(({ row }) => {
        const tone = colours.by.toneOf(row);
        const count = counts.get(tone.colour) ?? 0;
        counts.set(tone.colour, count + 1);
        return isPlain ? { ...tone, dash: count % 4 } : tone;
      });
    },
    // Of every row.
    look(row) {
      if (colours.by) return colours.by.toneOf(row);
      const found = colours.drawn.find((each) => each.row === row);
      return found ? ownLook(found.slot) : OTHER;
    },
    select() {
      const names = [`each ${noun}`, ...axes.map((each) => each.label)];
      const select = element("select", { onchange: () => {
        colours.by = axes[select.selectedIndex - 1] ?? null;
        for (const each of selects) each.selectedIndex = select.selectedIndex;
        colours.tell();
      } }, names.map((name) => element("option", {}, name)));
      select.selectedIndex = axes.indexOf(colours.by) + 1;
      selects.push(select);
      return element("label", {}, "Colour by ", select);
    },
  };
  return colours;
}

const swatch = (each) => shape("svg", { viewBox: "0 0 28 10", class: "swatch", "aria-hidden": "true" },
  shape("path", { d: "M0,5L28,5", class: `line ${look(each)}` }));

// The colours and what they mean.
function tonesOf(title, tones) {
  return [element("p", {}, title), element("ul", {}, tones.map((tone) => element("li", {}, swatch(tone), tone.text)))];
}
