"""What a person is shown of a run: names as they stand."""

from pathlib import Path

import pytest

from ser_lightning.files import write_json
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.summary import show


def test_classes_and_labels_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recall = {"[laughter]": 0.5, ":smile:": 0.25, "[/b]": None}
    run = RunFolder(tmp_path / "a-run")
    part = {"n": 4, "uar": 0.5, "wa": 0.5, "macro_f1": 0.5, "recall": recall}
    known = {"id": "a-run", "classes": list(recall), "selected_by": "folds", "validation": part}
    write_json(run.result, known | {"labels": ["validation lacks [laughter]"]})
    show(run)
    shown = capsys.readouterr().out
    assert "a-run (validation lacks [laughter]): chosen by folds" in shown
    for name in recall:
        assert f"recall {name}" in shown
