"""A recogniser from a folder of given features: planned, trained, resumed, transcribed with, and given other words.

The features come from a planted HMM: a letter has three states with a mean each, a speaker moves all of them.
"""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

import asr
from asr.cli import main
from asr.corpus import Corpus, Utterance
from asr.corpus.recordings import find_recordings
from asr.errors import AsrError, ConfigError, CorpusError, GraphError, LexiconError
from asr.features.archive import write_matrix
from asr.hmm.decision_tree import DecisionTree
from asr.lang.sources import extended
from asr.lm import read_arpa
from asr.lm import train as train_lm
from asr.model.adaptation import UNADAPTED
from asr.model.regraph import listed_words, with_language_model, with_words, words_of_graph
from asr.model.transcription import transcribe_all
from asr.model.units import HmmUnits
from asr.recipe.own_data import check_place, planned
from asr.recipe.own_evidence import recognise_held_out
from asr.recipe.own_training import gpus_of, train_recogniser
from asr.scoring import score
from asr.scoring.reading import read_transcripts
from asr.train.data import Data

DIM, NOISE, N_SPEAKERS = 6, 0.6, 3
WORDS = ["abe", "bade", "cab", "dace", "ebb", "face", "fed", "cede"]


def planted(folder, n_utterances, seed=0, words=WORDS):
    """Utterances of one to four words as SPEAKER/ID.npy and .txt; speech of a speaker is 0.8 off, another way each."""
    fixed = np.random.default_rng(1)
    means = {letter: fixed.normal(size=DIM) * 2 + 0.7 * fixed.normal(size=(3, DIM)) for letter in "abcdef"}
    shifts = fixed.normal(size=(N_SPEAKERS, DIM)) * 0.8
    rng = np.random.default_rng(seed)
    for i in range(n_utterances):
        said = rng.choice(words, size=rng.integers(1, 5)).tolist()
        rows = [np.repeat(np.full((1, DIM), -3.0), rng.integers(8, 16), axis=0)]
        for letter in "".join(said):
            rows += [np.repeat(mean[None], rng.geometric(1 / 3), axis=0) for mean in means[letter]]
        rows.append(rows[0])
        path = np.concatenate(rows)
        speaker = folder / f"s{i % N_SPEAKERS}"
        speaker.mkdir(parents=True, exist_ok=True)
        features = path + NOISE * rng.normal(size=path.shape) + shifts[i % N_SPEAKERS]
        write_matrix(speaker / f"u{seed}-{i:03}.npy", features.astype(np.float32))
        (speaker / f"u{seed}-{i:03}.txt").write_text(" ".join(said))
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("corpus"), 150)


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("recogniser") / "out"
    plan = planned(Corpus.read(corpus), held_out="24")
    return plan, out, train_recogniser(plan, out)


def test_a_ladder_from_a_folder(trained, corpus):
    plan, out, outcome = trained
    assert {p.name for p in out.iterdir()} == {"model", "report.html", "work"}
    assert len(plan.held_out) == 24 and len(plan.train) == 126 and not plan.by_speaker
    assert outcome.rows["speaker's recordings together"][0] <= outcome.rows["each recording alone"][0] + 5
    assert outcome.rows["speaker's recordings together"][0] < 10, outcome.table()
    assert outcome.table().count("adapted to") == 2
    assert "speaker's recordings together: adapted to 3 speakers: " in outcome.table()
    report = (out / "report.html").read_text()
    assert "Each recording alone: adapted to 24 speakers" in report
    assert "24 held out" in report and f"{outcome.rows['each recording alone'][1]:.2f}" in report
    model = asr.load(out / "model")
    assert (
        not model.streaming
        and isinstance(model.hmms.tree, DecisionTree)
        and "126 of 126 utterances of the training part are trained on" in model.card
    )
    assert [step.kind for step in model.features.steps] == ["given", "cmvn", "splice", "affine"]
    assert model.features.dim == 40


