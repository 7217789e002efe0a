"""The settings of each kind of network, and the networks built from them. Importing this does not import torch."""

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from ..errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from .layers import Network

Activation = Literal["sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus"]
Normalization = Literal["batch", "layer", "none"]
Initialization = Literal["xavier", "he", "orthogonal"]

_MOST_LAYERS, _MOST_ANY = 1000, 10**9
_MOST = {"layers": _MOST_LAYERS, "subsampling": 1000, **dict.fromkeys(("context", "offsets", "kernel", "pool"), 10_000)}


@dataclass(frozen=True)
class NetworkConfig:
    """What every kind of network can choose. A subclass adds its own settings and the `kind` it is known by.

    Raises:
        ConfigError: for a name that is not one of the choices.
        ValueError: for a number out of range.
    """

    kind: ClassVar[str] = ""

    dropout: float = 0.1  # share of a layer's outputs set to zero in training
    initialization: Initialization = "he"  # of the weights; biases begin at 0
    zero_output: bool = True  # the output layer begins at 0: every class equally likely, as in Kaldi's chain networks
    subsampling: int = 1  # input frames to one row of output; 3 for LF-MMI

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                value, known = getattr(self, name), get_args(hint)
                near, listed = did_you_mean(str(value), known), ", ".join(map(repr, known))
                raise ConfigError(f"{type(self).__name__}.{name} is {value!r}{near} (known: {listed})")
            self._check_most(name, getattr(self, name))
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}; it is at least 0 and below 1")
        self._check_least(1, "subsampling")

    def _check_most(self, name: str, value: Any) -> None:
        """Raises:
        ValueError: for numbers that are a slip, or made to take all memory and time.
        """
        if isinstance(value, tuple):
            if len(value) > _MOST_LAYERS:
                raise ValueError(f"{name} has {len(value)} values; need {_MOST_LAYERS} or fewer")
            for inner in value:
                self._check_most(name, inner)
        elif isinstance(value, (int, float)) and not abs(value) <= _MOST.get(name, _MOST_ANY):
            raise ValueError(f"{name}={value}; need {_MOST.get(name, _MOST_ANY)} or less")

    def _check_least(self, least: int, *names: str) -> None:
        """Raises:
        ValueError: unless each of these settings, or every number in it, is at least so much.
        """
        for name in names:
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not numbers or min(numbers) < least:
                raise ValueError(f"{name}={value}; it needs numbers of {least} or more")


@dataclass(frozen=True)
class DnnConfig(NetworkConfig):
    """A feed-forward network over spliced frames: the classical hybrid."""

    kind: ClassVar[str] = "dnn"

    context: int = 5  # frames on each side that one output sees
    hidden: tuple[int, ...] = (512, 512, 512, 512)  # width of each layer
    activation: Activation = "relu"
    normalization: Normalization = "batch"  # after the activation, as in Kaldi's relu-batchnorm-layer

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(0, "context")
        self._check_least(1, "hidden")


@dataclass(frozen=True)
class TdnnConfig(NetworkConfig):
    """A time-delay network: each layer splices a few frames of the layer below; factorised with a bottleneck.

    With subsampling only the frames that an output needs are computed: layers above the last one with an offset that is
    no multiple of it work on every third frame, say, and cost a third.
    """

    kind: ClassVar[str] = "tdnn"

    width: int = 512  # of each layer
    offsets: tuple[tuple[int, ...], ...] = (  # frames of the layer below that a layer sees, lowest layer first
        (-2, -1, 0, 1, 2),
        (-1, 0, 1),
        (-1, 0, 1),
        (-3, 0, 3),
        (-3, 0, 3),
        (-3, 0, 3),
    )
    bottleneck: int = 0  # values between the two factors of each layer but the lowest (TDNN-F); 0: one matrix per layer
    bypass: float = 0.66  # with a bottleneck: how much of a layer's input is added to its output
    activation: Activation = "relu"
    normalization: Normalization = "batch"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(1, "width")
        self._check_least(0, "bottleneck")
        _check_offsets(self.offsets)


