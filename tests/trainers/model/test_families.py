"""Every trainer on the real pipeline classes of SD 1.5, SDXL, SD 3.5 and FLUX, narrow and with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForText2Image, FluxPipeline
from safetensors.torch import save_file

from prompts.errors import InputError
from tests.tiny_models import PIPELINES, build
from tests.trainers import subject
from tests.trainers.subject import BLUE, RED
from trainers import dpo, dreambooth, kto, sft
from trainers.files.adapter_file import Adapter, AdapterRef
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel
from trainers.model.denoiser import FAMILIES, encode_images, encode_prompts, packed, predictor, trainable, unpacked
from trainers.model.load import load
from trainers.model.paint import paint

Tiny = Callable[[str], BaseModel]

PROMPT = "a photo of the red dog"
SHORT = {"steps": 2, "batch_size": 2, "learning_rate": 1e-2, "size": 32, "rank": 2}
TRAININGS: dict[str, tuple[Any, Any, list[Any]]] = {
    "dpo": (dpo.train, dpo.DpoConfig(**SHORT), [dpo.Pair(PROMPT, RED, BLUE), dpo.Pair("a blue field", BLUE, RED)]),
    "kto": (kto.train, kto.KtoConfig(**SHORT), [kto.Judged(PROMPT, RED, True), kto.Judged(PROMPT, BLUE, False)]),
    "sft": (sft.train, sft.SftConfig(**SHORT), [(RED, PROMPT), (BLUE, "a blue field")]),
    "dreambooth": (dreambooth.train, dreambooth.DreamBoothConfig(**SHORT), [(RED, PROMPT)]),
}


def painted(model: BaseModel, **more: Any) -> np.ndarray:
    return subject.painted(model, PROMPT, **more)


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("kind", TRAININGS)
def test_a_trained_adapter_changes_the_picture_in_a_stock_pipeline_too(
    kind: str, name: str, tiny: Tiny, tmp_path: Path
) -> None:
    model, (train, config, data) = tiny(name), TRAININGS[kind]
    before, seen = painted(model), []
    adapter: Adapter = train(
        config, data, base_model=model, out=tmp_path / "out", on_step=lambda i, n, row: seen.append(row)
    )
    assert len(seen) == 2 and all(np.isfinite(list(row.values())).all() for row in seen)
    after = painted(model, adapters={adapter.path: 1.0})
    assert (before != after).any() and (painted(model) == before).all()
    stock = AutoPipelineForText2Image.from_pretrained(model.name)
    stock.set_progress_bar_config(disable=True)
    stock.load_lora_weights(adapter.path, weight_name=adapter.file.name)
    theirs = stock(
        PROMPT, generator=torch.Generator().manual_seed(3), num_inference_steps=3, guidance_scale=3.0, height=32, width=32
    ).images[0]  # fmt: skip
    assert np.abs(np.asarray(theirs, dtype=int) - after).max() <= 2
    kohya = painted(model, adapters={adapter.path / f"{kind}_kohya.safetensors": 1.0})
    assert np.abs(kohya - after).max() <= 2


@pytest.mark.parametrize("name", PIPELINES)
def test_the_trainer_asks_the_denoiser_as_the_pipeline_does(
    name: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipeline's first call of its denoiser, and ours with the same latents and time, get the same answer."""
    model, calls = tiny(name), []
    forward = model.denoiser.forward

    def listen(*args: Any, **kwargs: Any) -> Any:
        answer = forward(*args, **kwargs)
        calls.append((args[0] if args else kwargs["hidden_states"], args[1:] or kwargs["timestep"], answer))
        return answer

    monkeypatch.setattr(model.denoiser, "forward", listen)
    paint([PROMPT], model=model, seed=0, steps=2, size=32, guidance_scale=1.0)
    latents, time, answer = calls[0]
    theirs = answer[0] if isinstance(answer, tuple) else answer.sample
    time = torch.as_tensor(time[0] if isinstance(time, tuple) else time).reshape(-1)[:1]
    if name == "flux":
        latents, theirs, time = unpacked(latents, 8), unpacked(theirs, 8), time * 1000
    monkeypatch.setattr(model.denoiser, "forward", forward)
    with torch.no_grad():
        ours = predictor(model, encode_prompts([PROMPT], model, 32)[[0]])(latents[-1:].float(), time)
    assert torch.allclose(ours, theirs[-1:].float(), atol=1e-4)


