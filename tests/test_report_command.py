"""The command line that writes reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from analysis_folders import grid, write_run, write_sweep

from fashion_sweep.cli.report import main


def report_command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[1] / "scripts" / "report.py"
    command = [sys.executable, "-X", "importtime", str(script), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env=os.environ | {"DISPLAY": ""}
    )


def test_the_script_reports_without_tensorflow(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3]))
    result = report_command("sweep", cwd=tmp_path)
    assert result.returncode == 0
    assert "4 runs: 4 completed. Report: sweep/report/index.html" in result.stdout
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "seaborn" in imported
    assert not {"tensorflow", "keras"} & imported
    assert (tmp_path / "sweep" / "report" / "index.html").exists()


def test_a_missing_folder_exits_with_2_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sweep(tmp_path / "sweep", [])
    with pytest.raises(SystemExit) as exited:
        main([str(tmp_path / "sweep"), str(tmp_path)[:-1] + "gone"])
    assert exited.value.code == 2
    captured = capsys.readouterr()
    assert (
        captured.err == f"error: {str(tmp_path)[:-1]}gone: no such folder. Give the folder of a sweep or of one run.\n"
    )
    assert captured.out == ""
    assert not (tmp_path / "sweep" / "report").exists()


def test_strict_exits_with_1_on_a_warning(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {}, [])
    main([str(tmp_path / "run"), "--strict"])
    folder.history.write_text("epoch\nfirst\n")
    main([str(tmp_path / "run")])
    with pytest.raises(SystemExit) as exited:
        main([str(tmp_path / "run"), "--strict"])
    assert exited.value.code == 1


def test_each_folder_gets_a_report_or_all_share_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        write_sweep(tmp_path / name, [])
    main([str(tmp_path / "first"), str(tmp_path / "second")])
    assert capsys.readouterr().out.count("Report: ") == 2
    assert (tmp_path / "first" / "report" / "index.html").exists()
    assert (tmp_path / "second" / "report" / "index.html").exists()
    main([str(tmp_path / "first"), str(tmp_path / "second"), "--output", str(tmp_path / "both")])
    assert capsys.readouterr().out.count("Report: ") == 1
    assert (tmp_path / "both" / "index.html").exists()
