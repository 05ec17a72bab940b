"""Which rows of a batch are this process's, when several train one model together.

All draw the same noise for the whole batch and keep their own rows, so the result does not depend on how many they are.
Knows torch.distributed. Does not know what is trained, nor who started the processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as together
from torch import Tensor

from prompts.errors import InputError

Rows = TypeVar("Rows", bound=Sequence[int] | Tensor)


@dataclass(frozen=True)
class Share:
    """This process is number `rank` of `of`, and computes on `device`."""

    rank: int = 0
    of: int = 1
    device: torch.device | str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def mine(self, rows: Rows) -> Rows:
        """The rows of the whole batch that are this process's. Raises InputError when they cannot be shared evenly."""
        each, rest = divmod(len(rows), self.of)
        if rest:
            raise InputError(
                f"a batch of {len(rows)} examples cannot be shared by {self.of} processes: give a batch_size (and a dataset of at "
                f"least so many) that is a multiple of {self.of}"
            )
        return cast(Rows, rows[self.rank * each : (self.rank + 1) * each])

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.of > 1:
            for tensor in tensors:
                together.all_reduce(tensor)
                tensor /= self.of

    def mean(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Each number's mean over the processes."""
        if self.of == 1:
            return dict(numbers)
        values = torch.tensor(list(numbers.values()), dtype=torch.float64, device=self.device)
        self.average([values])
        return dict(zip(numbers, values.tolist(), strict=True))

    def any(self, said: bool) -> bool:
        """Whether any process said so."""
        return self.mean({"said": float(said)})["said"] > 0

    def wait(self) -> None:
        """Until all are here."""
        if self.of > 1:
            together.barrier()


ALONE = Share()


def share(device: torch.device) -> Share:
    """This process's share: all, unless a process group was begun."""
    if not (together.is_available() and together.is_initialized()):
        return Share(device=device)
    return Share(together.get_rank(), together.get_world_size(), device)
