from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.analysis.names import distinct_names, run_names


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), unique_by=tuple, max_size=6))
def test_names_are_distinct_and_end_in_the_folders_own(parts: list[list[str]]) -> None:
    paths = [Path("sweeps").joinpath(*names) for names in parts]
    names = distinct_names(paths)
    assert len(set(names)) == len(paths)
    assert all(str(path).endswith(name) for path, name in zip(paths, names, strict=True))


@given(st.lists(st.text("a\x07\x1b ()2", min_size=1, max_size=6).filter(str.strip), unique=True, max_size=8))
def test_names_are_distinct_for_any_folder_names(parts: list[str]) -> None:
    names = run_names([Path("sweep") / part for part in parts])
    assert len(set(names)) == len(parts)
    assert all(name.isprintable() for name in names)


def test_equal_names_are_numbered() -> None:
    assert run_names([Path("a\x1bb"), Path("a b (2)"), Path("a\x07b")]) == ["a b", "a b (2)", "a b (3)"]
