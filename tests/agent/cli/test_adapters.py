"""`palate adapter`: what is shown of a LoRA file, other people's files taken in, several made one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from agent.cli import main as cli
from agent.cli.adapters import weighted
from prompts.errors import InputError
from trainers import sft
from trainers.files.adapter_file import Adapter, sha256

Tiny = Callable[[str], Any]
SAID = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.fixture
def mine(tiny: Tiny, tmp_path: Path) -> Adapter:
    config = sft.SftConfig(steps=1, batch_size=1, learning_rate=1e-2, size=32, rank=2, alpha=1.0)
    return sft.train(config, [(Image.new("RGB", (32, 32), "red"), "a dog")], base_model=tiny("sd15"), out=tmp_path / "mine", name="mine")  # fmt: skip


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """One layer as kohya writes it, of rank 3 and alpha 1.5: the change is half of up @ down."""
    draw = torch.Generator().manual_seed(0)
    down, up = torch.randn(3, 32, generator=draw), torch.randn(32, 3, generator=draw)
    file = tmp_path / "theirs.safetensors"
    save_file(
        {f"{SAID}.lora_down.weight": down, f"{SAID}.lora_up.weight": up, f"{SAID}.alpha": torch.tensor(1.5)}, file
    )
    return file


def asked(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(["adapter", *map(str, words)])
    return code, *capsys.readouterr()


def test_an_adapter_of_ours_tells_what_it_is(mine: Adapter, tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = asked(capsys, "show", mine.path, "--json")
    found = json.loads(out)
    assert code == 0 and found["kind"] == "sft" and found["base_model"] == tiny("sd15").name
    assert found["rank"] == [2] and found["layers"] == {"denoiser": 32} and found["sha256"] == sha256(mine.file)
    beside = json.loads(asked(capsys, "show", mine.path / "mine_kohya.safetensors", "--json")[1])
    assert beside["alpha"] == [1] and beside["rank"] == [2] and beside["kind"] == "sft" and beside["layout"] == "kohya"
    assert beside["norm"] == pytest.approx(found["norm"], rel=1e-5)  # the same change, its alpha folded in or not


def test_the_norm_is_that_of_the_whole_change(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = torch.Generator().manual_seed(0)
    down, up = torch.randn(3, 32, generator=draw), torch.randn(32, 3, generator=draw)
    found = json.loads(asked(capsys, "show", foreign, "--json")[1])
    assert found["norm"] == pytest.approx((0.5 * up @ down).norm().item(), rel=1e-5)
    assert found["kind"] == "foreign" and found["alpha"] == [1.5] and found["parents"] == []
    told = asked(capsys, "show", foreign)[1]
    assert "layout of kohya" in told and "rank    3" in told and "base    not said" in told


def test_a_real_file_of_another_program_is_shown(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = shared_data / "lora_import" / "analog_svd_rank4.safetensors"
    if not file.is_file():
        pytest.skip(f"no {file.name} in the shared data")
    found = json.loads(asked(capsys, "show", file, "--json")[1])
    assert found["layout"] == "cloneofsimo" and found["rank"] == [4] and found["layers"] == {"denoiser": 144, "text_encoder": 48}  # fmt: skip


def test_other_peoples_files_become_ours_and_remember_where_they_came_from(
    foreign: Path, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = asked(capsys, "import", foreign, "--out", tmp_path / "ours", "--base", tiny("sd15").name, "--json")
    assert code == 0 and json.loads(out)["kind"] == "import" and json.loads(out)["lost_share"] == 0
    ours, theirs = (json.loads(asked(capsys, "show", path, "--json")[1]) for path in (tmp_path / "ours", foreign))
    assert ours["norm"] == pytest.approx(theirs["norm"], rel=1e-5) and ours["rank"] == [3]
    assert ours["parents"] == [{"name": "theirs", "sha256": sha256(foreign), "weight": 1.0}]
    assert (tmp_path / "ours" / "ours_kohya.safetensors").is_file()
    code, _, err = asked(capsys, "import", foreign, "--out", tmp_path / "ours", "--base", tiny("sd15").name)
    assert code == 1 and "holds an adapter already" in err


def test_a_merge_takes_its_base_from_the_first_adapter_that_names_one(
    mine: Adapter, foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = asked(capsys, "merge", f"{foreign}:-0.5", mine.path, "--out", tmp_path / "both", "--rank", 2)
    assert code == 0 and "rank 2" in out and "% of the change's energy did not fit" in out
    parents = json.loads((tmp_path / "both" / "adapter.json").read_text())["parents"]
    assert [one["weight"] for one in parents] == [-0.5, 1.0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "nowhere"), "nowhere' is not a .safetensors file"), (("merge", "a:much", "--out", "x"), "neither a path nor PATH:WEIGHT"),
        (("merge", "a:nan", "--out", "x"), "weight 'nan' of 'a'"), (("import", "a.pt", "--out", "x"), "pickle"),
        (("show", "a" * 5000), "cannot be looked for"), (("merge", "a" * 5000 + ":0.5", "--out", "x"), "cannot be looked for"),
        (("show", "~nobody-of-this-name/a"), "is not a .safetensors file"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = asked(capsys, *words)
    assert code == 1 and out == "" and told in err and "Traceback" not in err


def test_a_file_that_does_not_fit_the_default_base_says_so(
    foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = asked(capsys, "import", foreign, "--out", tmp_path / "ours")
    assert code == 1 and "theirs.safetensors" in err and not (tmp_path / "ours").exists()


def test_a_base_given_as_a_relative_path_is_found_from_every_folder(
    foreign: Path, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bases").mkdir()
    (tmp_path / "bases" / "sd15").symlink_to(tiny("sd15").name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    for number, base in enumerate(
        ("bases/sd15", "./bases/sd15", "elsewhere/../bases/sd15")
    ):  # the first looks like a hub id
        code, out, _ = asked(capsys, "import", foreign, "--out", f"ours-{number}", "--base", base, "--json")
        assert code == 0 and json.loads(out)["base_model"] == str(tmp_path / "bases" / "sd15")
        card = json.loads((tmp_path / f"ours-{number}" / "adapter.json").read_text())
        assert card["base_model"] == str(tmp_path / "bases" / "sd15")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert asked(capsys, "merge", "../ours-0", "--out", "again")[0] == 0


@pytest.mark.parametrize("base", ["./nowhere", "../nowhere", "~/nowhere", "/nowhere/at/all", "a/b/c"])
def test_a_path_that_is_not_there_is_never_asked_of_the_hub(
    base: str, foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = asked(capsys, "import", foreign, "--out", tmp_path / "ours", "--base", base)
    assert code == 1 and "no such folder" in err and "hub" not in err


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"ss_base_model_version": "sdxl_base_v1-0", "ss_sd_model_name": "xl.safetensors"}, "'sdxl_base_v1-0, xl.safetensors'"),
        ({"modelspec.architecture": "flux-1-dev/lora"}, "'flux-1-dev/lora'"), ({}, "does not say for which model it is, its layers are named as those of SDXL"),
        ({"ss_base_model_version": "\x1b[31msd\u202e"}, "'[31msd'"),
    ],
)  # fmt: skip
def test_a_lora_of_another_base_says_which_base_its_header_names(
    header: dict[str, str], told: str, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    tensors = {f"{name}.lora_down.weight": torch.ones(2, 640), f"{name}.lora_up.weight": torch.ones(640, 2)}
    save_file(tensors, tmp_path / "a.safetensors", header)
    code, _, err = asked(
        capsys, "import", tmp_path / "a.safetensors", "--out", tmp_path / "ours", "--base", tiny("sd15").name
    )
    said = " ".join(err.split())
    assert code == 1 and told in said and f"{name}.lora_down.weight" in said and "\x1b" not in err
    if header:
        assert json.loads(asked(capsys, "show", tmp_path / "a.safetensors", "--json")[1])["base_model"] == told.strip(
            "'"
        )


def test_a_lora_with_one_number_that_is_none_is_told_as_that_by_every_command(
    foreign: Path, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = load_file(foreign)
    tensors[f"{SAID}.lora_up.weight"][3, 1] = float("nan")
    save_file(tensors, foreign)
    for words in (("show", foreign), ("import", foreign, "--out", tmp_path / "x", "--base", tiny("sd15").name), ("merge", foreign, "--out", tmp_path / "y", "--base", tiny("sd15").name)):  # fmt: skip
        code, _, err = asked(capsys, *words)
        assert code == 1 and f"not finite in '{SAID}.lora_up.weight'" in " ".join(err.split()) and "bug" not in err


def test_a_path_with_a_colon_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "a:1").mkdir()
    assert weighted(str(tmp_path / "a:1")).weight == 1.0 and weighted(f"{tmp_path}/a:1:-2").weight == -2.0
    with pytest.raises(InputError):
        weighted("a:b")