def test_new_recordings_are_transcribed_from_the_directory_alone(trained, tmp_path):
    """Two passes hear a speaker's recordings together, as a corpus names them; one by one they are a little worse."""
    _, out, _ = trained
    folder = planted(tmp_path / "new", 30, seed=5)
    said = {p.stem: p.read_text() for p in folder.rglob("*.txt")}
    (folder / "list.tsv").write_text(
        "id\tspeaker\tfeatures\n" + "".join(f"{p.stem}\t{p.parent.name}\t{p.parent.name}/{p.name}\n"
                                            for p in sorted(folder.rglob("*.npy")))
    )  # fmt: skip
    model = asr.load(out / "model")

    def errors(place, of=model, **options):
        recordings, failures = find_recordings([place], **options)
        found = {r.id: t.text for r, t in transcribe_all(of, recordings)}
        assert not failures and len(found) == 30
        return score(said, found).rate

    together, alone = errors(folder / "list.tsv"), errors(folder)
    assert together == errors(folder, speaker="^s[0-9]+") and alone != together
    assert together < 10 and together <= alone + 1 and alone < 20
    first_pass = replace(model, acoustic=model.first_pass, adaptation=UNADAPTED)
    assert together <= errors(folder / "list.tsv", first_pass)


def test_the_command_tells_how_it_adapted(trained, tmp_path, monkeypatch, capsys):
    folder = planted(tmp_path / "new", 9, seed=9)
    arguments = ["asr", "transcribe", str(trained[1] / "model"), str(folder), "-v"]
    lines = []
    for more in ([], ["--speaker", "^s[0-9]+"]):
        monkeypatch.setattr("sys.argv", arguments + more)
        with pytest.raises(SystemExit):
            main()
        told = capsys.readouterr()
        lines.append(told.err.strip())
        assert len(told.out.splitlines()) == 9
    assert "asr: adapted to 9 speakers: " in lines[0] and "less than 2 s of speech" in lines[0]
    assert "asr: adapted to 3 speakers: " in lines[1] and "3 by a shift" not in lines[1]


def test_alignment_adapts_too(trained, tmp_path):
    _, out, _ = trained
    folder = planted(tmp_path / "new", 3, seed=6)
    model = asr.load(out / "model")
    for path in folder.rglob("*.npy"):
        text = path.with_suffix(".txt").read_text()
        found = model.align_features(np.load(path), text)
        assert found.text == text and found.reached_final and len(found.alignment) == len(np.load(path))
    silence = np.full((30, DIM), -3.0) + 0.1 * np.random.default_rng(0).normal(size=(30, DIM))
    assert len(model.transcribe_features(silence).text.split()) <= 1  # nothing to adapt to: pass 1 decides


def test_a_model_of_letters_aligns_words_that_it_never_saw(trained, tmp_path):
    """It is told by its directory alone how words are spelled; a letter that nobody said is named."""
    model = asr.load(trained[1] / "model")
    assert model.letters is not None and model.letters.units == tuple("abcdef")
    folder = planted(tmp_path / "new", 3, seed=6, words=["decaf", "bead", "cab"])
    for path in folder.rglob("*.npy"):
        text = path.with_suffix(".txt").read_text()
        found = model.align_features(np.load(path), text.upper())
        assert found.text == text.upper() and "".join(p.phone for p in found.phones if p.phone != "SIL") == "".join(
            text.split()
        )
    frames = np.load(next(folder.rglob("*.npy")))
    with pytest.raises(LexiconError, match=r"'zoo': the model has no 'z', 'o'; .*lexicon=FILE"):
        model.align_features(frames, "cab zoo")
    sounds = replace(model, letters=None)
    with pytest.raises(LexiconError, match="'decaf': it has no pronunciation in the model"):
        sounds.align_features(frames, "cab decaf")
    (tmp_path / "lexicon").write_text("decaf d e c a f\n")
    assert sounds.align_features(frames, "decaf", lexicon=tmp_path / "lexicon").text == "decaf"


