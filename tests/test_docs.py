"""The pages that people read: commands run, links lead somewhere, and tables name what is there.

A block of commands after ``<!-- test -->`` is run on tiny data, see ``ran``; CONTRIBUTING.md says how to mark one.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import sweeping
from omegaconf import DictConfig, OmegaConf

ROOT = Path(__file__).parents[1]
WRITTEN = "CONFORMANCE.md"
"""Written by ``make conformance``."""
DOCS = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != WRITTEN)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
CONF = ROOT / "conf"
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
TINY = (*sweeping.TINY, "epochs=1")
MOST_WORDS = 1000

FENCE = re.compile(r"^(?:<!-- test(?: exit=(\d+))? (-->)\n)?```(\w+)\n(.*?)^```", re.M | re.S)
SHOWN_FILE = re.compile(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```", re.M | re.S)
FENCED = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")

Compose = Callable[..., DictConfig]
Rows = list[list[str]]


@dataclass(frozen=True)
class Block:
    """Commands or Python of a page. printed: lines that the last command, or the Python, has to print."""

    page: Path
    language: str
    commands: list[str]
    exit_code: int
    printed: list[str] = field(default_factory=list)


def blocks(page: Path) -> list[Block]:
    """The blocks that are marked, each with the ``text`` block that comes next, if there is one."""
    found: list[Block] = []
    is_tested = False
    for code, mark, language, text in FENCE.findall(page.read_text()):
        if language == "text" and is_tested:
            found[-1] = replace(found[-1], printed=text.splitlines())
        is_tested = bool(mark)
        if is_tested:
            found.append(Block(page, language, text.splitlines(), int(code or 0)))
    return found


def shell_blocks() -> list[Block]:
    return [block for page in DOCS for block in blocks(page) if block.language != "python"]


def python_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python"]


def name_of(block: Block) -> str:
    return f"{block.page.name}-{blocks(block.page).index(block)}"


def ran(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of a page, run by a shell in a folder; where it trains on no data of its own, on made-up images."""
    if " -m fashion_sweep" in line and " --cfg " not in line:
        command, _, _ = line.partition("  #")
        more = TINY[-1:] if " data=" in command else TINY
        line = f"{command} {shlex.join(more)}"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = sweeping.environment(PYTHONPATH=str(ROOT), PATH=path, COLUMNS="200")
    words = ["bash", "-c", line]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the commands of pages start from, but for sweeps."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "scripts").symlink_to(ROOT / "scripts")
    np.savez(folder / "mine.npz", images=np.zeros((50, 8, 8), "uint8"), labels=np.arange(50) % 5)
    for page in DOCS:
        for name, text in SHOWN_FILE.findall(page.read_text()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def sweep(here: Path) -> Path:
    """The sweep that pages call SWEEP: one run."""
    line = "python -m fashion_sweep -m optimizer=adam seed=0 hydra/launcher=basic hydra.sweep.dir=outputs/sweeps/SWEEP"
    done = ran(line, here)
    assert done.returncode == 0, done.stderr
    return here / "outputs/sweeps/SWEEP"


@pytest.mark.slow
@pytest.mark.parametrize("block", shell_blocks(), ids=name_of)
def test_the_commands_of_a_page_do_what_it_says(block: Block, here: Path, request: pytest.FixtureRequest) -> None:
    if any("SWEEP" in line for line in block.commands):
        request.getfixturevalue("sweep")
    output = ""
    for line in block.commands:
        done = ran(line, here)
        output = done.stdout + done.stderr
        assert done.returncode == block.exit_code, f"{line}\n{output}"
        assert block.exit_code or "Traceback" not in output
    assert [line for line in block.printed if line not in output.splitlines()] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in DOCS if python_blocks(page)], ids=lambda page: page.name)
def test_the_python_of_a_page_does_what_it_says(page: Path, here: Path) -> None:
    """All of it, as the cells of one notebook."""
    cells = python_blocks(page)
    (here / "cells.py").write_text("\n".join(line for cell in cells for line in cell.commands))
    done = ran("python cells.py", here)
    assert done.returncode == 0, done.stderr
    assert [line for cell in cells for line in cell.printed if line not in done.stdout.splitlines()] == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_page_says_for_whom_it_is_and_has_commands_that_are_tested(page: Path) -> None:
    title, _, first, *_ = page.read_text().splitlines()
    assert title.startswith("# ")
    assert first.startswith("For everyone who")
    assert sum(len(block.commands) for block in blocks(page)) >= 1
    assert page.read_text().count("<!-- test") == len(blocks(page))


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= MOST_WORDS
    assert [page.name for page in DOCS if f"(docs/{page.name})" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = LINK.findall(FENCED.sub("", page.read_text()))
    assert [target for target in targets if not (":" in target or leads_somewhere(page, target))] == []


def leads_somewhere(page: Path, target: str) -> bool:
    """Whether a relative link names a file or folder of the project and, after a #, a heading in it."""
    path, _, heading = target.partition("#")
    place = (page.parent / path).resolve() if path else page
    return place.exists() and place.is_relative_to(ROOT) and (not heading or heading in anchors(place))


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub spells them in links."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "extending.md"
    good = ["trainers.md", "../conf", "#a-model", "configuration.md#an-npz-file", "output-files.md#a-run-again"]
    bad = ["nowhere.md", "#no-such-heading", "trainers.md#a-model", "/etc", "../../.."]
    assert [target for target in [*good, *bad] if leads_somewhere(page, target)] == good


def test_the_rooms_of_the_readme_and_of_contributing_are_those_of_the_package() -> None:
    package = ROOT / "fashion_sweep"
    rooms = {f"{path.parent.name}/" for path in package.glob("*/*.py")}
    tree = (ROOT / "README.md").read_text().partition("\n    fashion_sweep/\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^      (\w+/)", tree, re.M)) == rooms
    tops = re.findall(r"^    (\w+)/", tree, re.M)
    assert tops == [name for name in tops if (ROOT / name).is_dir()]
    layers = table(ROOT / "CONTRIBUTING.md", "layer")
    assert {word for row in layers for word in CODE.findall(row[1]) if word.endswith("/")} == rooms


