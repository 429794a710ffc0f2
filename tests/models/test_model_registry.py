"""Names, loading, and what importing does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import models
from models import registry
from models.errors import DataNeeded, ModelError, UnknownModel

COMPRESSIONS = ("float", "pruned", "int8", "int4", "2bit", "ternary", "binary")


def test_every_model_is_listed_with_what_it_needs() -> None:
    needs = {entry.name: entry.data is not None for entry in models.catalog()}
    chat = {f"chat-a-{compression}" for compression in COMPRESSIONS}
    assert set(needs) == chat | {"digits-float", "digits-int8", "tinychat"}
    assert [name for name, needed in needs.items() if needed] == ["tinychat"]
    assert models.names() == tuple(sorted(needs))


def test_an_unknown_name_lists_those_that_exist() -> None:
    with pytest.raises(UnknownModel, match=r"'digit'; choose one of: chat-a-2bit, .*, tinychat$"):
        models.load("digit")
    with pytest.raises(UnknownModel, match=r"'tinychat'; choose one of: chat-a-2bit, .*, digits, "):
        models.train("tinychat")


def test_a_path_loads_the_checkpoint_there(tmp_path: Path) -> None:
    shipped = Path(models.__file__).parent / "checkpoints"
    path = tmp_path / "mine.npz"
    path.write_bytes((shipped / "digits-float.npz").read_bytes())
    assert models.load(str(path)).name == "digits-float"
    with pytest.raises(models.ModelFileError, match=r"digits\.npz: about: is missing"):
        models.load(str(shipped / "digits.npz"))
    with pytest.raises(models.ModelFileError, match=r"none\.npz: no such file"):
        models.load(str(tmp_path / "none.npz"))


def test_two_openers_of_one_suffix_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two functions open files of '\.npz'"):
        registry.register_opener(".npz")(lambda *_: models.load("digits-int8"))


def test_missing_data_says_what_to_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUECYCLE_Z80AI", raising=False)
    with pytest.raises(DataNeeded, match=r"model\.npz.*training-data\.txt\.gz.*TRUECYCLE_Z80AI"):
        models.load("tinychat")


def test_the_variable_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRUECYCLE_Z80AI", str(tmp_path))
    with pytest.raises(models.ModelFileError, match=r"model\.npz: no such file"):
        models.load("tinychat")


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two models are named 'digits-int8'"):
        registry.register("digits-int8", "again")(lambda _: models.load("digits-int8"))


@pytest.mark.parametrize("seed", [-1, 1 << 32])
def test_bad_seeds(tmp_path: Path, seed: int) -> None:
    with pytest.raises(ModelError, match=f"seed {seed} is outside"):
        models.train("digits", seed=seed, out=tmp_path / "digits.npz")


def test_an_unwritable_place_is_refused_before_training(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "none" / "digits.npz"):
        with pytest.raises(ModelError, match="cannot be written"):
            models.train("digits", out=out)


def test_torch_is_not_imported() -> None:
    program = (
        "import sys, models; models.names(); assert 'sklearn' not in sys.modules\n"
        "graph = models.load('digits-int8').graph; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
