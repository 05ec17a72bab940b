"""evaluators/scorers/weight_files.py and weights.py: other people's files, read whole or refused by name."""

from __future__ import annotations

import contextlib
import pickle
import resource
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from safetensors.torch import save_file

from evaluators.scorers.weight_files import fill, folded, read
from evaluators.scorers.weights import version_of_file, weight_file
from prompts.errors import InputError

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


class Harm:
    """A pickle that would run code when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was run')",)


@pytest.mark.parametrize("wrapped", [TENSORS, {"state_dict": TENSORS, "epoch": 3}, {f"module.{key}": one for key, one in TENSORS.items()}])  # fmt: skip
def test_tensors_come_back_from_plain_files_and_from_checkpoints(tmp_path: Path, wrapped: dict[str, object]) -> None:
    torch.save(wrapped, tmp_path / "head.pth")
    found = read(tmp_path / "head.pth")
    assert found.keys() == TENSORS.keys() and all(torch.equal(found[key], TENSORS[key]) for key in found)


@pytest.mark.parametrize("old", [False, True])
def test_a_file_that_was_cut_short_is_refused_by_name(tmp_path: Path, old: bool) -> None:
    torch.save(TENSORS, tmp_path / "head.pt", _use_new_zipfile_serialization=not old)
    save_file(TENSORS, tmp_path / "head.safetensors")
    for name in ("head.pt", "head.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for length in (0, 10, len(whole) // 2, len(whole) - 8):
            (tmp_path / name).write_bytes(whole[:length])
            with pytest.raises(InputError, match=rf"{name}' (cannot be read|holds more than tensors, or is damaged)"):
                read(tmp_path / name)


@pytest.mark.parametrize("held", [Harm(), {"weight": Harm()}])
def test_a_pickle_is_refused_without_being_run(tmp_path: Path, held: object) -> None:
    torch.save(held, tmp_path / "head.pth")
    with pytest.raises(InputError, match=r"head\.pth' holds more than tensors"):
        read(tmp_path / "head.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(held, protocol=2))
    with pytest.raises(InputError, match=r"plain\.pth' (holds more than tensors|cannot be read)"):
        read(tmp_path / "plain.pth")


@pytest.mark.parametrize("held", [torch.ones(2), [1, 2], {"epoch": 3}, {}])
def test_a_file_without_tensors_by_name_is_refused(tmp_path: Path, held: object) -> None:
    torch.save(held, tmp_path / "head.pth")
    with pytest.raises(InputError, match=r"head\.pth' holds no tensors by name"):
        read(tmp_path / "head.pth")


def claims(shape: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """A tensor of that shape over four numbers."""
    return torch.as_strided(torch.arange(4.0), shape, stride)


@pytest.mark.parametrize(
    "tensor",
    [
        claims((100_000, 100_000), (0, 0)), claims((2, 10**9), (1, 0)), claims((3, 2), (1, 1)), claims((2, 2), (0, 1)),
        torch.empty(10, 10, device="meta"), torch.eye(3).to_sparse(), torch.ones(2, dtype=torch.complex64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("old", [False, True])
def test_a_tensor_whose_values_are_not_in_the_file_one_by_one_is_refused_before_it_is_copied(
    tensor: torch.Tensor, old: bool, tmp_path: Path
) -> None:
    """A 1.8 kB file asked for 40 GB."""
    torch.save(
        {"bias": torch.ones(2), "layers.0.weight": tensor},
        tmp_path / "head.pth",
        _use_new_zipfile_serialization=not old,
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"head\.pth' (has 'layers\.0\.weight'|cannot be read|holds more than)"):
        read(tmp_path / "head.pth")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_part_of_a_larger_tensor_and_a_turned_one_are_whole(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    torch.save({"turned": whole.T, "row": whole[1], "every other": whole[:, ::2]}, tmp_path / "head.pth")
    found = read(tmp_path / "head.pth")
    assert torch.equal(found["turned"], whole.T) and torch.equal(found["every other"], whole[:, ::2])


def test_a_file_that_was_packed_is_refused(tmp_path: Path) -> None:
    """Zeros pack a thousand times."""
    torch.save({"weight": torch.zeros(1000, 1000)}, tmp_path / "head.pth")
    with (
        zipfile.ZipFile(tmp_path / "head.pth") as plain,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for one in plain.infolist():
            packed.writestr(one.filename, plain.read(one))
    with pytest.raises(InputError, match=r"packed\.pth' has its part .* packed"):
        read(tmp_path / "packed.pth")


@pytest.mark.parametrize(
    "held", [{1: torch.ones(2)}, {"module.a": torch.ones(1), "a": torch.ones(1)}, {None: torch.ones(1)}]
)
def test_names_that_are_no_names_or_one_are_refused(held: object, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "head.pth")
    with pytest.raises(InputError, match=r"head\.pth' holds"):
        read(tmp_path / "head.pth")


def test_values_that_are_not_finite_are_refused_by_their_name(tmp_path: Path) -> None:
    with torch.device("meta"):
        module = torch.nn.Linear(3, 2)
    with pytest.raises(InputError, match=r"values in 'bias' that are not finite"):
        fill(module, {"weight": torch.ones(2, 3), "bias": torch.tensor([1.0, float("nan")])}, tmp_path / "head.pth")


@settings(deadline=None, derandomize=True, database=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data(), old=st.booleans())
def test_no_changed_byte_of_a_pickle_gives_a_traceback(data: st.DataObject, old: bool, tmp_path: Path) -> None:
    file = tmp_path / f"head-{old}.pth"
    torch.save(TENSORS, file, _use_new_zipfile_serialization=not old)
    whole = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "changed.pth").write_bytes(whole)
    found = {}
    with contextlib.suppress(InputError):  # a refusal, and no other exception
        found = read(tmp_path / "changed.pth")
    assert all(one.numel() * one.element_size() <= len(whole) for one in found.values())


def test_of_a_folder_the_only_file_is_meant_and_safetensors_come_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no weights at .*\.safetensors, \.pt, \.pth"):
        weight_file(tmp_path)
    for name in ("b.pt", "notes.txt"):
        (tmp_path / name).write_text(name)
    assert weight_file(tmp_path) == weight_file(tmp_path / "b.pt") == tmp_path / "b.pt"
    with pytest.raises(InputError, match=r"no weights at .*notes\.txt"):
        weight_file(tmp_path / "notes.txt")
    (tmp_path / "a.pth").write_text("a")
    with pytest.raises(InputError, match=r"more than one file of weights \('a\.pth', 'b\.pt'\)"):
        weight_file(tmp_path)
    (tmp_path / "c.safetensors").write_text("c")
    assert weight_file(tmp_path) == tmp_path / "c.safetensors"
    assert len(version_of_file(tmp_path / "b.pt")) == 12 and version_of_file(tmp_path / "b.pt") != version_of_file(tmp_path / "a.pth")  # fmt: skip


def test_a_module_without_weights_is_filled_whole_and_in_float32(tmp_path: Path) -> None:
    with torch.device("meta"):
        module = torch.nn.Linear(3, 2)
    fill(module, {key: one.half() for key, one in TENSORS.items()}, tmp_path / "f.pt")
    assert module.weight.dtype == torch.float32 and torch.equal(module(torch.ones(1, 3)), torch.tensor([[4.0, 13.0]]))
    for changed, told in (
        ({"weight": TENSORS["weight"]}, "f.pt' lacks 'bias'"),
        (TENSORS | {"more": TENSORS["bias"]}, "f.pt' also holds 'more'"),
        (TENSORS | {"bias": torch.ones(3)}, r"f.pt' has 'bias' of the shape \(3,\), not \(2,\)"),
    ):
        with pytest.raises(InputError, match=told):
            fill(module, changed, tmp_path / "f.pt")


def test_linear_layers_fold_into_one_or_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(5, 4).double(), torch.nn.Linear(4, 3).double(), torch.nn.Linear(3, 1).double()]
    tensors = {f"{i}.{key}": one.detach() for i, layer in enumerate(layers) for key, one in layer.state_dict().items()}
    weight, bias = folded(tensors, ["0", "1", "2"], tmp_path / "f.pt")
    rows = torch.randn(6, 5, dtype=torch.float64)
    assert rows.numpy() @ weight + bias == pytest.approx(torch.nn.Sequential(*layers)(rows).detach()[:, 0].numpy(), abs=1e-12)  # fmt: skip
    broken = tensors | {"1.bias": torch.tensor([1.0, float("nan"), 0.0])}
    for handed, names, told in (
        (tensors, ["0", "2"], "'2' of the shape .* does not follow"),
        (tensors, ["0", "1"], "does not end in one number"),
        (tensors, ["0", "9"], "lacks '9.weight'"),
        (broken, ["0", "1", "2"], "values in '1.bias' that are not finite"),
    ):
        with pytest.raises(InputError, match=told):
            folded(handed, names, tmp_path / "f.pt")