@dataclass(frozen=True)
class CnnConfig(NetworkConfig):
    """Convolutions over time and frequency, of filterbanks rather than cepstra, below the layers of a TDNN."""

    kind: ClassVar[str] = "cnn"

    maps: int = 1  # equal parts of the features, each one picture: 3 for filterbanks with two orders of deltas
    channels: tuple[int, ...] = (32, 32, 64)  # of each convolution
    kernel: tuple[int, int] = (3, 3)  # frames and frequencies, both odd
    pool: tuple[int, ...] = (2, 1, 2)  # neighbouring frequencies of which each convolution's largest value is kept
    pointwise: int = 0  # channels that a 1x1 convolution leaves for the layers above; 0 for none
    width: int = 512  # of each layer above
    offsets: tuple[tuple[int, ...], ...] = ((-1, 0, 1), (-3, 0, 3), (-3, 0, 3))  # as in TdnnConfig, above the pictures
    activation: Activation = "relu"
    normalization: Normalization = "batch"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(1, "maps", "channels", "kernel", "pool", "width")
        self._check_least(0, "pointwise")
        _check_offsets(self.offsets)
        _check_pictures(self)


@dataclass(frozen=True)
class RecurrentConfig(NetworkConfig):
    """An LSTM or GRU, in one direction or both."""

    kind: ClassVar[str] = "recurrent"

    initialization: Initialization = "xavier"  # of the input matrices; recurrent ones are orthogonal
    cell: Literal["lstm", "gru"] = "lstm"
    bidirectional: bool = True
    layers: int = 3
    width: int = 256  # of a layer, in each direction
    context: int = 2  # frames on each side that the lowest layer sees at once
    normalization: Normalization = "batch"  # of each layer's output

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(1, "layers", "width")
        self._check_least(0, "context")


@dataclass(frozen=True)
class CnnRecurrentConfig(RecurrentConfig):
    """Convolutions over time and frequency, of filterbanks rather than cepstra, below an LSTM or GRU."""

    kind: ClassVar[str] = "cnn_recurrent"

    context: int = 1  # frames on each side of the convolutions' output that the lowest recurrent layer sees at once
    maps: int = 1  # as in CnnConfig
    beside: int = 0  # the last values of a frame that are no frequencies, such as 3 of pitch: not for the convolutions
    channels: tuple[int, ...] = (32, 32)
    kernel: tuple[int, int] = (3, 3)
    pool: tuple[int, ...] = (2, 2)
    activation: Activation = "relu"  # of the convolutions

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(1, "maps", "channels", "kernel", "pool")
        self._check_least(0, "beside")
        _check_pictures(self)


@dataclass(frozen=True)
class AttentionConfig(NetworkConfig):
    """A self-attention encoder (transformer), normalised before each part."""

    kind: ClassVar[str] = "attention"

    initialization: Initialization = "xavier"
    layers: int = 6
    width: int = 256  # a multiple of twice the heads
    heads: int = 4
    feedforward: int = 1024  # width inside the feed-forward parts
    context: int = 4  # frames on each side that the input layer sees at once
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(1, "layers", "width", "heads", "feedforward")
        self._check_least(0, "context")
        if self.width % (2 * self.heads):
            raise ValueError(f"width={self.width}; it must be a multiple of twice heads={self.heads}")


def _check_pictures(config: "CnnConfig | CnnRecurrentConfig") -> None:
    """Raises:
    ValueError: unless each convolution has its pooling, and a middle.
    """
    if len(config.pool) != len(config.channels):
        raise ValueError(f"pool={config.pool} for channels={config.channels}; it needs one number per convolution")
    if any(size % 2 == 0 for size in config.kernel):
        raise ValueError(f"kernel={config.kernel}; its sizes must be odd")


def _check_offsets(offsets: tuple[tuple[int, ...], ...]) -> None:
    """Raises:
    ValueError: unless there is a layer, and each sees a frame.
    """
    if not offsets or not all(offsets):
        raise ValueError(f"offsets={offsets}; it needs one list of frames per layer, such as [-1, 0, 1]")