def test_every_make_target_that_a_page_names_is_there() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    named = {name for page in PAGES for name in re.findall(r"`make (\w+)", page.read_text())}
    assert named - targets == set()


def tables(page: Path) -> Iterator[Rows]:
    """The tables of a page, each with its heads as the first row."""
    for text in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.M):
        heads, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines()]
        yield [heads, *rows]


def table(page: Path, first_head: str) -> Rows:
    """The rows of all tables of a page with this first head."""
    found = [rows for heads, *rows in tables(page) if heads[0] == first_head]
    assert found, f"{page.name} has no table of {first_head}"
    return [row for rows in found for row in rows]


def first_words(rows: Rows) -> list[str]:
    return [word for row in rows for word in CODE.findall(row[0])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_overrides_in_tables_compose(page: Path, composed: Compose) -> None:
    cells = [cell for rows in tables(page) for row in rows for cell in row]
    spans = [shlex.split(span) for cell in cells for span in CODE.findall(cell) if not span.startswith("make ")]
    for words in spans:
        overrides = [re.sub(r"=(\w+)(,\w+)+$", r"=\1", word) for word in words if "=" in word]
        if overrides:
            composed(*overrides)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs/configuration.md"], ids=lambda page: page.name)
def test_the_choices_in_tables_of_groups_are_those_of_conf(page: Path) -> None:
    rows = table(page, "group")
    named = {CODE.findall(row[0])[0]: CODE.findall(row[1]) for row in rows}
    assert sorted(named) == GROUPS
    for group, words in named.items():
        choices = {path.stem for path in (CONF / group).glob("*.yaml")}
        chosen = {word for word in words if "=" not in word}
        is_shortened = "notes_..." in chosen
        assert chosen - {"notes_..."} <= choices if is_shortened else chosen == choices


def test_every_experiment_of_the_notes_has_its_command() -> None:
    rows = table(ROOT / "docs/configuration.md", "experiment of the notes")
    named = [re.findall(r"experiment=(\w+)", row[1])[0] for row in rows]
    assert sorted(named) == sorted(path.stem for path in (CONF / "experiment").glob("notes_*.yaml"))


@pytest.mark.parametrize("name", ["configuration", "trainers"])
def test_the_keys_in_tables_are_those_of_the_config_with_their_defaults(name: str, composed: Compose) -> None:
    for heads, *rows in tables(ROOT / "docs" / f"{name}.md"):
        for row in rows if heads[0] == "key" else []:
            values = [value for key in CODE.findall(row[0]) for value in values_of(key, composed)]
            assert values, row
            assert heads[1] != "default" or row[1].strip("`") in values, row


def values_of(key: str, composed: Compose) -> list[str]:
    """What a key is by default, as YAML spells it, in each choice of its group that has it."""
    *path, name = key.split(".")
    choices = [f"{path[0]}={option.stem}" for option in (CONF / path[0]).glob("*.yaml")] if path else [""]
    nodes = [OmegaConf.select(composed(*filter(None, [choice])), ".".join(path)) for choice in choices]
    found = [node._get_node(name) for node in nodes if isinstance(node, DictConfig) and name in list(node)]
    return [OmegaConf.to_yaml({"value": node}).removeprefix("value: ").strip() for node in found]


def test_all_values_at_the_top_are_documented(composed: Compose) -> None:
    documented = {key for key in first_words(table(ROOT / "docs/configuration.md", "key")) if "." not in key}
    assert documented == {str(key) for key in composed()} - {*GROUPS, "hydra"}


def test_all_options_of_the_launcher_are_documented(composed: Compose) -> None:
    options = {str(key) for key in composed().hydra.launcher} - {"_target_"}
    assert set(first_words(table(ROOT / "docs/launchers.md", "`hydra.launcher.`"))) == options
    options = {str(key) for key in composed("hydra/launcher=packed_slurm").hydra.launcher} - {"_target_"}
    assert set(first_words(table(ROOT / "docs/cluster.md", "`hydra.launcher.`"))) == options


def test_all_statuses_are_documented() -> None:
    _, record = get_args(get_type_hints(sweeping.records)["return"])
    statuses = get_type_hints(record)["status"]
    assert first_words(table(ROOT / "docs/output-files.md", "status")) == [status.value for status in statuses]


@pytest.mark.slow
def test_all_options_of_evaluate_are_documented(here: Path) -> None:
    known = set(re.findall(r"(?<=[\s\[])--[a-z]+", ran("python scripts/evaluate.py --help", here).stdout))
    documented = first_words(table(ROOT / "docs/output-files.md", "option"))
    assert {word.split()[0] for word in documented} == known - {"--help"}


@pytest.mark.slow
def test_every_file_that_a_sweep_leaves_is_documented(sweep: Path) -> None:
    text = (ROOT / "docs/output-files.md").read_text()
    [run] = [path.parent for path in sweep.glob("*/run.json")]
    files = [path for folder in (sweep, run, sweep / "report") for path in folder.iterdir() if path != run]
    names = [f"{path.name}/" if path.is_dir() else path.name for path in files]
    assert {"sweep.json", "run.json", "index.html"} <= set(names)
    assert [name for name in names if f"`{name}`" not in text] == []