def test_the_same_call_goes_on_where_it_stopped(trained, corpus, tmp_path, monkeypatch, caplog):
    plan, out, outcome = trained
    monkeypatch.setattr("asr.train.ladder.train_stage", lambda *a, **k: pytest.fail("trained again"))
    again = train_recogniser(planned(Corpus.read(corpus), held_out="24"), out)
    assert again.rows == outcome.rows
    monkeypatch.undo()

    def killed(stage, *arguments, **how):
        if stage == "tri":
            raise KeyboardInterrupt
        return real(stage, *arguments, **how)

    from asr.train.ladder import train_stage as real

    short = replace(plan, stages=("mono", "tri"))
    monkeypatch.setattr("asr.train.ladder.train_stage", killed)
    with pytest.raises(KeyboardInterrupt):
        train_recogniser(short, tmp_path / "out")
    assert (tmp_path / "out" / "work" / "mono" / "model").is_dir()
    assert not (tmp_path / "out" / "work" / "tri").exists() and not (tmp_path / "out" / "model").exists()
    monkeypatch.setattr("asr.train.ladder.train_stage", real)
    caplog.set_level(logging.INFO, "asr.recipe")
    assert train_recogniser(short, tmp_path / "out").rows["each recording alone"][0] < 25
    assert "mono: there already" in caplog.text and not asr.load(tmp_path / "out" / "model").adaptation.adapts


def test_a_network_without_hmms_is_trained_transcribes_and_learns_new_words(corpus, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from asr.nn.options import TrainingOptions
    from asr.recipe.own_training import ctc_table

    assert [ctc_table(hours).options.training.max_epochs for hours in (0.1, 1.0, 4.5, 100.0)] == [60, 30, 14, 10]
    training = TrainingOptions(max_epochs=30, batch_frames=512, learning_rate=0.01, schedule="cosine", patience=0)
    network = {"kind": "recurrent", "layers": 1, "width": 32, "context": 2, "subsampling": 3, "dropout": 0.0}
    table = ctc_table(1.0)
    small = replace(table, options=replace(table.options, training=training), network=network)
    monkeypatch.setattr("asr.recipe.own_training.ctc_table", lambda hours: small)
    plan, out = planned(Corpus.read(corpus), held_out="24", stages=("ctc",)), tmp_path / "out"
    outcome = train_recogniser(plan, out)
    wer, _ = outcome.rows["each recording alone"]
    assert wer < 30 and "a network of 8 outputs" in (outcome.model / "README.md").read_text()
    fit = json.loads((out / "work" / "evidence" / "value.json").read_text())["fit"]
    assert len(fit) > 100 and all(value <= 0 for value in fit.values())  # of the transcripts, by the network's spikes
    model = asr.load(outcome.model)
    folder = planted(tmp_path / "new", 6, seed=9)
    recordings, failures = find_recordings([folder])
    assert len(recordings) == 6 and not failures
    found = {r.id: result for r, result in transcribe_all(model, recordings)}
    texts = {p.stem: p.read_text() for p in folder.rglob("*.txt")}
    assert score(texts, {u: t.text for u, t in found.items()}).rate < 40
    aligned = model.align_features(np.load(next(folder.rglob("u9-000.npy"))), texts["u9-000"])
    assert aligned.text == texts["u9-000"] and all(w.start < w.end for w in aligned.words)
    more, lost = with_words(model, [*WORDS, "decaf"], ["letters"])
    assert not lost and "decaf" in more.lexicon and more.graph is not None
    with pytest.raises(ConfigError, match="begin with mono"):
        planned(Corpus.read(corpus), stages=("tri",))


def test_what_a_network_cannot_be_trained_on_is_told(tmp_path, monkeypatch, caplog):
    """Every second transcript is twelve times too long: these are counted on the screen, and in run.log."""
    pytest.importorskip("torch")
    from asr.nn.options import TrainingOptions
    from asr.recipe.own_training import ctc_table

    network = {"kind": "recurrent", "layers": 1, "width": 8, "context": 2, "subsampling": 3, "dropout": 0.0}
    table, training = ctc_table(1.0), TrainingOptions(max_epochs=1, patience=0)
    short = replace(table, options=replace(table.options, training=training), network=network)
    monkeypatch.setattr("asr.recipe.own_training.ctc_table", lambda hours: short)
    folder = planted(tmp_path / "corpus", 60)
    for path in sorted(folder.rglob("*.txt"))[::2]:
        path.write_text(" ".join([path.read_text()] * 12))
    caplog.set_level(logging.INFO, "asr")
    plan = planned(Corpus.read(folder), stages=("ctc",))
    train_recogniser(plan, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "work" / "ctc" / "training.json").read_text())["failures"]
    assert 24 <= len(told) <= 30 and all("too short for its transcript" in why for why in told.values())
    line = f"CTC: {len(told)} of 54 utterances are left out, such as "
    log = (tmp_path / "out" / "work" / "run.log").read_text()
    assert caplog.text.count(line) == log.count(line) == 1
    assert log.index(line) < log.index("epoch 1: ")  # before anything is trained on the others
    number = f"{52 - len(told)} of 54 utterances of the training part are trained on, 2 tell the best epoch"
    assert log.count(number) == 1 and log.index(number) < log.index(line)
    assert number in (tmp_path / "out" / "model" / "README.md").read_text()
    assert "ctc: 1 epoch will take about 1 minute on two cores; with less than 2 hours of speech" in caplog.text


