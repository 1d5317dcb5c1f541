"""docs/CONFORMANCE.md: what was seen of everything that Keras exports."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

Result = Mapping[str, Any]
"""What ``python -m conformance`` writes of one engine."""

HOWS = ("packed", "alone", "fit", "refused", "WRONG")
MEANINGS = {
    "packed": "equal to a plain Keras loop, three seeds in one program, and each as it is alone",
    "alone": "equal to a plain Keras loop, one run at a time, which the log says before training",
    "fit": "trained by `model.fit`, which the log says before training",
    "refused": "not trained, with a reason, before training",
    "WRONG": "none of these",
}


def lines(results: Sequence[Result], left_out: Mapping[str, str], aliases: Mapping[str, Sequence[str]]) -> list[str]:
    """The page. left_out: names that are not tried, and why; aliases: entry -> its other names."""
    return [
        "# Conformance",
        "",
        "Everything that Keras exports, tried with each engine: with its defaults and with other values of its "
        "arguments. Written by `make conformance`.",
        "",
        f"{_today()}, Python {platform.python_version()}, {_versions()}, {platform.system()}.",
        "",
        *(f"- **{how}**: {MEANINGS[how]}" for how in HOWS),
        "",
        "Equal means: after two epochs, losses and weights differ by at most 0.001 of the largest number of an array "
        "(0.05 in 16 bits), or, where Keras compiled and Keras not compiled are further apart than that, by no more "
        "than they are, which the entry says. Random numbers are those of the run's seed.",
        "",
        *_counts(results),
        *(line for module in _modules(results) for line in _section(module, results, aliases)),
        *_left_out(left_out),
        *_not_taken(results),
    ]


def _today() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%d}"


def _versions() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("keras", "tensorflow", "jax") if _is_here(name))


def _is_here(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _counts(results: Sequence[Result]) -> Iterator[str]:
    yield f"| engine | tried | {' | '.join(HOWS)} | largest difference in 32 bits |"
    yield "|---|" + "---:|" * (len(HOWS) + 2)
    for result in results:
        counts = Counter(one["how"] for one in result["outcomes"])
        largest = max((one["difference"] for one in result["outcomes"] if not one["is_half"]), default=0.0)
        cells = [str(counts[how]) for how in HOWS]
        yield f"| {result['engine']} | {sum(counts.values())} | {' | '.join(cells)} | {largest:.0e} |"


def _modules(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(_entry(one).rpartition(".")[0] for result in results for one in result["outcomes"]))


def _entry(one: Mapping[str, Any]) -> str:
    return str(one["label"]).partition("(")[0]


def _section(module: str, results: Sequence[Result], aliases: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from ("", f"## keras.{module}", "")
    yield f"| name | {' | '.join(result['engine'] for result in results)} |"
    yield "|---|" + "---|" * len(results)
    found = {_entry(one) for result in results for one in result["outcomes"]}
    for entry in sorted(each for each in found if each.rpartition(".")[0] == module):
        names = [entry, *(f"{module}.{other}" for other in aliases.get(entry, ()))]
        cells = [_cell([one for one in result["outcomes"] if _entry(one) == entry]) for result in results]
        yield f"| {', '.join(name.rpartition('.')[2] for name in names)} | {' | '.join(cells)} |"


def _cell(every: Sequence[Mapping[str, Any]]) -> str:
    """What became of an entry with each set of arguments."""
    parts = []
    for how in HOWS:
        some = [one for one in every if one["how"] == how]
        if some and len(some) == len(every):
            return f"{how}{_why(some)}"
        if some:
            parts.append(f"{how}: {'; '.join(_arguments(one) for one in some)}{_why(some)}")
    return "<br>".join(parts)


def _arguments(one: Mapping[str, Any]) -> str:
    given = str(one["label"]).partition("(")[2].replace(")", "").strip()
    return f"`{given}`".replace("|", "/") if given else "the defaults"


def _why(some: Sequence[Mapping[str, Any]]) -> str:
    """The reasons that are no matter of packing."""
    told = (one for one in some if one["how"] in ("fit", "refused", "WRONG") or "compiles" in one["why"])
    whys = dict.fromkeys(str(one["why"]).replace("|", "/") for one in told)
    return f" ({'; '.join(why[:150] for why in whys)})" if any(whys) else ""


def _left_out(names: Mapping[str, str]) -> Iterator[str]:
    yield from ("", "## Not tried", "", "| name | why |", "|---|---|")
    yield from (f"| {name} | {why} |" for name, why in sorted(names.items()))


def _not_taken(results: Sequence[Result]) -> Iterator[str]:
    refused = {name: why for result in results for name, why in result["refused"].items()}
    yield from (
        "",
        "## Arguments that Keras itself does not take another value of here",
        "",
        "| argument | why |",
        "|---|---|",
    )
    yield from (f"| {name} | {_plain(why)} |" for name, why in sorted(refused.items()))


def _plain(text: str) -> str:
    kept = "".join(letter for letter in text if letter.isprintable()).replace("[1m", "").replace("[0m", "")
    return kept.replace("|", "/")[:160]