@pytest.mark.parametrize("name", PIPELINES)
def test_latents_decode_to_the_picture_they_were_made_of(name: str, tiny: Tiny) -> None:
    """Scaled and shifted as the pipeline unscales: what a perfect sampler would end with decodes as the VAE's own round trip."""
    model = tiny(name)
    latents, vae = encode_images([RED], model, 32), model.pipe.vae
    pixels = model.pipe.image_processor.preprocess(RED.resize((32, 32)))
    with torch.no_grad():
        direct = vae.encode(pixels).latent_dist.mode()
    assert torch.allclose(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0), direct, atol=1e-5)


def test_flux_tokens_are_packed_as_its_pipeline_packs_them() -> None:
    latents = torch.randn(2, 16, 6, 10, generator=torch.Generator().manual_seed(0))
    theirs = FluxPipeline._pack_latents(latents, 2, 16, 6, 10)
    assert torch.equal(packed(latents), theirs) and torch.equal(unpacked(theirs, 3), latents)


def test_a_class_that_we_cannot_train_is_refused_with_those_that_we_can(tiny: Tiny) -> None:
    class KandinskyPipeline:
        pass

    other = BaseModel("my-kandinsky", KandinskyPipeline(), torch.device("cpu"), torch.float32)
    with pytest.raises(InputError, match=f"my-kandinsky.*KandinskyPipeline.*{next(iter(FAMILIES))}"):
        trainable(other, 32)


@pytest.mark.parametrize(("name", "size"), [("sd3", 34), ("flux", 34), ("sd15", 33)])
def test_a_size_that_does_not_fit_is_refused_before_anything_is_made(name: str, size: int, tiny: Tiny) -> None:
    with pytest.raises(InputError, match=rf"size = {size} does not fit .*multiple of {2 if name == 'sd15' else 4}"):
        trainable(tiny(name), size)


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sd3", "flux"])
def test_a_model_in_bfloat16_is_trained_and_its_adapter_saved(name: str, tmp_path: Path) -> None:
    """As on a GPU: the base in bfloat16, the LoRA in float32."""
    plain = load(str(build(name, tmp_path / "model")), device="cpu")
    model = BaseModel(plain.name, plain.pipe.to(torch.bfloat16), plain.device, torch.bfloat16)
    train, config, data = TRAININGS["dpo"]
    adapter = train(config, data, base_model=model, out=tmp_path / "out")
    assert all(np.isfinite(value) for value in adapter.metrics.values())
    assert model.pipe.vae.dtype == torch.bfloat16


@pytest.mark.parametrize(("name", "modules"), [("flux", ("to_q", "proj_out")), ("sd3", ("norm1.linear", "to_q"))])
def test_layers_beyond_attention_have_kohyas_names_too_and_are_read_back(
    name: str, modules: tuple[str, ...], tiny: Tiny, tmp_path: Path
) -> None:
    config = sft.SftConfig(**SHORT, target_modules=modules)
    adapter = sft.train(config, [(RED, PROMPT)], base_model=tiny(name), out=tmp_path)
    assert json.loads((adapter.path / "adapter.json").read_text())["kohya_check"] == "loaded"


def test_an_adapter_on_the_text_encoder_acts_in_training_too(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("sd15")
    encoder = model.pipe.text_encoder.encoder.layers[0].self_attn.q_proj
    draw = torch.Generator().manual_seed(0)
    # As files have it: transformers 5 has no text_model any more.
    key = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    save_file(
        {
            f"{key}.lora_A.weight": torch.randn(2, encoder.in_features, generator=draw),
            f"{key}.lora_B.weight": torch.randn(encoder.out_features, 2, generator=draw),
        },
        tmp_path / "a.safetensors",
    )
    ref = [AdapterRef(tmp_path / "a.safetensors")]
    with attached(model, ref):
        inside = model.pipe.encode_prompt([PROMPT], "cpu", 1, False)[0]
    asked = encode_prompts([PROMPT], model, 32, ref)[[0]].embeds
    assert torch.equal(inside, asked) and not torch.allclose(asked, encode_prompts([PROMPT], model, 32)[[0]].embeds)


@pytest.mark.parametrize("name", ["sd15", "flux"])
def test_gradient_checkpointing_changes_the_memory_and_not_the_training(
    name: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = tiny(name), []
    enable = model.denoiser.enable_gradient_checkpointing
    monkeypatch.setattr(model.denoiser, "enable_gradient_checkpointing", lambda: (asked.append(1), enable()))
    train, config, data = TRAININGS["dpo"]
    seen = []
    for wanted in (False, True):
        chosen = config.model_copy(update={"gradient_checkpointing": wanted})
        adapter = train(chosen, data, base_model=model, out=tmp_path / str(wanted))
        seen.append(adapter.metrics)
    assert asked == [1] and not model.denoiser.is_gradient_checkpointing
    assert seen[0] == pytest.approx(seen[1], rel=1e-4, abs=1e-6)