def test_a_device_that_cannot_be_used_is_told_at_once(monkeypatch):
    torch = pytest.importorskip("torch")
    for name, stages, message in (
        ("gpu", ("ctc",), "device 'gpu'; need cpu, cuda or auto"),
        ("cuda", ("mono",), "only networks use a GPU"),
    ):
        with pytest.raises(ConfigError, match=message):
            gpus_of(name, stages)
    for count, found in ((0, None), (1, "0")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda count=count: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert gpus_of("auto", ("ctc",)) == found and gpus_of("cpu", ("ctc",)) is None
        assert gpus_of("auto", ("mono", "tri")) is None
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(AsrError, match="GPU"):
        gpus_of("cuda", ("ctc",))


def test_the_grid_grows_where_the_best_is_at_its_edge(trained, monkeypatch, tmp_path, caplog):
    """The best scale lies beyond what is tried at first."""
    _, out, _ = trained
    monkeypatch.setattr(HmmUnits, "acoustic_scales", (0.4, 0.8))
    data, graph = Data.load(out / "work" / "features"), asr.load(out / "work" / "graph" / "model")
    found = recognise_held_out(graph, data, list(read_transcripts(out / "work" / "held-out" / "references.tsv")))
    tried = {p.acoustic_scale for p in found.points}
    assert {0.4, 0.8} < tried and sorted(tried)[-3] == pytest.approx(0.2)
    chosen = found.model.decoding.acoustic_scale
    at_end = chosen in (min(tried), max(tried))
    assert ("that was tried" in caplog.text) == at_end and (not at_end or len(tried) == 5)


def test_an_open_vocabulary_recognises_words_that_nobody_trained(corpus, tmp_path, monkeypatch):
    """Every word in syllables: a new word of known ones comes out whole, with its times."""
    monkeypatch.setattr("asr.recipe.own_data.FEWEST_WHOLE", 10**6)
    plan = planned(Corpus.read(corpus), held_out="24", stages=("mono",), vocabulary="open")
    assert plan.order == 4 and plan.parts.vowels == "ae" and plan.parts.words["bade"] == "ba+ +de"
    assert "0 words are whole, 8 rare ones in parts" in " ".join(plan.notes)
    outcome = train_recogniser(plan, tmp_path / "out")
    assert outcome.rows["each recording alone"][0] < 35 and "8 words and new ones" in asr.load(outcome.model).card
    model = asr.load(outcome.model)
    new = ["bace", "fade", "dade"]
    folder = planted(tmp_path / "new", 24, seed=7, words=new)
    recordings, _ = find_recordings([folder])
    said = {p.stem: p.read_text() for p in folder.rglob("*.txt")}
    found = {r.id: t for r, t in transcribe_all(model, recordings)}
    assert score(said, {u: t.text for u, t in found.items()}).rate < 50  # 100 % where the vocabulary is closed
    for transcript in found.values():
        assert transcript.text == " ".join(w.word for w in transcript.words) and "+" not in transcript.text
        times = [t for w in transcript.words for t in (w.start, w.end)]
        assert times == sorted(times)
        for word in transcript.words:
            phones = [p.phone for p in transcript.phones if word.start <= p.start < word.end and p.phone != "SIL"]
            assert "".join(phones) == word.word
    path = next(folder.rglob("*.npy"))
    assert model.align_features(np.load(path), "cede fed").text == "cede fed"
    assert asr.load(replace(model, joiner="").save(tmp_path / "plain")).joiner == ""


def test_what_an_open_vocabulary_needs(corpus, tmp_path):
    with pytest.raises(ConfigError, match="said as they are spelled; the lexicon is of cmudict"):
        planned(utterances(*["one two"] * 20), sources=["cmudict"], vocabulary="open")
    with pytest.raises(ConfigError, match="vocabulary 'opn'; need closed or open"):
        planned(utterances(*["one two"] * 20), vocabulary="opn")
    with pytest.raises(CorpusError, match=r"sign where parts join.*c\+"):
        planned(utterances(*["c+ two"] * 20), vocabulary="open")
    strangers = {planned(Corpus.read(corpus), held_out="2").held_out.ids[0]: "fade zoo"}
    changed = Corpus(replace(u, text=strangers.get(u.id, "cede face abe bad")) for u in Corpus.read(corpus))
    notes = " ".join(planned(changed, held_out="2", vocabulary="open").notes)
    assert "2 of the 6 held-out words (33.3 %)" in notes and "but 1 of these can be put together from parts" in notes
    closed = planned(changed, held_out="2")
    assert closed.order == 3 and closed.parts is None and closed.vocabulary.entries == closed.lexicon.entries
    assert "they cannot be recognised; a larger text (--lm-text) helps, or --vocabulary open" in " ".join(closed.notes)


def test_a_damaged_aligner_is_an_error(trained, tmp_path):
    model = asr.load(trained[1] / "model")
    directory = model.save(tmp_path / "model")
    content = (directory / "aligner.npz").read_bytes()
    (directory / "aligner.npz").write_bytes(content[:-5])
    with pytest.raises(AsrError, match=r"aligner\.npz"):
        asr.load(directory)
    other = asr.load(trained[1] / "work" / "mono" / "model")
    unfit = replace(model.adaptation, first_pass=other.acoustic)
    with pytest.raises(AsrError, match=r"aligner\.npz"):
        asr.load(replace(model, adaptation=unfit).save(tmp_path / "other"))


def test_other_words_for_a_trained_model(trained, tmp_path):
    model = asr.load(trained[1] / "model")
    few, lost = with_words(model, ["cab", "dace", "bead", "zoo"], ["letters"])
    assert lost == {"zoo": "the model has no 'z', 'o'"} and "bead" in few.lexicon and "zoo" not in few.lexicon
    assert np.array_equal(few.hmms.transitions.tuples, model.hmms.transitions.tuples)
    assert (
        list(few.lexicon.phones)[: model.lexicon.n_phones + 1] == list(model.lexicon.phones)[: few.lexicon.n_phones + 1]
    )
    few.save(tmp_path / "few")
    folder = planted(tmp_path / "new", 4, seed=8)
    for path in folder.rglob("*.npy"):
        heard = asr.load(tmp_path / "few").transcribe_features(np.load(path)).text.split()
        assert set(heard) <= {"cab", "dace", "bead"}
    own = read_arpa(trained[1] / "work" / "language-model" / "lm.arpa.gz")
    same, lost = with_language_model(model, own)
    assert not lost and same.graph.n_arcs == model.graph.n_arcs
    more, lost = with_language_model(model, train_lm(["cab bead"], 2))  # the model knows that it spells its words
    assert not lost and "bead" in more.lexicon and words_of_graph(more) == (2, 0)
    with_dictionary = replace(model, letters=None)
    assert list(with_language_model(with_dictionary, train_lm(["cab bead"], 2))[1]) == ["bead"]
    assert extended(model.lexicon, ["zzz"], ["letters"])[1] == {"zzz": "the model has no 'z'"}
    with pytest.raises(GraphError, match=r"none of the 1 word .*'z', 'o'"):
        with_words(model, ["zoo"])
    (tmp_path / "words").write_text("one two\none\n")
    assert listed_words(tmp_path / "words") == ["one", "two"]


def utterances(*texts, speaker="ann"):
    return Corpus([Utterance(f"u{i}", speaker, features=f"u{i}.npy", text=text) for i, text in enumerate(texts)])


def test_what_cannot_work_is_said_before_anything_slow(tmp_path, monkeypatch):
    several, lexicon = ["one two"] * 20, tmp_path / "lexicon"
    lexicon.write_text("one W AH N\n")
    for made, message in (
        (lambda: planned(utterances("one")), "1 utterance with a transcript; 10 or more"),
        (lambda: planned(utterances(*[""] * 12)), "no recording of the corpus has a transcript"),
        (lambda: planned(utterances(*several), held_out="18"), "18 of 20 utterances held out leave 2"),
        (lambda: planned(utterances(*several), held_out="many"), "held out 'many'"),
        (lambda: planned(utterances(*several), held_out="speaker:bob"), "no speaker bob to hold out; .* ann"),
        (lambda: planned(utterances(*several), held_out="speaker:ann"), "leave 0 to train on"),
        (lambda: planned(utterances(*several), sources=["cmudcit"]), "no source of pronunciations"),
        (
            lambda: planned(utterances(*["xyzzy plugh"] * 20), sources=[str(lexicon)]),
            "no source has any of the 2 words",
        ),
        (lambda: planned(utterances(*several), stages=("mono", "trip")), "did you mean 'tri'"),
        (lambda: planned(utterances(*several), stages=("tri", "mono")), "begin with mono"),
        (lambda: planned(utterances(*several), text=tmp_path / "none"), "cannot be read"),
    ):
        with pytest.raises((CorpusError, ConfigError, LexiconError, AsrError), match=message):
            made()


def test_notes_say_what_a_person_should_know(corpus, tmp_path):
    (tmp_path / "text").write_text("cab dace\nbead zoo\n")
    (tmp_path / "lexicon").write_text("abe a b e\nbade b a d e\ncab c a b\ndace d a c e\nebb e b b\nface f a c e\n")
    plan = planned(Corpus.read(corpus), text=tmp_path / "text", held_out="speaker:s1")
    assert plan.by_speaker and len(plan.held_out) == 50 and "bead" in plan.lexicon and "zoo" not in plan.lexicon
    notes = "\n".join(plan.notes)
    assert "150 utterances of 3 speakers" in notes and "none of theirs is trained on" in notes
    assert "zoo" in notes and "held-out sentences are in the training part, too" in notes
    plan = planned(Corpus.read(corpus), sources=[str(tmp_path / "lexicon")])
    notes = "\n".join(plan.notes)
    assert set(plan.oov) == {"fed", "cede"} and f"fed ({plan.oov['fed']})" in notes
    assert "have no pronunciation" in notes and plan.lexicon.oov == "skip"
    assert len(plan.held_out) == 15 and [u.id for u in plan.held_out] == [
        u.id for u in planned(Corpus.read(corpus), stages=("mono",)).held_out
    ]


def test_a_place_for_the_outcome(tmp_path):
    check_place(tmp_path / "new")
    check_place(tmp_path / "new")
    (tmp_path / "file").write_text("x")
    for place, message in ((tmp_path / "file", "no folder"), (tmp_path, "holds other files"),
                           (tmp_path / "file" / "x", "cannot be written")):  # fmt: skip
        with pytest.raises(AsrError, match=message):
            check_place(place)


def test_hypotheses_of_halves_are_all_there(trained):
    _, out, outcome = trained
    folder = out / "work" / "held-out"
    references, alone = read_transcripts(folder / "references.tsv"), read_transcripts(folder / "alone.tsv")
    assert references.keys() == alone.keys() and len(references) == 24
    assert score(references, alone).rate == outcome.rows["each recording alone"][0]