# kind -> settings, and the network as a class or as "module.Class" of this package, imported when it is built.
_REGISTRY: dict[str, tuple[type, Any]] = {
    "dnn": (DnnConfig, "dnn.Dnn"),
    "tdnn": (TdnnConfig, "tdnn.Tdnn"),
    "cnn": (CnnConfig, "cnn.Cnn"),
    "recurrent": (RecurrentConfig, "recurrent.Recurrent"),
    "cnn_recurrent": (CnnRecurrentConfig, "cnn_recurrent.CnnRecurrent"),
    "attention": (AttentionConfig, "attention.Attention"),
}
_BUILT_IN = frozenset(_REGISTRY)


def register(kind: str, config_class: type, network_class: type) -> None:
    """Makes a network of one's own known by a name, for `build`, model directories and recipes.

    Args:
        kind: the name in "kind" of a JSON or TOML table; registering it again replaces it, but not those of this
            package.
        config_class: a frozen dataclass with `kind: ClassVar[str]` of the same name, best a subclass of NetworkConfig.
        network_class: called as network_class(config, dim, n_outputs); see `asr.nn.Network`.

    Raises:
        ConfigError: if the name is taken or the two names differ.
    """
    if kind in _BUILT_IN:
        raise ConfigError(f"network kind {kind!r} is one of the toolkit's own; give yours another name")
    if not dataclasses.is_dataclass(config_class) or getattr(config_class, "kind", None) != kind:
        raise ConfigError(f"{config_class.__name__} must be a dataclass with kind: ClassVar[str] = {kind!r}")
    _REGISTRY[kind] = (config_class, network_class)


def build(config: NetworkConfig, dim: int, n_outputs: int, *, seed: int = 0) -> "Network":
    """A network with initial weights, in training mode on the CPU.

    Args:
        dim: of the input features.
        n_outputs: columns of the output, e.g. pdfs.
        seed: of the initial weights; the same seed gives the same network. torch's own random state is left as it was.

    Raises:
        ConfigError: for settings that no registered network has.
        AsrError: if torch is missing.

    Before training, `network.normalize.set_statistics(mean, std)` takes those of the training features.
    """
    from ..extras import require_torch

    if _REGISTRY.get(config.kind, (None,))[0] is not type(config):
        raise ConfigError(f"{type(config).__name__} is not registered as a network; call asr.nn.register first")
    require_torch()
    import torch

    home = _REGISTRY[config.kind][1]
    if isinstance(home, str):
        module, name = home.split(".")
        home = getattr(importlib.import_module(f".{module}", __package__), name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = home(config, dim, n_outputs)
    missing = [a for a in ("dim", "n_outputs", "subsampling", "normalize") if not hasattr(network, a)]
    if missing:
        raise ConfigError(f"{home.__name__} lacks {', '.join(missing)}; make it a subclass of asr.nn.Network")
    return network


def to_json(config: NetworkConfig) -> dict[str, Any]:
    """A config as a JSON object: its "kind", then every setting, tuples as lists."""
    return {"kind": config.kind, **_listed(dataclasses.asdict(config))}


def config_from_json(table: Mapping[str, Any], *, where: str = "network: ") -> NetworkConfig:
    """The config that `to_json` wrote, or a [network] table of a recipe; settings left out have their defaults.

    Args:
        where: put before each name in messages, e.g. "model.json: network.".

    Raises:
        ConfigError: for an unknown kind or setting (with the nearest known one) or a wrong value.
    """
    from ..options import from_table

    settings = dict(table)
    kind = settings.pop("kind", None)
    if kind not in _REGISTRY:
        hint = did_you_mean(str(kind), _REGISTRY)
        raise ConfigError(
            f"{where}kind is {kind!r}{hint} (known: {', '.join(_REGISTRY)}); "
            "a network of your own must be registered with asr.nn.register before it is loaded"
        )
    return from_table(_REGISTRY[kind][0], settings, where=where)


def _listed(value: Any) -> Any:
    """The value with tuples as lists, all the way down."""
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    return [_listed(v) for v in value] if isinstance(value, (tuple, list)) else value
