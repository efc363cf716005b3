"""The tutorial runs from its first cell to its last, and is committed without outputs."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIAL = Path(__file__).resolve().parents[1] / "notebooks" / "tutorial.ipynb"


def cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_committed_without_outputs() -> None:
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in cells(notebook)] == [None] * len(cells(notebook))
    assert all(cell.outputs == [] for cell in cells(notebook))


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the kernel keeps goes where the test's files go.
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    notebook = nbformat.read(TUTORIAL, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, kernel_name="python3", resources=place).execute()
    shown = [output for cell in cells(notebook) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 2
    (run,) = (tmp_path / "runs").glob("demo-mfcc_lstm-*")
    assert (run / "confusion_test.png").is_file()
    assert len((tmp_path / "runs" / "test_looks.csv").read_text().splitlines()) == 2
