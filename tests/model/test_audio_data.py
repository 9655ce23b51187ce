"""Audio: what a feature is, noise at an exact ratio, which clip is in which split, and bad clips refused."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.audio_data import PRESETS, coloured, log_mel, mix
from model.data import SPLITS, DataError, load
from tests import audio
from tests.audio import int16, tone
from tests.sentences import is_one_sentence

FOLDERS = {"fsdd": "fsdd", "fsdd_keywords": "fsdd", "speech_commands": "speech_commands_v2_subset"}
ARCHIVES = {"fsdd": audio.fsdd, "fsdd_keywords": audio.fsdd, "speech_commands": audio.speech_commands}


def python(code: str, **environment: str) -> str:
    """What a program prints in a process of its own."""
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout


def centre(band: int, rate: int) -> float:
    """The frequency in the middle of a mel band, in Hz: linear up to 1000 Hz, then 27 bands for a factor of 6.4."""

    def mel(hertz: float) -> float:
        return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)

    at = mel(rate / 2) * (band + 1) / 41
    return 200 * at / 3 if at < 15 else 1000 * 6.4 ** ((at - 15) / 27)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_is_in_its_mel_band(rate):
    features = log_mel([tone(rate, centre(band, rate)) for band in range(40)], rate)
    assert (features.shape, features.dtype) == ((40, 100, 40), np.float32)
    assert (features[:, 2:-2].argmax(2) == np.arange(40)[:, None]).all()


@pytest.mark.parametrize(("rate", "squares"), [(8000, 75), (16000, 150), (48000, 450)])
def test_a_click_is_in_its_step_and_of_its_power_in_every_band(rate, squares):
    """In the middle of a step the window is 1, and the sum of its squares 3 / 8 of its 25 ms."""
    clip = np.zeros(rate)
    clip[rate // 100 * 37 + rate // 200] = 0.5
    features = log_mel([clip], rate)[0]
    assert np.allclose(features[37], math.log(0.25 / squares / (0.25 / rate)), atol=1e-5)
    assert (features.argmax(0) == 37).all()
    assert (features[[35, 39]] == np.float32(math.log(1 / 64))).all()


def test_white_noise_has_the_power_of_the_clip_in_every_band():
    features = log_mel(0.01 * np.random.default_rng(0).standard_normal((300, 16000)), 16000)
    assert np.abs(np.exp(features[:, 2:-2]).mean((0, 1)) - 1).max() < 0.03


def test_silence():
    silence = log_mel([np.zeros(8000)], 8000)
    assert np.array_equal(np.unique(silence), [np.float32(math.log(1 / 64))])
    # What is fainter than -80 dB stays fainter: of a tone at -120 dB nothing reaches the floor.
    assert np.array_equal(log_mel([tone(8000, 440, amplitude=1e-6)], 8000), silence)


def test_the_level_of_a_clip_does_not_matter():
    clip = np.random.default_rng(0).standard_normal(8000) * np.linspace(0, 1, 8000)
    assert np.array_equal(log_mel([clip / 4], 8000), log_mel([clip / 64], 8000))  # powers of two: exactly


def test_clips_as_whole_numbers_longer_and_shorter_ones():
    whole = int16(tone(8000, 440))
    expected = log_mel([whole / 32768], 8000)
    assert np.array_equal(log_mel([whole], 8000), expected)
    assert np.array_equal(log_mel(whole[None].astype(np.int32) << 16, 8000), expected)
    assert np.array_equal(log_mel([np.concatenate([whole, whole[::-2]])], 8000), expected)
    short, padded = whole[:3000], np.concatenate([np.zeros(5000, np.int16), whole[:3000]])
    assert np.array_equal(log_mel([short, whole], 8000), log_mel([padded, whole], 8000))


def test_features_are_the_same_for_every_number_of_threads():
    """A run is continued only with the very same data."""
    code = (
        "import hashlib; import numpy as np; from model.audio_data import log_mel; "
        "x = log_mel(np.random.default_rng(0).standard_normal((20, 16000)), 16000); "
        "print(hashlib.sha256(x.tobytes()).hexdigest())"
    )
    found = [python(code, OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads) for threads in ("1", "2")]
    assert found[0] == found[1]


CLIP = tone(8000, 440)
BAD_CLIPS = {
    "no clip": ([], 8000, "Number of clips must be at least 1, not 0"),
    "too short": ([CLIP, CLIP[:79]], 8000, "Clip 1 must be one channel of at least 80 samples, not (79,)"),
    "one clip, not several": (CLIP, 8000, "Clip 0 must be one channel of at least 80 samples, not ()"),
    "stereo": ([np.stack([CLIP, CLIP], 1)], 8000, "Clip 0 must be one channel of at least 80 samples, not (8000, 2)"),
    "one clip in stereo": (np.stack([CLIP, CLIP], 1), 8000, "at least 80 samples, not (2,)"),
    "NaN": (
        [CLIP, np.where(np.arange(8000) == 5, np.nan, CLIP)],
        8000,
        "Clip 1 must be numbers of at most 1e6 in size, not nan",
    ),
    "infinite": ([-np.inf * np.ones(8000)], 8000, "Clip 0 must be numbers of at most 1e6 in size, not -inf"),
    "huge": ([1e300 * CLIP], 8000, "Clip 0 must be numbers of at most 1e6 in size, not 3"),
    "unsigned": ([np.zeros(8000, np.uint8)], 8000, "Clip 0 must be int16, int32 or floats, not uint8"),
    "whole numbers of unknown range": ([[0] * 8000], 8000, "Clip 0 must be int16, int32 or floats, not int64"),
    "text": ([["a"] * 8000], 8000, "Clip 0 must be int16, int32 or floats, not <U1"),
    "no whole step": ([CLIP], 22050, "Rate must be a multiple of 100 from 8000 to 48000 samples a second, not 22050"),
    "low rate": ([CLIP], 4000, "Rate must be a multiple of 100 from 8000 to 48000 samples a second, not 4000"),
    "high rate": ([CLIP], 96000, "Rate must be a multiple of 100 from 8000 to 48000 samples a second, not 96000"),
    "fractional rate": ([CLIP], 8000.0, "Rate must be a multiple of 100 from 8000 to 48000 samples a second, not "),
}


def refusal(call, *arguments: object) -> str:
    """The message of the DataError: one sentence."""
    with pytest.raises(DataError) as caught:
        call(*arguments)
    assert is_one_sentence(str(caught.value))
    return str(caught.value)


@pytest.mark.parametrize("name", BAD_CLIPS)
def test_bad_clips_are_refused(name):
    clips, rate, words = BAD_CLIPS[name]
    assert words in refusal(log_mel, clips, rate)


@settings(max_examples=100)
@given(st.floats(-40, 100), st.floats(1e-3, 1), st.floats(1e-3, 1), st.integers(0, 2**32 - 1))
def test_the_ratio_is_exact(snr, loud, loudness, seed):
    rng = np.random.default_rng(seed)
    clip, noise = loud * rng.standard_normal(500), loudness * rng.standard_normal(500)
    added = mix(clip, noise, snr) - clip
    assert 10 * math.log10(np.mean(clip**2) / np.mean(added**2)) == pytest.approx(snr, abs=1e-8)
    assert np.corrcoef(added, noise)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("clip", "noise", "snr", "words"),
    [
        (CLIP, CLIP, math.nan, "Signal-to-noise ratio must be -40 to 100 dB, not nan"),
        (CLIP, CLIP, -40.1, "Signal-to-noise ratio must be -40 to 100 dB, not -40.1"),
        (CLIP, CLIP, 101, "Signal-to-noise ratio must be -40 to 100 dB, not 101"),
        (CLIP, CLIP[:-1], 0, "Noise must be one channel as long as its clip (8000,), not (7999,)"),
        (CLIP[None], CLIP[None], 0, "Noise must be one channel as long as its clip (1, 8000), not (1, 8000)"),
        (0 * CLIP, CLIP, 0, "Clip to mix must have a mean of squares above 0, not 0.0"),
        (CLIP, 0 * CLIP, 0, "Noise to mix must have a mean of squares above 0, not 0.0"),
        (CLIP, CLIP * math.nan, 0, "Noise to mix must have a mean of squares above 0, not nan"),
    ],
)
def test_what_cannot_be_mixed_is_refused(clip, noise, snr, words):
    assert refusal(mix, clip, noise, snr) == words


@pytest.mark.parametrize(("pink", "growth"), [(False, 2), (True, 1)])
def test_the_colour_of_noise(pink, growth):
    """From octave to octave white noise has twice the power, pink noise the same."""
    rng = np.random.default_rng(0)
    noises = np.stack([coloured(rng, 8000, pink=pink) for _ in range(100)])
    assert np.allclose(np.square(noises).mean(1), 1)
    power = np.square(np.abs(np.fft.rfft(noises))).mean(0)
    octaves = np.array([power[1 << i : 2 << i].sum() for i in range(5, 11)])
    assert np.allclose(octaves[1:] / octaves[:-1], growth, rtol=0.1)


@pytest.fixture
def root(tmp_path):
    """Prepared audio sets, made of tones."""
    for name in ("fsdd", "speech_commands"):
        audio.write(tmp_path, FOLDERS[name], ARCHIVES[name]())
    return tmp_path


def test_digits_are_split_by_recording(root):
    data = load("fsdd", root)
    assert (data.name, data.x.shape, data.classes, data.hop) == ("fsdd", (120, 100, 40), 10, 0)
    assert data.split.reshape(10, 12).tolist() == [[2] * 5 + [1] * 5 + [0] * 2] * 10
    last = log_mel([int16(tone(8000, 2100, 910))], 8000)
    assert np.array_equal(data.x[-1], last[0])


def test_keywords_are_eight_digits_unknown_and_silence(root):
    digits, data = load("fsdd", root), load("fsdd_keywords", root)
    assert np.array_equal(data.x[:120], digits.x)
    assert np.array_equal(data.y[:120], np.repeat([0, 1, 2, 3, 4, 5, 6, 7, 8, 8], 12))
    assert (data.y[120:].tolist(), data.split[120:].tolist()) == ([9] * 12, digits.split[:12].tolist())
    assert np.array_equal(data.x, load("fsdd_keywords", root).x)
    assert len(np.unique(data.x[120:], axis=0)) == 12


def test_no_speaker_of_commands_is_in_two_splits(root):
    data, speaker = load("speech_commands", root), audio.speech_commands()["speaker"]
    assert (data.name, data.x.shape, data.classes) == ("speech_commands", (150, 100, 40), 12)
    splits = {name: set(data.split[speaker == name].tolist()) for name in np.unique(speaker)}
    assert splits == {"": {0, 1, 2}} | {f"{i:08x}": {2 if i >= 10 else int(i in (4, 9))} for i in range(12)}
    assert data.split[:18].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 2, 2, 2, 2, 2, 2]


def test_noise_of_commands_is_other_silence_of_the_same_split(root):
    """Silence is made of tones, one a clip, so that it can be told what was mixed in."""
    data = load("speech_commands", root, -40)
    silence = log_mel(audio.speech_commands()["audio"][:18], 16000)[:, 50].argmax(1)
    assert len(set(silence.tolist())) == 18
    heard = data.x[:, 50].argmax(1)
    source = np.array([silence.tolist().index(band) for band in heard])
    assert np.array_equal(data.split[source], data.split)
    assert (source[:18] != np.arange(18)).all()
    assert set(source.tolist()) == set(range(18))


@pytest.mark.parametrize("name", PRESETS)
def test_noise_is_in_every_clip_the_same_every_time(root, name):
    plain, noisy = load(name, root), load(name, root, 12.5)
    assert noisy.name == f"{name} at 12.5 dB"
    assert np.array_equal(noisy.y, plain.y)
    assert np.array_equal(noisy.split, plain.split)
    assert (noisy.x != plain.x).any((1, 2)).all()
    assert np.array_equal(noisy.x, load(name, root, 12.5).x)
    assert not np.array_equal(noisy.x, load(name, root, 12).x)


@pytest.mark.parametrize("source", ["digits", "bonn", "features.npz", "nothing"])
def test_noise_goes_with_audio_only(source):
    words = f"Noise (snr) must go with audio (fsdd, fsdd_keywords, speech_commands), not with {source!r}"
    assert refusal(load, source, None, 10) == words


FSDD, COMMANDS = audio.fsdd(), audio.speech_commands()
BAD_FILES = {
    "other rate": ("fsdd", {"sample_rate": np.int32(16000)}, "Rate of fsdd must be 8000 samples a second, not 16000"),
    "floats": ("fsdd", {"audio": FSDD["audio"] / 32768}, "Audio of fsdd must be int16, not float64 "),
    "fractional offsets": ("fsdd", {"offset": FSDD["offset"] / 1}, "Offsets of fsdd must be whole numbers, one a"),
    "too short a clip": (
        "fsdd",
        {"offset": np.array([0, 500, 520, 102600])},
        "Clip 1 of fsdd must be one channel of at",
    ),
    "no offset": ("fsdd", {"offset": np.array([], int)}, "Offsets of fsdd must be whole numbers, one a clip and the"),
    "end beyond the audio": ("fsdd", {"offset": FSDD["offset"] + 1}, "Offsets of fsdd must end at "),
    "too few labels": (
        "fsdd",
        {"label": FSDD["label"][:-1]},
        "Labels of fsdd must be one a sequence (120), not (119,)",
    ),
    "too few recordings": (
        "fsdd",
        {"index": FSDD["index"][1:]},
        "Array index of fsdd must be one a clip (120), not uint8",
    ),
    "test split in words": (
        "fsdd",
        {"is_test": np.full(120, "no")},
        "Array is_test of fsdd must be one a clip (120), not <U2",
    ),
    "stereo": (
        "speech_commands",
        {"audio": np.repeat(COMMANDS["audio"][..., None], 2, 2)},
        "Clip 0 of speech_commands must be one channel of at least 160 samples, not (16000, 2)",
    ),
    "speakers as numbers": (
        "speech_commands",
        {"speaker": np.arange(150)},
        "Array speaker of speech_commands must be one a clip (150), not int64 (150,)",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_of_other_contents_are_refused(tmp_path, name):
    preset, change, words = BAD_FILES[name]
    audio.write(tmp_path, FOLDERS[preset], ARCHIVES[preset](**change))
    assert refusal(load, preset, tmp_path).startswith(words)


def test_silence_of_a_split_that_is_alone_cannot_be_mixed(tmp_path):
    alone = np.where(np.arange(150) < 17, False, COMMANDS["is_test"])
    audio.write(tmp_path, FOLDERS["speech_commands"], audio.speech_commands(is_test=alone))
    assert load("speech_commands", tmp_path).sizes["test"] == 23
    words = "Clips of silence of speech_commands must be at least 2 in each split to mix noise, and are not"
    assert refusal(load, "speech_commands", tmp_path, 10) == words


@pytest.mark.parametrize(
    ("name", "classes", "sizes"),
    [
        ("fsdd", 10, {"train": 2400, "val": 300, "test": 300}),
        ("fsdd_keywords", 10, {"train": 2640, "val": 330, "test": 330}),
        ("speech_commands", 12, {"train": 1249, "val": 266, "test": 315}),
    ],
)
def test_real_audio(data_root, name, classes, sizes):
    if not (data_root / FOLDERS[name]).is_dir():
        pytest.skip(f"no {FOLDERS[name]} in the prepared data")
    data = load(name, data_root)
    assert (data.x.shape[1:], data.classes, data.sizes) == ((100, 40), classes, sizes)
    for split in SPLITS:
        assert set(data.part(split)[1].tolist()) == set(range(classes))


def test_the_audio_library_is_imported_by_audio_only():
    code = "import sys; from model.data import load; load('digits'); print('librosa' in sys.modules)"
    assert python(code) == "False\n"
