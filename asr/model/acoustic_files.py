"""The acoustic models of model directories, by family: their files, and how these are written and read."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from ..errors import ModelError
from .acoustic import ONNX_FILE, TORCH_FILE, AcousticModel, NetworkModel
from .adaptation import read_gmms
from .networks import read_network, write_network
from .parts import load_arrays, reading, save_arrays

if TYPE_CHECKING:
    from ..gmm.model import DiagGmms


class Family(Protocol):
    """How acoustic models of a family are kept.

    Attributes:
        estimates_transforms: whether such a model finds the transforms of speakers itself.
    """

    estimates_transforms: ClassVar[bool]

    def files(self, description: Mapping[str, Any]) -> tuple[str, ...]:
        """The files that one needs.

        Args:
            description: model.json.
        """
        ...

    def write(self, directory: Path, acoustic: AcousticModel) -> dict[str, Any]:
        """Write the files; returns what model.json says of them."""
        ...

    def read(
        self, directory: Path, description: Mapping[str, Any], dim: int, n_pdfs: int
    ) -> "tuple[AcousticModel, DiagGmms | None]":
        """What `write` wrote, of a dimension and for some pdfs; and the GMMs that find transforms, if these are it.

        Raises:
            ModelError: naming the file.
        """
        ...


class _Gmms:
    """Gaussians, in am.npz."""

    estimates_transforms: ClassVar[bool] = True

    def files(self, description: Mapping[str, Any]) -> tuple[str, ...]:
        return ("am.npz",)

    def write(self, directory: Path, acoustic: AcousticModel) -> dict[str, Any]:
        save_arrays(directory / "am.npz", acoustic.arrays())
        return {}

    def read(
        self, directory: Path, description: Mapping[str, Any], dim: int, n_pdfs: int
    ) -> "tuple[AcousticModel, DiagGmms | None]":
        gmms = read_gmms(directory / "am.npz", dim, n_pdfs)
        return gmms, gmms


class _Networks:
    """A network of torch's or in ONNX, with priors in am.npz; see asr.model.networks."""

    estimates_transforms: ClassVar[bool] = False

    def files(self, description: Mapping[str, Any]) -> tuple[str, ...]:
        file = description.get("network_file")
        return ("am.npz", file if file in (TORCH_FILE, ONNX_FILE) else TORCH_FILE)

    def write(self, directory: Path, acoustic: AcousticModel) -> dict[str, Any]:
        return write_network(directory, cast(NetworkModel, acoustic))

    def read(
        self, directory: Path, description: Mapping[str, Any], dim: int, n_pdfs: int
    ) -> "tuple[AcousticModel, DiagGmms | None]":
        path = directory / "am.npz"
        with reading(path):
            arrays = load_arrays(path)
        with reading(directory / str(description.get("network_file"))):
            acoustic = read_network(directory, description, arrays, dim, n_pdfs)
            if acoustic.subsampling != description["subsampling"]:
                raise ModelError(
                    f"subsampling is {acoustic.subsampling}; model.json says {description['subsampling']!r}"
                )
        return acoustic, None


FAMILIES: dict[str, Family] = {"gmm": _Gmms(), "dnn": _Networks()}
"""By `AcousticModel.family`."""
