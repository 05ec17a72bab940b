"""A LoRA file's tensors are halves of layers, or the file is refused in its own words."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from agent.cli.adapters import told
from prompts.errors import InputError
from trainers.files.adapter_about import about
from trainers.files.halves import finite, read

NAME = "lora_unet_mid_block_resnets_0_conv1"
DOWN, UP, ALPHA, MID = (f"{NAME}.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha", "lora_mid.weight"))
ONES = torch.ones
GOOD = {DOWN: ONES(2, 8), UP: ONES(8, 2)}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({DOWN: ONES(0, 8), UP: ONES(8, 0)}, rf"{DOWN}' of shape \(0, 8\)"), ({DOWN: torch.tensor(1.0)}, rf"{DOWN}' of shape \(\)"),
        ({UP: torch.tensor(1.0)}, rf"{UP}' of shape \(\)"), ({UP: ONES(8, 3)}, rf"{DOWN}' of rank 2 and '{UP}' of rank 3"),
        ({DOWN: ONES(8), UP: ONES(8)}, r"of shape \(8,\)"), ({ALPHA: ONES(2)}, rf"{ALPHA}' of shape \(2,\): alpha is one number"),
        ({ALPHA: ONES(0)}, r"alpha is one number"), ({ALPHA: torch.tensor(0.0)}, r"alpha \[0\.0\].*other than 0"),
        ({ALPHA: torch.tensor(math.nan)}, rf"not finite in '{ALPHA}'"), ({ALPHA: torch.tensor(1j)}, f"{ALPHA}' as complex64"),
        ({DOWN: ONES(2, 8).int()}, f"{DOWN}' as int32"), ({UP: ONES(8, 2).bool()}, f"{UP}' as bool"),
        ({UP: torch.full((8, 2), math.inf)}, rf"not finite in '{UP}'"), ({DOWN: torch.full((2, 8), 1e300, dtype=torch.float64)}, rf"not finite in '{DOWN}'"),
        ({DOWN: torch.full((2, 8), 1e30), UP: torch.full((8, 2), 1e30)}, rf"{DOWN}' too large"),
        ({MID: ONES(3, 3, 3, 3)}, rf"{MID}' of shape \(3, 3, 3, 3\), which does not join"), ({MID: torch.tensor(1.0)}, rf"{MID}' of shape \(\)"),
        ({"lora_unet_x.alpha": torch.tensor(1.0)}, r"'lora_unet_x\.alpha' belongs to no layer"), ({"strange": ONES(2)}, "'strange' of shape"),
        ({f"{NAME}.lora_up.bias": ONES(8)}, r"lora_up\.bias' of shape \(8,\), which is no part of a LoRA"),
        ({f"{NAME}.lora_A.weight": ONES(2, 8)}, "holds both"), ({f"{NAME}.lora_A.style.weight": ONES(2, 8)}, "holds both"),
        ({"\x1b[31mred\u202e": ONES(2)}, r"' \[31mred|'\[31mred"),
    ],
)  # fmt: skip
def test_what_is_no_half_of_a_layer_is_refused_by_its_name(
    changed: dict[str, Tensor], told: str, tmp_path: Path
) -> None:
    save_file(GOOD | changed, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=told) as raised:
        read(tmp_path / "a.safetensors")
    assert "\x1b" not in str(raised.value) and "\u202e" not in str(raised.value)
    with pytest.raises(InputError):
        about(tmp_path / "a.safetensors")


def test_halves_of_two_adapters_are_no_layer(tmp_path: Path) -> None:
    halves = {"x.lora_A.default.weight": ONES(2, 8), "x.lora_B.style.weight": ONES(8, 2)}
    save_file(halves, tmp_path / "a.safetensors")
    with pytest.raises(
        InputError, match=r"'x\.lora_A\.default\.weight' and 'x\.lora_B\.style\.weight' are of two adapters"
    ):
        read(tmp_path / "a.safetensors")


def test_a_number_that_is_none_is_found_wherever_it_stands_and_whatever_the_type() -> None:
    for kind in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        for at in (0, 17, 99):
            for value in (math.nan, math.inf, -math.inf):
                values = torch.zeros(100, dtype=kind)
                assert finite(values)
                values[at] = value
                assert not finite(values), (kind, at, value)
    assert finite(torch.zeros(3).to(torch.float8_e4m3fn)) and not finite(
        torch.tensor([math.nan]).to(torch.float8_e4m3fn)
    )


def diffusers(folder: Path, config: object, rank: int = 4, name: str = "unet.mid_block.attentions.0.proj_in") -> Path:
    draw = torch.Generator().manual_seed(0)
    file = folder / "pytorch_lora_weights.safetensors"
    tensors = {
        f"{name}.lora_A.weight": torch.randn(rank, 8, generator=draw),
        f"{name}.lora_B.weight": torch.randn(8, rank, generator=draw),
    }
    save_file(
        tensors,
        file,
        {"lora_adapter_metadata": config if isinstance(config, str) else json.dumps(config), "format": "pt"},
    )
    return file


def plain_norm(file: Path) -> float:
    (layer,) = read(file).layers.values()
    return float((layer.up @ layer.down).norm())


@pytest.mark.parametrize(
    ("said", "alpha", "scale"),
    [
        ({"unet.r": 4, "unet.lora_alpha": 16}, 16, 4), ({"unet.r": 4, "unet.lora_alpha": 16, "unet.use_rslora": True}, 16, 8),
        ({"unet.r": 4, "unet.lora_alpha": 16, "unet.alpha_pattern": {"mid_block.attentions.0.proj_in": 2}}, 2, 0.5),
        ({"unet.r": 4, "unet.lora_alpha": 16, "unet.alpha_pattern": {"^proj_in": 2, "attentions.0.proj_in": 1}}, 1, 0.25),
        ({"unet.r": 8, "unet.rank_pattern": {"proj_in": 4}, "unet.lora_alpha": 4}, 4, 1), ({"text_encoder.r": 4, "text_encoder.lora_alpha": 16}, 4, 1),
        ({"unet.r": 4}, 8, 2),
    ],
)  # fmt: skip
def test_an_alpha_that_only_the_header_has_is_shown_as_it_acts(
    said: dict[str, object], alpha: float, scale: float, tmp_path: Path
) -> None:
    file = diffusers(tmp_path, said)
    found = about(file)
    assert found["alpha"] == [alpha] and found["norm"] == pytest.approx(scale * plain_norm(file), rel=1e-5)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"unet.r": 8, "unet.lora_alpha": 8}, "has the rank 8, but it has 4"), ({"unet.r": 4, "unet.lora_alpha": "much"}, "alpha 'much'"),
        ({"unet.r": 4, "unet.lora_alpha": math.inf}, "alpha 'inf'"), ({"unet.r": 4, "unet.lora_alpha": 4, "unet.use_dora": True}, "is a DoRA by its header"),
        ({"unet.r": 4, "unet.lora_alpha": 4, "unet.init_lora_weights": "pissa_niter_4"}, "pissa_niter_4, which changes its base"),
        ({"unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": {".*attn.*": 2}}, "an expression that we do not run"),
        ({"unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": [1]}, "an expression that we do not run"),
        ({"unet.r": 4, "unet.lora_alpha": True}, "both are numbers"), ("[" * 100_000, "no JSON object"), ("[1]", "no JSON object"), ("{", "no JSON object"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_followed_is_refused(said: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        about(diffusers(tmp_path, said))


def test_pefts_own_config_beside_its_file_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "adapter_model.safetensors"
    name = "base_model.model.mid_block.attentions.0.proj_in"
    save_file({f"{name}.lora_A.weight": ONES(2, 8), f"{name}.lora_B.weight": ONES(8, 2)}, file)
    assert about(file)["alpha"] == [2]
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 6}))
    assert about(file)["alpha"] == [6] and about(file)["layers"] == {"denoiser": 1}
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LOHA"}))
    with pytest.raises(InputError, match=r"is a LOHA by its adapter_config\.json"):
        about(file)
    (tmp_path / "adapter_config.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        about(file)


def test_two_alphas_that_differ_are_told(tmp_path: Path) -> None:
    file, name = tmp_path / "a.safetensors", "unet.mid_block.attentions.0.proj_in"
    tensors = {
        f"{name}.lora_A.weight": ONES(2, 8),
        f"{name}.lora_B.weight": ONES(8, 2),
        f"{name}.alpha": torch.tensor(4.0),
    }
    for alpha in (4, 5):
        save_file(tensors, file, {"lora_adapter_metadata": json.dumps({"unet.r": 2, "unet.lora_alpha": alpha})})
        if alpha == 4:
            assert about(file)["alpha"] == [4]
        else:
            with pytest.raises(InputError, match=r"alpha \[4\.0, 5\.0\]"):
                about(file)


@pytest.mark.parametrize("kind", ["F8_E8M0", "F4", "I128", "U64"])
def test_a_type_that_torch_has_not_is_a_refusal(kind: str, tmp_path: Path) -> None:
    head = json.dumps({DOWN: {"dtype": kind, "shape": [2, 4], "data_offsets": [0, 64]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(64))
    with pytest.raises(InputError):
        about(tmp_path / "a.safetensors")


def test_halves_that_cancel_each_other_have_no_length(tmp_path: Path) -> None:
    """Rounding made the square of it less than nothing."""
    draw = torch.Generator().manual_seed(0)
    down, up = (
        torch.randn(1, 8, generator=draw).repeat(2, 1),
        torch.randn(8, 1, generator=draw) * torch.tensor([[1.0, -1.0]]),
    )
    save_file({DOWN: down, UP: up.contiguous()}, tmp_path / "a.safetensors")
    assert about(tmp_path / "a.safetensors")["norm"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "card",
    [
        [], 3, {"files": 3}, {"files": ["a.safetensors"], "job": []}, {"files": ["a.safetensors"], "job": {"adapters": ["x"]}},
        {"files": ["a.safetensors"], "parents": [{"name": "x"}]}, {"files": ["a.safetensors"], "parents": "all"},
        {"files": ["a.safetensors"], "kind": 4, "base_model": {}, "metrics": []}, {"files": ["a.safetensors"], "job": {"adapters": None}},
    ],
)  # fmt: skip
def test_a_card_that_somebody_altered_is_taken_for_what_still_fits(card: object, tmp_path: Path) -> None:
    save_file(GOOD, tmp_path / "a.safetensors")
    (tmp_path / "adapter.json").write_text(json.dumps(card))
    found = about(tmp_path / "a.safetensors")
    assert (found["kind"], found["base_model"], found["parents"], found["metrics"]) == ("foreign", None, [], {})
    assert told(found)


@pytest.mark.parametrize("text", [b"\xff", b"[" * 100_000, b"{"])
def test_a_card_that_cannot_be_read_is_named(text: bytes, tmp_path: Path) -> None:
    save_file(GOOD, tmp_path / "a.safetensors")
    (tmp_path / "adapter.json").write_bytes(text)
    with pytest.raises(InputError, match=r"adapter\.json' cannot be read"):
        about(tmp_path / "a.safetensors")
