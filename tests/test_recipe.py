"""Recipes: what may be written, what is refused, and what it sounds and looks like."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import assets, card
from benchmarks.contract import Audio
from benchmarks.errors import UserError
from benchmarks.recipe import Recipe, read_recipe
from benchmarks.scene import Scene, render

RATE_HZ = 8000
HEAD = f'name = "tiny"\nsummary = "tones"\nrate_hz = {RATE_HZ}\n'
CLIP = 'id = "one"\nscenario = "simple"\ntitle = "A tone in noise"\nlevel_db = 6.0\n'
SPEECH = 'speech = [{ tone_hz = 440.0, seconds = 1.0, words = "la", voice = "sine" }]\n'
NOISE = "background = [{ noise_seed = 1, seconds = 3.0 }]\n"
WHOLE = f"{HEAD}[[clip]]\n{CLIP}{SPEECH}{NOISE}"


def recipe_of(folder: Path, text: str) -> Recipe:
    file = folder / "tiny.toml"
    file.write_text(text, encoding="utf-8")
    return read_recipe(file)


def scene_of(folder: Path, clip: str) -> Scene:
    """The first clip of a recipe whose clip says only what differs."""
    recipe = recipe_of(folder, f"{HEAD}[[clip]]\n{CLIP}{clip}")
    return render(recipe, recipe.clip[0])


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))


def residual_db(reference: np.ndarray, other: np.ndarray) -> float:
    """What of ``other`` is no multiple of the reference, in dB of ``other``."""
    x, y = reference.astype(np.float64), other.astype(np.float64)
    left = y - x * (np.sum(x * y) / np.sum(x * x))
    return power_db(left + 1e-12) - power_db(y)


def partial_amplitude(samples: np.ndarray, hz: float) -> float:
    """The amplitude of a sine in one channel, by projection under a window."""
    window = np.hanning(len(samples))
    turn = np.exp(-2j * np.pi * hz / RATE_HZ * np.arange(len(samples)))
    return float(2 * np.abs(np.sum(samples * window * turn)) / np.sum(window))


def write_impulses(file: Path, *channels: dict[int, float]) -> None:
    """An impulse response: sample number to height, for each channel."""
    samples = np.zeros((RATE_HZ // 4, len(channels)), dtype=np.float32)
    for number, heights in enumerate(channels):
        for place, height in heights.items():
            samples[place, number] = height
    soundfile.write(file, samples, RATE_HZ, subtype="FLOAT")


# --- what may be written


def test_the_everyday_suite_is_as_wide_as_it_says() -> None:
    recipe = read_recipe("everyday")
    scenarios = [clip.scenario for clip in recipe.clip]
    assert {name: scenarios.count(name) for name in scenarios} == {
        "simple": 4,
        "music": 4,
        "crowd": 4,
    }
    assert recipe.rate_hz == 44100
    assert len({voice for clip in recipe.clip for voice in clip.voices}) >= 6
    music = [clip for clip in recipe.clip if clip.scenario == "music"]
    assert all(clip.song for clip in music)
    assert {max(-5.0, min(clip.level_db, 5.0)) for clip in music} == {-5.0, 0.0, 5.0}
    crowd = [clip for clip in recipe.clip if clip.scenario == "crowd"]
    assert all(0 <= clip.level_db <= 8 for clip in crowd)
    assert sum(clip.mixing is not None for clip in crowd) == 1
    assert sum(clip.room is not None for clip in crowd) == 1


def test_at_zero_db_one_song_is_clean_and_one_came_through_a_room_a_band_and_a_clock() -> None:
    songs = [
        (clip.level_db, {key for step in piece.through for key, v in vars(step).items() if v})
        for clip in read_recipe("everyday").clip
        for piece in clip.background
        if piece.song
    ]
    assert (0.0, set()) in songs
    assert (0.0, {"mono", "room", "band_hz", "clock_ppm"}) in songs
    assert sum("clock_ppm" in steps for _, steps in songs) >= 2


def test_the_transcript_is_what_the_pieces_say_in_order(tmp_path: Path) -> None:
    speech = """speech = [
        { tone_hz = 440.0, seconds = 0.2, words = "Good morning.", voice = "a" },
        { pause_seconds = 0.1 },
        { noise_seed = 3, seconds = 0.2, words = "Good night.", voice = "b" },
    ]\n"""
    recipe = recipe_of(tmp_path, f"{HEAD}[[clip]]\n{CLIP}{speech}{NOISE}")
    assert recipe.clip[0].transcript == "Good morning. Good night."
    assert recipe.clip[0].voices == ("a", "b")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("level_db", "levle_db", "clip 1 'one' has an unknown key 'levle_db'. Did you mean level"),
        ("noise_seed", "noise_sed", "background 1 has an unknown key 'noise_sed'. Did you mean"),
        ("summary", "sumary", "unknown key 'sumary'. Did you mean summary?"),
        ('title = "A tone in noise"\n', "", "clip 1 'one' lacks 'title'"),
        ("level_db = 6.0", 'level_db = "loud"', "level_db must be a number, not 'loud'"),
        ("level_db = 6.0", "level_db = true", "level_db must be a number"),
        ("rate_hz = 8000", "rate_hz = 8000.5", "rate_hz must be a whole number"),
        ("[[clip]]", "[clip]", "clip must be a list"),
        ("noise_seed = 1", 'noise_seed = 1, song = "x/y.mp3"', "exactly one of recording, song"),
        ("noise_seed = 1, seconds = 3.0", "noise_seed = 1", "needs seconds"),
        ("noise_seed = 1", 'say = "hello", voice = "jo"', "there is no voice 'jo'"),
        ("noise_seed = 1", 'recording = "ambiance/x.ogg"', "Did you mean ambience?"),
        ("noise_seed = 1", 'recording = "ambience/crowd-room.ogg"', "Did you mean crowded-room"),
        ("noise_seed = 1", 'recording = "nowhere.wav"', "neither a file nor an asset's"),
        ("seconds = 3.0", "seconds = 3.0, through = [{ band_hz = [5000, 300] }]", "[low, high]"),
        ("seconds = 3.0", "seconds = 3.0, through = [{ pan = 0.1, mono = true }]", "exactly one"),
        ("seconds = 3.0", "seconds = 3.0, through = [{ volume = 2 }]", "unknown key 'volume'"),
        ('id = "one"', 'id = "../one"', "names a folder"),
        (', words = "la"', "", "speech 1 lacks words"),
        ('tone_hz = 440.0, seconds = 1.0, words = "la"', "pause_seconds = 1.0", "nothing but pau"),
        (NOISE, "background = []\n", "has no background"),
        (NOISE, f"{NOISE}mixing = [[1.0], [1.0]]\n", "each row of mixing has two gains"),
        (NOISE, f"{NOISE}[[clip]]\n{CLIP}{SPEECH}{NOISE}", "two clips are called 'one'"),
        ("level_db", "level_db = = 3", "tiny.toml"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line_that_says_where(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    recipe_of(tmp_path, WHOLE)
    assert old in WHOLE
    with pytest.raises(UserError) as refusal:
        recipe_of(tmp_path, WHOLE.replace(old, new, 1))
    assert complaint in str(refusal.value)
    assert "tiny.toml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


ROOM = """[clip.room]
size_metres = [4.0, 3.0, 2.5]
rt60_seconds = 0.2
microphones_metres = [[1.0, 1.3, 1.2], [1.5, 1.3, 1.2]]
speech_metres = [2.2, 1.3, 1.2]
background_metres = [[1.0, 2.5, 1.2]]
"""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[2.2, 1.3, 1.2]", "[4.5, 1.3, 1.2]", "[4.5, 1.3, 1.2] is not inside [4.0, 3.0, 2.5]"),
        ("[2.2, 1.3, 1.2]", "[2.2, 1.3]", "is not inside"),
        ("[[1.0, 2.5, 1.2]]", "[]", "one place a background piece"),
        ("rt60_seconds", "rt60", "Did you mean rt60_seconds?"),
        ("[clip.room]", "mixing = [[1.0, 0.5]]\n[clip.room]", "choose one"),
    ],
)
def test_a_wrong_room_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert recipe_of(tmp_path, WHOLE + ROOM).clip[0].microphones_metres is not None
    with pytest.raises(UserError, match=r"tiny\.toml") as refusal:
        recipe_of(tmp_path, WHOLE + ROOM.replace(old, new, 1))
    assert complaint in str(refusal.value)


def test_an_unknown_suite_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no suite 'everday'. Did you mean everyday\?"):
        read_recipe("everday")


def test_a_recipe_that_is_missing_or_no_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes('name = "caf\xe9"'.encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_recipe(tmp_path / "latin.toml")


# --- what it sounds like


def test_the_stems_sum_exactly_on_the_grid_of_24_bit_integers(tmp_path: Path) -> None:
    heard = scene_of(tmp_path, SPEECH + NOISE)
    stems = heard.speech.samples.astype(np.float64), heard.background.samples.astype(np.float64)
    assert heard.mixture.samples.shape == (2, 2 * RATE_HZ)
    for samples in (*stems, heard.mixture.samples.astype(np.float64)):
        assert np.array_equal(samples * 2**23, np.rint(samples * 2**23))
        assert not np.any(np.signbit(samples) & (samples == 0)), "minus zero has other bytes"
    assert np.array_equal(heard.mixture.samples, (stems[0] + stems[1]).astype(np.float32))


@pytest.mark.parametrize("level_db", [-5.0, 0.0, 8.0])
def test_the_level_is_speech_power_over_background_power(tmp_path: Path, level_db: float) -> None:
    recipe = recipe_of(tmp_path, WHOLE.replace("level_db = 6.0", f"level_db = {level_db}"))
    heard = render(recipe, recipe.clip[0])
    level = power_db(heard.speech.samples) - power_db(heard.background.samples)
    assert level == pytest.approx(level_db, abs=1e-3)
    peak = max(np.abs(a.samples).max() for a in (heard.mixture, heard.speech, heard.background))
    assert 20 * np.log10(peak) == pytest.approx(-3.0, abs=1e-3)


def test_the_speech_stands_between_lead_in_and_lead_out(tmp_path: Path) -> None:
    edges = "lead_in_seconds = 0.25\nlead_out_seconds = 0.75\n"
    speech = scene_of(tmp_path, edges + SPEECH + NOISE).speech.samples
    loud = np.flatnonzero(np.abs(speech[0]) > 1e-4)
    assert speech.shape[1] == 2 * RATE_HZ
    assert loud[0] == pytest.approx(0.25 * RATE_HZ, abs=20)
    assert loud[-1] == pytest.approx(1.25 * RATE_HZ, abs=20)


def test_speech_pieces_are_equally_loud_but_for_their_gain(tmp_path: Path) -> None:
    quiet = 0.01 * np.random.default_rng(0).standard_normal(RATE_HZ)
    soundfile.write(tmp_path / "quiet.wav", quiet, RATE_HZ, subtype="FLOAT")
    speech = """lead_in_seconds = 0.0
    speech = [
        { recording = "quiet.wav", words = "a" },
        { noise_seed = 5, seconds = 1.0, words = "b", gain_db = -6.0 },
    ]\n"""
    samples = scene_of(tmp_path, speech + NOISE).speech.samples[0]
    difference = power_db(samples[:RATE_HZ]) - power_db(samples[RATE_HZ : 2 * RATE_HZ])
    assert difference == pytest.approx(6.0, abs=1e-3)


def test_a_clean_song_is_a_louder_or_softer_part_of_the_track_that_comes_along(
    tmp_path: Path,
) -> None:
    track = 0.3 * np.random.default_rng(2).standard_normal((6 * RATE_HZ, 2)).clip(-3, 3)
    soundfile.write(tmp_path / "song.wav", track, RATE_HZ, subtype="FLOAT")
    heard = scene_of(tmp_path, f'{SPEECH}background = [{{ song = "song.wav", from_seconds = 2 }}]')
    assert heard.song is not None
    assert heard.song.length == len(track)
    part = heard.song.samples[:, 2 * RATE_HZ : 4 * RATE_HZ]
    assert residual_db(part, heard.background.samples) < -90


def test_a_fast_clock_stretches_a_sound_by_its_parts_per_million(tmp_path: Path) -> None:
    ppm = 200.0
    tone = f"tone_hz = 1000.0, seconds = 9.0, through = [{{ clock_ppm = {ppm} }}]"
    edges = "lead_out_seconds = 6.5\n"
    background = scene_of(tmp_path, f"{edges}{SPEECH}background = [{{ {tone} }}]").background
    samples = background.samples[0].astype(np.float64)[200:-200]
    turns = np.exp(-2j * np.pi * 1000.0 / RATE_HZ * np.arange(len(samples)))
    slow = np.convolve(samples * turns, np.ones(800) / 800, mode="valid")  # the phase's drift
    cycles = np.diff(np.unwrap(np.angle(slow)))[100:-100].mean() / (2 * np.pi)
    assert cycles * RATE_HZ == pytest.approx(1000.0 / (1 + ppm * 1e-6) - 1000.0, rel=0.01)


def test_a_band_lets_only_itself_pass(tmp_path: Path) -> None:
    band = "through = [{ band_hz = [300, 2000] }]"
    time = np.arange(3 * RATE_HZ) / RATE_HZ
    both = np.sin(2 * np.pi * 1000 * time) + np.sin(2 * np.pi * 75 * time)
    soundfile.write(tmp_path / "two.wav", both, RATE_HZ, subtype="FLOAT")
    background = f'background = [{{ recording = "two.wav", {band} }}]'
    samples = scene_of(tmp_path, SPEECH + background).background.samples[0]
    # Two octaves below the edge, at 24 dB an octave.
    ratio = partial_amplitude(samples, 75.0) / partial_amplitude(samples, 1000.0)
    assert 20 * np.log10(ratio) < -45


def test_gains_say_how_background_pieces_stand_to_each_other(tmp_path: Path) -> None:
    tones = "{ tone_hz = 500.0, seconds = 3.0 }, { tone_hz = 900.0, seconds = 3.0, gain_db = -12 }"
    samples = scene_of(tmp_path, f"{SPEECH}background = [{tones}]").background.samples[0]
    ratio = partial_amplitude(samples, 900.0) / partial_amplitude(samples, 500.0)
    assert 20 * np.log10(ratio) == pytest.approx(-12.0, abs=0.1)


def test_a_sound_panned_hard_left_is_silent_on_the_right(tmp_path: Path) -> None:
    background = "background = [{ noise_seed = 1, seconds = 3.0, through = [{ pan = -1.0 }] }]"
    left, right = scene_of(tmp_path, SPEECH + background).background.samples
    assert power_db(left) > -60
    assert not np.any(right)


def test_a_repeated_sound_fills_the_clip_and_another_ends(tmp_path: Path) -> None:
    short = "noise_seed = 1, seconds = 0.3, at_seconds = 0.5"
    once = scene_of(tmp_path, f"{SPEECH}background = [{{ {short} }}]").background.samples[0]
    again = scene_of(tmp_path, f"{SPEECH}background = [{{ {short}, repeat = true }}]")
    start, stop = round(0.5 * RATE_HZ), round(0.8 * RATE_HZ)
    assert not np.any(once[:start])
    assert not np.any(once[stop:])
    assert power_db(again.background.samples[0, -RATE_HZ // 2 :]) > -60


def test_a_mixing_matrix_gives_each_microphone_its_gains(tmp_path: Path) -> None:
    heard = scene_of(tmp_path, f"mixing = [[1.0, 0.5], [0.6, -1.0]]\n{SPEECH}{NOISE}")
    for stem, ratio in ((heard.speech, 0.6), (heard.background, -2.0)):
        first, second = stem.samples.astype(np.float64)
        assert np.abs(second - ratio * first).max() < 2**-22


def test_in_a_room_the_nearer_microphone_hears_first_by_the_speed_of_sound(tmp_path: Path) -> None:
    write_impulses(tmp_path / "click.wav", {RATE_HZ // 8: 1.0})
    speech = 'speech = [{ recording = "click.wav", words = "click" }]\n'
    heard = scene_of(tmp_path, f"{speech}{NOISE}{ROOM}").speech.samples
    farther, nearer = np.abs(heard).argmax(axis=1)
    # The speech is 1.2 m from the first microphone and 0.7 m from the second.
    assert farther - nearer == pytest.approx(0.5 / 343.0 * RATE_HZ, abs=1.0)


def test_the_echo_is_what_comes_more_than_2_5_ms_after_the_direct_sound(tmp_path: Path) -> None:
    delay = 80  # samples, 10 ms
    write_impulses(tmp_path / "room.wav", {7: 1.0, 12: 0.9, 7 + delay: 0.5})
    speech = 'speech = [{ noise_seed = 4, seconds = 1.0, words = "sh" }]\n'
    heard = scene_of(tmp_path, f'{speech}background = [{{ echo = "room.wav" }}]')
    direct, echo = heard.speech.samples, heard.background.samples
    assert residual_db(direct[:, :-delay], echo[:, delay:]) < -80
    assert np.abs(echo[:, :delay]).max() < 1e-6


def test_a_room_convolves_channel_by_channel(tmp_path: Path) -> None:
    write_impulses(tmp_path / "room.wav", {0: 1.0}, {40: -1.0})
    noise = 'noise_seed = 1, seconds = 3.0, through = [{ room = "room.wav" }]'
    left, right = scene_of(tmp_path, f"{SPEECH}background = [{{ {noise} }}]").background.samples
    assert residual_db(left[:-40], -right[40:]) < -80


def test_one_recipe_is_one_sound(tmp_path: Path) -> None:
    first, second = (
        scene_of(tmp_path, SPEECH + NOISE + ROOM),
        scene_of(tmp_path, SPEECH + NOISE + ROOM),
    )
    assert first.mixture.samples.tobytes() == second.mixture.samples.tobytes()
    other = scene_of(tmp_path, SPEECH + NOISE.replace("noise_seed = 1", "noise_seed = 2") + ROOM)
    assert first.mixture.samples.tobytes() != other.mixture.samples.tobytes()


@pytest.mark.parametrize(
    ("background", "complaint"),
    [
        ('{ song = "short.wav", from_seconds = 0.5 }', "ends before the clip does"),
        ('{ recording = "short.wav", from_seconds = 2.0 }', "nothing lies between"),
        ('{ recording = "silent.wav" }', "its background is silent"),
        ("{ noise_seed = 1, seconds = 1.0, at_seconds = 9.0 }", "after the clip's end"),
        ('{ recording = "text.wav" }', "text.wav"),
    ],
)
def test_a_sound_that_can_not_be_used_is_one_line(
    tmp_path: Path, background: str, complaint: str
) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(RATE_HZ, 0.1), RATE_HZ)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    (tmp_path / "text.wav").write_text("no sound at all", encoding="utf-8")
    with pytest.raises(UserError) as refusal:
        scene_of(tmp_path, f"{SPEECH}background = [{background}]")
    assert complaint in str(refusal.value)


@pytest.mark.slow
def test_piper_says_the_same_samples_twice_and_whisper_hears_the_words(tmp_path: Path) -> None:
    from faster_whisper import WhisperModel

    from benchmarks import scene

    voice = '[voices."joe, deeper"]\npitch_semitones = -3.0\ntempo = 0.96\n'
    said = "Our train leaves at seven. Please bring some water."
    speech = f'speech = [{{ say = "{said}", voice = "joe, deeper" }}]\n'
    text = f"{HEAD}{voice}[[clip]]\n{CLIP}{speech}{NOISE}".replace("8000", "16000")
    recipe = recipe_of(tmp_path, text)
    first = render(recipe, recipe.clip[0])
    scene._piper.cache_clear()
    again = render(recipe, recipe.clip[0])
    assert first.speech.samples.tobytes() == again.speech.samples.tobytes()
    whisper = WhisperModel(str(assets.path("whisper-tiny-en")), device="cpu", compute_type="int8")
    segments, _ = whisper.transcribe(first.speech.mono(), language="en", temperature=0.0)
    heard = " ".join(segment.text for segment in segments).lower()
    assert "train" in heard
    assert "water" in heard


# --- what it looks like


def card_audio(seconds: float = 1.0) -> Audio:
    return Audio.of(0.1 * np.random.default_rng(0).standard_normal((2, int(8000 * seconds))), 8000)


def test_a_card_has_a_frame_for_every_twelfth_of_a_second_and_moves() -> None:
    frames = list(card.frames("music", "A title", card_audio(1.5)))
    assert len(frames) == 18
    assert {frame.shape for frame in frames} == {(card.HEIGHT, card.WIDTH, 3)}
    assert all(frame.dtype == np.uint8 for frame in frames)
    assert all(np.any(a != b) for a, b in itertools.pairwise(frames))


@pytest.mark.parametrize("title", ["", "x", "A title of a great many words " * 5, "Mot" * 40])
def test_a_title_never_reaches_the_waveform(title: str) -> None:
    drawn = next(card.frames("own", title, card_audio()))
    plain = next(card.frames("own", "", card_audio()))
    below = card.WAVE_TOP - 16
    assert np.array_equal(drawn[below:], plain[below:])


def test_scenarios_are_told_apart_by_colour() -> None:
    first = {name: next(card.frames(name, "t", card_audio())) for name in card.KNOWN_SCENARIOS}
    pills = {tuple(frame[66, card.MARGIN + 8]) for frame in first.values()}
    assert len(pills) == 3
