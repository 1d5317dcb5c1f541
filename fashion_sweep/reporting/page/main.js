// Replaces the plain tables, which are for browsers without scripts, by the leaderboard and the curves.

const data = readData(JSON.parse(document.getElementById("data").textContent));
const rows = data.settings || data.runs;
const first = rows.filter((row) => data.curves.has(row)).slice(0, FIRST_DRAWN);
const curves = curvesOf(data.curves, first, { metric: data.measure.metric });
document.getElementById("curves")?.append(...curves.parts);
document.getElementById("board").append(...leaderboardOf(data, curves));
for (const plain of document.querySelectorAll(".plain")) plain.remove();
for (const live of document.querySelectorAll(".live")) live.hidden = false;
