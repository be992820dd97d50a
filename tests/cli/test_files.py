"""An option that names a file, or a folder with one file per model."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.files import PerModel, refuse_overwriting
from harness.errors import UsageError

ONE = [Path("models/m.keras")]
TWO = [*ONE, Path("models/n.keras")]


def test_not_given() -> None:
    assert PerModel("--json", None, ".json", TWO).of(ONE[0]) is None


def test_one_model_and_a_file(tmp_path: Path) -> None:
    assert PerModel("--json", str(tmp_path / "r"), ".json", ONE).of(ONE[0]) == tmp_path / "r"


def test_a_folder_that_is_there_or_ends_with_a_slash(tmp_path: Path) -> None:
    assert PerModel("--json", str(tmp_path), ".json", ONE).of(ONE[0]) == tmp_path / "m.json"
    new = PerModel("--json", f"{tmp_path}/new/", ".json", ONE).writable()
    assert new.of(ONE[0]) == tmp_path / "new" / "m.json"
    assert (tmp_path / "new").is_dir()


def test_many_models_need_a_folder(tmp_path: Path) -> None:
    assert PerModel("--save", str(tmp_path / "out"), ".npz", TWO).of(TWO[1]) == tmp_path / "out" / "n.npz"
    with pytest.raises(UsageError, match="for 2 models"):
        PerModel("--save", str(tmp_path / "out.npz"), ".npz", TWO)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="for 2 models"):
        PerModel("--save", str(tmp_path / "file"), ".npz", TWO)


def test_one_file_for_all_models_where_that_makes_sense(tmp_path: Path) -> None:
    file = tmp_path / "w.weights.h5"
    file.write_text("")
    shared = PerModel("--weights", str(file), ".weights.h5", TWO, one_for_all=True)
    assert [shared.of(model) for model in TWO] == [file, file]
    own = PerModel("--weights", str(tmp_path), ".weights.h5", TWO, one_for_all=True)
    assert own.of(TWO[1]) == tmp_path / "n.weights.h5"


def test_two_models_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="called m"):
        PerModel("--json", str(tmp_path), ".json", [Path("a/m.keras"), Path("b/m.keras")])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be made"):
        PerModel("--json", str(tmp_path / "file" / "r.json"), ".json", ONE).writable()


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_what_is_read_is_not_written_by_another_name_of_it(tmp_path: Path, link: str) -> None:
    read, other, name = tmp_path / "m.npz", tmp_path / "other", tmp_path / "name"
    read.write_text("weights")
    other.write_text("weights")
    getattr(name, link)(read)
    refuse_overwriting([other, None, tmp_path / "new"], [read, None])
    with pytest.raises(UsageError, match="name would be written over"):
        refuse_overwriting([name], [read])
    with pytest.raises(UsageError, match="would be written over"):
        refuse_overwriting([read], [name])
