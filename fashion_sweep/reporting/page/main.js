// Replaces the plain tables, which are for browsers without scripts, by the leaderboard, coordinates and curves.

const data = readData(JSON.parse(document.getElementById("data").textContent));
const rows = data.settings || data.runs;
const noun = data.settings ? "setting" : "run";
const first = rows.filter((row) => data.curves.has(row)).slice(0, FIRST_DRAWN);
const axes = axesOf(data, rows);
const colours = colouringOf(axes, noun, first.length ? null : axes[axes.length - 1]);
const curves = curvesOf(data.curves, first, { metric: data.measure.metric, colours });
const board = leaderboardOf(data, curves);
const coordinates = document.getElementById("coordinates");
coordinates?.append(...coordinatesOf(axes, rows, { colours, noun, onKeep: board.keep }));
document.getElementById("curves")?.append(...curves.parts);
document.getElementById("board").append(...board.parts);
for (const plain of document.querySelectorAll(".plain")) plain.remove();
for (const live of document.querySelectorAll(".live")) live.hidden = false;
