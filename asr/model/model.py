"""A trained model: one directory that holds everything needed to turn samples into words.

    model.json       what it is: format, kind, sample rate, feature pipeline, scales, conventions, versions, hashes
    phones.txt words.txt lexicon.tsv
    transitions.npz  topology and transition model      tree.json  phone context -> pdf    (of HMMs, not with CTC)
    transforms.npz   what the feature pipeline learned  am.npz     the acoustic model
    HCLG.fst         the decoding graph                 README.md  the model's card
    HCL.fst G.fst reach.npz     instead of it: words and grammar apart, which are composed while decoding
    letters.tsv      how new words are spelled, where the lexicon came from letters
    aligner.npz      of a model that adapts to speakers: the acoustic model of the first pass
    am.safetensors or am.onnx instead, with priors in am.npz, where the acoustic model is a network, and adapter.npz
        where GMMs adapt its features

Nothing in it is code, and nothing is unpickled: loading a stranger's model runs nothing of the stranger's.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from importlib import resources
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..display.brief import many
from ..errors import AudioError, GraphError, LexiconError, ModelError, did_you_mean
from ..features.pipeline import FeaturePipeline
from ..files import kind_of, replacing, sha256
from ..lang.lexicon import Lexicon
from ..options import given, known_names
from .acoustic import AcousticModel
from .adaptation import UNADAPTED, Adaptation, adapt, estimated
from .confidence import Calibrator, LatticeOptions, calibrated, searched, without_unsure
from .directory import kind_of_model, read_directory, write_parts
from .fit import Reference, evidence
from .transcript import TimedPhone, TimedWord, Transcript
from .units import HmmUnits, Units
from .word_times import word_segments
from .workers import Workers

if TYPE_CHECKING:
    from ..audio.source import Sound
    from ..decoding import BeamSearch, BestPath
    from ..features.table import FeatureTable
    from ..gmm.fmllr import Fmllr
    from ..graph.const_fst import Graph
    from ..graph.dynamic import DynamicGraph
    from ..lang.letters import LetterTable
    from .streaming import RecognitionStream

_SHOWN_WORDS = 8  # in a message
_PUNCTUATION = '.,;:!?"()'


@dataclass(frozen=True)
class DecodingOptions:
    """How a model's graph is searched; what was tuned on held-out data is stored with the model.

    Attributes:
        acoustic_scale: factor on the log-likelihoods before they meet the graph's costs.
        insertion_penalty: natural-log cost added for every word.
        beam: natural-log distance from the best token at which others are dropped.
        max_active: tokens kept in a frame at most.
    """

    acoustic_scale: float = 0.1
    insertion_penalty: float = 0.0
    beam: float = 13.0
    max_active: int = 7000


@dataclass(frozen=True, eq=False)
class Model:
    """A trained recogniser. Make one with `asr.load`, or from its parts after training.

    Attributes:
        features: from samples to the acoustic model's input.
        lexicon: words and their phones.
        units: what the labels of graph and alignments stand for, HMMs or the phones of CTC (asr.model.units).
        acoustic: log-likelihoods of pdfs.
        graph: HCLG, or words and grammar apart, or None for a model that only aligns.
        decoding: scales and beams.
        seed: of the training run.
        card: the text of README.md: data, results, limits.
        adaptation: a SpeakerAdaptation where `acoustic` is for features after a speaker's fMLLR transform.
            Decoding is then in several passes (asr.model.adaptation).
        joiner: the sign at the ends of words of the graph where they join (asr.lang.subwords); empty where all are
            whole.
        letters: how its words are spelled, where the lexicon says them so; new words are then said by the same rule.
        reference: how recordings of its kind look to it, which tells others from them; None where nothing is told.
        calibrator: what the posteriors of its words are worth; None where that was not learnt.
        lattices: what is looked for besides the best words, see `with_alternatives`; not saved.
    """

    features: FeaturePipeline
    lexicon: Lexicon
    units: Units
    acoustic: AcousticModel
    graph: "Graph | DynamicGraph | None"
    decoding: DecodingOptions = DecodingOptions()
    seed: int = 0
    card: str = ""
    adaptation: Adaptation = UNADAPTED
    joiner: str = ""
    letters: "LetterTable | None" = None
    reference: Reference | None = None
    calibrator: Calibrator | None = None
    lattices: LatticeOptions | None = None

    def __repr__(self) -> str:
        lexicon = f"{many(self.lexicon.n_words, 'word')}, {many(self.lexicon.n_phones, 'phone')}"
        rate = f"{self.sample_rate} Hz" if self.sample_rate else "of given features"
        graph = "no graph" if self.graph is None else repr(self.graph)[1:-1]
        return f"<Model: {self.kind}, {lexicon}, {rate}, {repr(self.acoustic)[1:-1]}, {graph}>"

    def __getstate__(self) -> dict[str, Any]:
        """What is copied: the parts, without what was made of them for searches, which are one's own."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _repr_html_(self) -> str:
        from .html import model_html

        return model_html(self)

    @property
    def hmms(self) -> HmmUnits:
        """The transitions and the tree of a model of HMMs.

        Raises:
            ModelError: for a model of CTC, which has neither.
        """
        return self.units.hmms

    @property
    def kind(self) -> str:
        """What it is, as model.json has it: "gmm-hmm", "dnn-hmm", either with "-fmllr" behind it, or "ctc"."""
        return kind_of_model(self)

    @property
    def sample_rate(self) -> int:
        """Hz; 0 for a model that takes features."""
        return self.features.sample_rate

    @property
    def streaming(self) -> bool:
        """Whether nothing of a recording's future is needed: not by the features, nor to adapt to the speaker."""
        return self.features.streaming and self.acoustic.is_framewise and not self.adaptation.adapts

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame of features to the next."""
        return self.features.frame_shift

    @property
    def subsampling(self) -> int:
        """Frames of features to one of log-likelihoods."""
        return self.acoustic.subsampling

    @property
    def first_pass(self) -> AcousticModel:
        """The acoustic model for features as they are, before any adaptation to their speaker."""
        return self.adaptation.first(self.acoustic)

    @cached_property
    def decoder(self) -> "BeamSearch":
        """The search over this model's graph.

        Raises:
            ModelError: where the model has none.
        """
        return self.new_decoder()

    @cached_property
    def wider(self) -> "Model":
        """The same model, searched with four times the beam, as forced alignment does where it finds no end."""
        return self.with_decoding(beam=4 * self.decoding.beam)

    def new_decoder(self) -> "BeamSearch":
        """The same for oneself, so that several can run side by side."""
        from ..decoding import SearchOptions, decoder_of

        if self.graph is None:
            raise ModelError(
                "this model has no decoding graph (HCLG.fst); build one: asr.model.graphs.with_graph, asr graph"
            )
        return decoder_of(self.graph, self.units.pdf_of_label, SearchOptions(**asdict(self.decoding)))

    @known_names
    def with_decoding(
        self,
        *,
        acoustic_scale: float | None = None,
        insertion_penalty: float | None = None,
        beam: float | None = None,
        max_active: int | None = None,
    ) -> "Model":
        """The same model, searched with other scales or beams; None is what it has. See `DecodingOptions`."""
        changes = given(
            acoustic_scale=acoustic_scale, insertion_penalty=insertion_penalty, beam=beam, max_active=max_active
        )
        return replace(self, decoding=replace(self.decoding, **changes))

    def with_alternatives(
        self,
        n: int = 1,
        *,
        beam: float = LatticeOptions.beam,
        least: float = 0.0,
        marks: bool = False,
        lattice: bool = False,
    ) -> "Model":
        """The same model, whose transcripts have words with confidences and the best word sequences.

        Confidences are probabilities that a word is right where the model has a calibrator, otherwise posteriors of its
        lattice, see `Transcript.is_calibrated`.

        Args:
            n: word sequences, of each piece of a long recording.
            beam: nats that they may be worse than the best one, at the model's acoustic scale.
            least: words with less confidence are left out of the transcript (not of its alternatives), or
            marks: put in parentheses.
            lattice: transcripts have the words' lattice in Kaldi's text form, see `Transcript.lattice`.

        Raises:
            ValueError: for numbers out of range.
        """
        return replace(self, lattices=LatticeOptions(n, beam, least, marks, lattice))

    def transcribe(
        self, audio: "Sound | np.ndarray", rate: int | None = None, *, channel: str | int = "mix"
    ) -> Transcript:
        """The words of one recording.

        One of more than a minute is cut at its pauses, as `asr transcribe` does. Silence gives an empty transcript.

        Args:
            audio: a path, the bytes of a file or an open one; or samples: floats in [-1, 1] or 8-, 16- or 32-bit
                integers, (n_samples,) or (n_samples, n_channels).
            rate: the samples' rate in Hz, needed with them. A file knows its own.
            channel: "mix" for the mean of all channels, or the number of one, from 0.

        Raises:
            AudioError: for a recording that cannot be used.
            ModelError: if this model takes features.
        """
        from .transcription import recognise_one

        samples = self.read(audio, rate, channel=channel)
        return recognise_one(self, samples=samples).of(samples, self.sample_rate)

    def stream(self, rate: int | None = None) -> "RecognitionStream":
        """For a signal that is still arriving, as from a microphone: feed it pieces, get the words so far.

        Args:
            rate: the samples' in Hz; None for a model that takes features.

        Raises:
            ModelError: for a model that needs a recording's end (see `streaming`).
            AudioError: without a rate.

        Examples:
            >>> stream = asr.load("digits").stream(16000)                # doctest: +SKIP
            >>> for piece in microphone: print(stream.accept(piece))     # doctest: +SKIP
            >>> stream.finish().words                                    # doctest: +SKIP
        """
        from .streaming import RecognitionStream

        return RecognitionStream(self, rate)

    def transcribe_features(self, raw: np.ndarray) -> Transcript:
        """The words of one recording whose features are given.

        Args:
            raw: numbers (n_frames, raw_dim), as the corpus of a model of given features had them, or as the front-end
                of another model would give them: before normalisation, derivatives and whatever else the pipeline does.

        Raises:
            CorpusError: for another shape or values that are not finite.
        """
        from .transcription import recognise_one

        return recognise_one(self, raw=raw)

    def read(self, audio: "Sound | np.ndarray", rate: int | None = None, *, channel: str | int = "mix") -> np.ndarray:
        """Samples at the model's rate, float32 in [-1, 1], from a file or from samples. As for `transcribe`."""
        from .. import audio as audio_room

        self.features.need_audio()
        if isinstance(audio, (str, os.PathLike, bytes)) or hasattr(audio, "read"):
            if rate is not None:
                raise AudioError(f"rate={rate!r} was given with a file, which knows its own; leave it out")
            return audio_room.read(cast("Sound", audio), self.sample_rate, channel=channel).samples
        samples = audio_room.check_samples(audio, channel=channel)
        return audio_room.resample(samples, audio_room.need_rate(rate, self.sample_rate), self.sample_rate)

    def decode(self, features: np.ndarray) -> Transcript:
        """The words of one utterance's features, in one pass.

        Args:
            features: float32 (n_frames, dim), after the whole pipeline; and after the speaker's transform, where the
                model adapts to speakers (see `decode_together`).
        """
        return self._recognised(self.acoustic.log_likelihoods(features), features)

    def decode_together(
        self,
        features: "Mapping[str, np.ndarray] | FeatureTable",
        speakers: Mapping[str, str],
        *,
        passed: Callable[[str, int], object] | None = None,
        workers: "Workers | None" = None,
    ) -> Iterator[tuple[str, Transcript]]:
        """The ids and words of several utterances, which tell of their speakers where the model adapts to them.

        Args:
            features: id -> float32 (n_frames, dim), after the whole pipeline.
            speakers: id -> speaker.
            passed: called with an id and the number of the pass, from 1, when it was decoded in one before the last.
            workers: this model's, who decode; None: all is done here.
        """
        workers = Workers(self) if workers is None else workers
        transforms = adapt(self, features, speakers, passed=passed, workers=workers)
        tasks = ((name, (_adapted_words, (features[name], transforms.get(name)))) for name in features)
        for name, found in workers.each(tasks):
            assert found is not None
            yield name, found.get()

    def _recognised(self, loglikes: np.ndarray, features: np.ndarray) -> Transcript:
        """The best words for some log-likelihoods, and how well these suit the model."""
        found, lattice = self._searched(loglikes)
        path, _ = found[0]
        is_speech = ~self.units.is_silence(path.labels, self.lexicon.silence_id)
        seen = evidence(loglikes, self.units.pdf_of_label[path.labels], is_speech)
        sequences = tuple(self._sure(self.transcript(path, features), path, posteriors) for path, posteriors in found)
        transcript = sequences[0]
        if self.lattices is not None:
            transcript = replace(transcript, alternatives=sequences, lattice=lattice)
            transcript = without_unsure(transcript, self.lattices.least, marks=self.lattices.marks)
        if self.reference is None:
            return replace(transcript, evidence=seen)
        differs = self.reference.clearly_differs(seen) and transcript.words
        unlike = ((transcript.words[0].start, transcript.words[-1].end),) if differs else ()
        return replace(transcript, evidence=seen, fits=self.reference.fits(seen), unlike=unlike)

    def _searched(self, loglikes: np.ndarray) -> "tuple[list[tuple[BestPath, np.ndarray | None]], str]":
        """The best path, or the best ones with their words' posteriors, where asked for; the lattice as text."""
        if self.lattices is None:
            return [(self.decoder.decode(loglikes), None)], ""
        found, words = searched(self.decoder, loglikes, self.lattices)
        if not self.lattices.lattice:
            return [*found], ""
        from ..lattice import lattice_text

        unscaled = words.rescale(acoustic=1.0 / self.decoding.acoustic_scale)  # as Kaldi's decoders write it
        return [*found], lattice_text(unscaled, self.lexicon.words)

    def align(
        self,
        audio: "Sound | np.ndarray",
        text: str,
        rate: int | None = None,
        *,
        channel: str | int = "mix",
        lexicon: "str | os.PathLike | Lexicon | None" = None,
    ) -> Transcript:
        """Where the given words were said: forced alignment of one recording.

        Args:
            audio: as for `transcribe`.
            rate: as for `transcribe`.
            channel: as for `transcribe`.
            text: the words, separated by blanks.
            lexicon: how words are said that the model's own lexicon lacks: a lexicon or its file, "cmudict",
                "g2p:FOLDER", or another source of `asr.lang.sources.build_lexicon`. Words of models that were trained
                on spellings need none: new ones are spelled in the same way.

        Raises:
            LexiconError: that names the words for which there is no pronunciation.
            ModelError: where no alignment is found.
        """
        _check_text(text)
        samples = self.read(audio, rate, channel=channel)
        found = self.align_features(self.features.front_end(samples), text, lexicon=lexicon)
        return found.of(samples, self.sample_rate)

    def align_features(
        self, raw: np.ndarray, text: str, *, lexicon: "str | os.PathLike | Lexicon | None" = None
    ) -> Transcript:
        """Forced alignment of one recording whose features are given.

        Args:
            raw: as for `transcribe_features`.
            text: as for `align`.
            lexicon: as for `align`.
        """
        _check_text(text)
        finished = self.features.finish([self.features.raw(raw)], ["speaker"])[0]
        return self.saying(text, lexicon).align_finished(finished, text)

    def saying(self, text: str, lexicon: "str | os.PathLike | Lexicon | None" = None) -> "Model":
        """The model that can say each word of a text: itself, or one without graph, which has more words.

        Arguments and errors: as of `align`.
        """
        new = list(self.lexicon.oov_words([text]))
        if not new or self.lexicon.oov == "unk":
            return self
        from ..lang.sources import extended

        longer, lost = extended(self.lexicon, new, [] if lexicon is None else [lexicon], self.letters)
        if not lost:
            return replace(self, lexicon=longer, graph=None)
        shown = "; ".join(f"{word!r}: {why}" for word, why in list(lost.items())[:_SHOWN_WORDS])
        more = f"; and {len(lost) - _SHOWN_WORDS} more" if len(lost) > _SHOWN_WORDS else ""
        advice = (
            "give a lexicon that has them (lexicon=FILE; --lexicon FILE), cmudict or g2p:FOLDER, or correct the text"
        )
        if any(word.casefold().strip(_PUNCTUATION) in self.lexicon.words for word in lost):
            advice = f"the model writes its words in lower case without punctuation (asr text normalize); or {advice}"
        raise LexiconError(f"words without pronunciation: {shown}{more}; {advice}")

    def align_finished(self, features: np.ndarray, text: str) -> Transcript:
        """Forced alignment of one utterance's features, float32 (n_frames, dim), after the whole pipeline."""
        if text and self.lexicon.oov_words([text]):
            return self.saying(text).align_finished(features, text)
        words = self.lexicon.encode(text)
        assert words is not None  # none of them is unknown
        acoustic, features = self._adapted(features, words)
        try:
            found = self.units.align(acoustic, features, words, self.lexicon, self.decoding.acoustic_scale)
        except ModelError as error:
            raise ModelError(f"{text!r} cannot be aligned: {error}") from None
        return self._timed(found.labels, words, found.score, features)

    def _adapted(self, features: np.ndarray, words: Sequence[int]) -> tuple[AcousticModel, np.ndarray]:
        """The acoustic model to align words with, and the features after the transform that a first alignment suggests.

        Args:
            features: of one utterance, as they are.
        """
        if not self.adaptation.adapts:
            return self.acoustic, features
        scale, alignments = self.decoding.acoustic_scale, dict[str, np.ndarray]()
        with contextlib.suppress(ModelError):  # without an alignment there is no transform
            first = self.units.align(self.first_pass, features, words, self.lexicon, scale)
            alignments["utterance"] = first.labels
        found = estimated(self, {"utterance": features}, alignments, {"utterance": "speaker"})
        return self.adaptation.suited(self.acoustic, features, found.get("speaker"))

    def transcript(self, path: "BestPath", features: np.ndarray | None = None) -> Transcript:
        """A decoder's best path with names and times.

        Args:
            features: float32 (n_frames, dim) of the utterance, which tell a model of CTC where the pauses are.

        Raises:
            GraphError: for a label that is no word of the lexicon.
        """
        if len(path.words) and path.words.max() > self.lexicon.n_words:
            raise GraphError(f"the graph has the word {path.words.max()}; the lexicon has {self.lexicon.n_words}")
        words = [int(w) for w in path.words]
        return self._timed(path.labels, words, path.score, features, reached_final=path.reached_final)

    def _timed(
        self,
        alignment: np.ndarray,
        word_ids: list[int],
        score: float,
        features: np.ndarray | None,
        *,
        reached_final: bool = True,
    ) -> Transcript:
        """An alignment and its words with names and times.

        Args:
            features: as of `transcript`.
        """
        segments = self.units.segments(alignment, features, self.features, self.subsampling)
        tokens = word_segments(segments, word_ids, self.lexicon)
        words, phone, seconds = self._words(word_ids), self.lexicon.phones.name, self._seconds
        return Transcript(
            text=" ".join(word for word, _, _ in words),
            words=tuple(TimedWord(w, *seconds(tokens[a].start, tokens[b - 1].end)) for w, a, b in words),
            phones=tuple(TimedPhone(phone(s.phone), *seconds(s.start, s.end)) for s in segments),
            score=float(score),
            reached_final=reached_final,
            alignment=alignment,
        )

    def _sure(self, transcript: Transcript, path: "BestPath", posteriors: np.ndarray | None) -> Transcript:
        """The transcript with confidences; of a word in parts the least of theirs counts."""
        if posteriors is None:
            return transcript
        spans = self._words([int(w) for w in path.words])
        words = tuple(
            replace(word, confidence=round(float(np.clip(posteriors[a:b].min(), 0.0, 1.0)), 4))
            for word, (_, a, b) in zip(transcript.words, spans, strict=True)
        )
        transcript = replace(transcript, words=words)
        return transcript if self.calibrator is None else calibrated(transcript, self.calibrator)

    def text(self, word_ids: Iterable[int]) -> str:
        """What the labels of a path say, with parts of words put together."""
        return " ".join(word for word, _, _ in self._words(word_ids))

    def _words(self, word_ids: Iterable[int]) -> list[tuple[str, int, int]]:
        tokens = [self.lexicon.words.name(int(w)) for w in word_ids]
        if not self.joiner:
            return [(token, i, i + 1) for i, token in enumerate(tokens)]
        from ..lang.subwords import whole_words

        return whole_words(tokens, self.joiner)

    def _seconds(self, start: int, end: int) -> tuple[float, float]:
        """Times of the boundaries before two frames; what begins with the first frame begins with the recording."""
        # With subsampling by 3, frame t stands for the frames 3 t - 1 to 3 t + 1 of the features.
        first = self.features.first_boundary - (self.subsampling - 1) // 2 * self.frame_shift
        shift = self.frame_shift * self.subsampling
        return round(start * shift + first, 4) if start else 0.0, round(end * shift + first, 4)

    def save(self, directory: str | os.PathLike) -> Path:
        """Write the model directory, whole or not at all; an older one of that name is replaced.

        Raises:
            OSError: where nothing can be written, and for a folder of other files.
        """
        with replacing(directory, mark="model.json") as temporary:
            temporary.mkdir()
            description = write_parts(self, temporary)
            files = {p.name: {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in sorted(temporary.iterdir())}
            text = json.dumps({**description, "files": files}, indent=2, ensure_ascii=False)
            (temporary / "model.json").write_text(text + "\n", encoding="utf-8")
        return Path(directory)


def _adapted_words(model: Model, features: np.ndarray, transform: "Fmllr | None") -> Transcript:
    """A task: the words of an utterance's features after its speaker's transform."""
    acoustic, suited = model.adaptation.suited(model.acoustic, features, transform)
    found = model._recognised(acoustic.log_likelihoods(suited), features)
    return replace(found, transform="" if transform is None else transform.kind)


def _check_text(text: str) -> None:
    """Raise ModelError for what is no text, such as the rate that `transcribe` takes in its place."""
    if not isinstance(text, str):
        value = repr(text) if isinstance(text, Number) else f"of type {type(text).__name__}"
        raise ModelError(f"text is {value}; need the words in one str: align(audio, text, rate)")


def load(model: str | os.PathLike) -> Model:
    """A model from its directory, or a shipped one by name.

    Raises:
        ModelError: where the directory is incomplete, damaged, or of a newer format.

    Examples:
        >>> asr.load("digits").transcribe("seven.wav").text          # doctest: +SKIP
        'seven'
    """
    from ..decoding import SearchOptions

    directory = find_model(model)
    parts = read_directory(directory)
    try:
        decoding = DecodingOptions(**parts.pop("decoding"))
        SearchOptions(**asdict(decoding))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{directory / 'model.json'}: decoding: {error}; train or tune the model anew") from None
    return Model(**parts, decoding=decoding)


def shipped_models() -> list[str]:
    """The names of the models inside the package."""
    folder = resources.files("asr") / "data" / "models"
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def find_model(model: str | os.PathLike) -> Path:
    """The directory of a model given by path or by a shipped model's name.

    Raises:
        ModelError: where there is none.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(f"model is of type {type(model).__name__}; need a directory, or a shipped model's name: digits")
    path = Path(model)
    if os.fspath(model) and kind_of(path / "model.json") == "file":
        return path
    if str(model) in shipped_models():
        return Path(str(resources.files("asr") / "data" / "models" / str(model)))
    if os.fspath(model) and kind_of(path) != "missing":
        raise ModelError(f"{path}: not a model directory, model.json is missing or may not be read")
    known = shipped_models()
    raise ModelError(
        f"no model {str(model)!r}: neither a directory nor a shipped model"
        f"{did_you_mean(str(model), known)}; shipped: {', '.join(known) or 'none'}"
    )
