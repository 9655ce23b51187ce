"""Spoken words as log-mel features: digits, commands, keywords among others; with noise mixed in if asked for.

A clip is one second of one channel, full scale -1 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.data import DataError, Dataset, check_labels, open_archive

MELS, STEPS = 40, 100
WINDOW_MS = 25
FLOOR = 1e-8  #: power below which all is silence: that of white noise at -80 dB
NOISE_SEED = 0  #: noise belongs to the data, not to a training run
BLOCK = 256  #: clips whose spectra are in memory at once

Noises = Callable[[int], NDArray[np.float64]]


def log_mel(clips: Sequence[ArrayLike], rate: int) -> NDArray[np.float32]:
    """Logarithm of the power in 40 mel bands of each 10 ms of one-second clips, (clips, 100, 40).

    Step t is a Hann window of 25 ms around the middle of samples t to t + 1 hundredths of a second.

    Parameters
    ----------
    clips
        One channel each, of any length: integers over the whole range of their type, or floats from -1 to 1.
        A longer one loses its end, a shorter one is followed by silence.
    rate
        Samples a second: a multiple of 100 from 8,000 to 48,000.

    Raises
    ------
    DataError
        If a clip or the rate is not so.
    """
    if not isinstance(rate, (int, np.integer)) or rate % 100 or not 8000 <= rate <= 48000:
        raise DataError(f"Rate must be a multiple of 100 from 8000 to 48000 samples a second, not {rate!r}")
    seconds = np.stack([one_second(clip, int(rate)) for clip in clips]) if len(clips) else np.zeros((0, rate))
    if not len(seconds):
        raise DataError("Number of clips must be at least 1, not 0")
    return _features(seconds, int(rate))


def one_second(clip: ArrayLike, rate: int) -> NDArray[np.float64]:
    """A clip trimmed or followed by zeros, (rate,), full scale -1 to 1. Raises DataError."""
    samples = np.asarray(clip)
    if samples.ndim != 1 or not len(samples):
        raise DataError(f"Clip must be one channel (samples), not {samples.shape!r}")
    if samples.dtype.kind not in "if":
        raise DataError(f"Clip must be signed integers or floats, not {samples.dtype}")
    full = -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0
    scaled = samples[:rate].astype(np.float64) / full
    if not np.isfinite(scaled).all():
        raise DataError(f"Clip must be finite, not {float(scaled[~np.isfinite(scaled)][0])!r}")
    return np.pad(scaled, (0, rate - len(scaled)))


def _features(clips: NDArray[np.float64], rate: int) -> NDArray[np.float32]:
    import librosa  # here, since it takes longer than all else that comes with this module

    hop, window = rate // STEPS, rate * WINDOW_MS // 1000
    fft = 2 ** math.ceil(math.log2(window))
    around = ((fft - hop) // 2, fft - hop - (fft - hop) // 2)
    blocks = []
    for start in range(0, len(clips), BLOCK):
        padded = np.pad(clips[start : start + BLOCK].astype(np.float32), ((0, 0), around))
        power = librosa.feature.melspectrogram(
            y=padded, sr=rate, n_fft=fft, hop_length=hop, win_length=window, center=False, n_mels=MELS, fmin=20, norm=1
        )
        # White noise of power P has P in every band: a band is a weighted mean, 3 / 8 of the window the power of its square.
        power /= 0.375 * window
        blocks.append(np.log(np.maximum(power, FLOOR)).transpose(0, 2, 1))
    return np.ascontiguousarray(np.concatenate(blocks), np.float32)


def mix(clip: NDArray[np.float64], noise: NDArray[np.float64], snr_db: float) -> NDArray[np.float64]:
    """``clip + g * noise`` with g such that 10 log10(P(clip) / P(g * noise)) = snr_db, P the mean of squares.

    Both of the same shape (samples,); the sum is not clipped.

    Raises
    ------
    DataError
        If either is silent or the ratio is not from -40 to 100 dB.
    """
    if not -40 <= snr_db <= 100:
        raise DataError(f"Signal-to-noise ratio must be -40 to 100 dB, not {snr_db!r}")
    if clip.shape != noise.shape or clip.ndim != 1:
        raise DataError(f"Noise must be as long as the clip {clip.shape!r}, not {noise.shape!r}")
    powers = [float(np.mean(np.square(part))) for part in (clip, noise)]
    for name, power in zip(("Clip", "Noise"), powers, strict=True):
        if not 0 < power < math.inf:
            raise DataError(f"{name} must have a mean of squares above 0 to mix at a ratio, not {power!r}")
    return clip + math.sqrt(powers[0] / powers[1] * 10 ** (-snr_db / 10)) * noise


def coloured(rng: np.random.Generator, samples: int) -> NDArray[np.float64]:
    """White or pink noise (power as 1 / f), either as likely, (samples,), its mean of squares 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum[0] = 0
    if rng.random() < 0.5:
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, samples)
    return noise / math.sqrt(np.mean(np.square(noise)))


def _fsdd(data_root: Path | None, snr: float | None) -> Dataset:
    """Free Spoken Digit Dataset: 10 digits, 8 kHz, 6 speakers, each of whom is in all splits.

    Of the 50 recordings of a digit by a speaker 0 to 4 are the test (the official split), 5 to 9 the validation split.
    """
    clips, y, split, rate = _digit_clips(data_root)
    return _dataset("fsdd", clips, y, split, rate, snr, _coloured_for(rate))


def _fsdd_keywords(data_root: Path | None, snr: float | None) -> Dataset:
    """The same with digits 8 and 9 as one class, unknown (8), and as many clips of noise alone, silence (9), as of a digit."""
    clips, y, split, rate = _digit_clips(data_root)
    silent = split[y == 0]
    noise = np.empty((len(silent), rate))
    for index in range(len(silent)):
        rng = np.random.default_rng((NOISE_SEED, 1, index))
        noise[index] = 10 ** (rng.uniform(-60, -20) / 20) * coloured(rng, rate)
    clips = np.concatenate([clips, noise])
    y = np.concatenate([np.minimum(y, 8), np.full(len(silent), 9)])
    return _dataset("fsdd_keywords", clips, y, np.concatenate([split, silent]), rate, snr, _coloured_for(rate))


def _digit_clips(
    data_root: Path | None,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], int]:
    keys = ("audio", "offset", "label", "index", "is_test", "sample_rate")
    archive = open_archive("fsdd", data_root, Path("fsdd") / "fsdd.npz", keys)
    audio, offset, index, test = (archive[key] for key in ("audio", "offset", "index", "is_test"))
    clips = np.stack([one_second(clip, 8000) for clip in np.split(audio, offset[1:-1])])
    split = np.where(test, 2, np.where((index >= 5) & (index < 10), 1, 0))
    return clips, check_labels("fsdd", archive["label"], len(clips)), split, 8000


def _coloured_for(rate: int) -> Noises:
    return lambda index: coloured(np.random.default_rng((NOISE_SEED, 0, index)), rate)


def _speech_commands(data_root: Path | None, snr: float | None) -> Dataset:
    """Part of the Speech Commands test set: 10 words, _silence_ (0) and _unknown_ (1), 16 kHz.

    Every speaker is in one split: the test split as prepared; of the others every fifth is for validation, and of
    their clips of silence, which have no speaker, every fifth.
    """
    name = "speech_commands_v2_subset"
    keys = ("audio", "label", "speaker", "is_test", "sample_rate")
    archive = open_archive("speech_commands", data_root, Path(name) / f"{name}.npz", keys)
    audio, speaker, test = (archive[key] for key in ("audio", "speaker", "is_test"))
    y = check_labels("speech_commands", archive["label"], len(audio))
    clips = np.stack([one_second(clip, 16000) for clip in audio])
    split = np.where(test, 2, 0)
    spoken = speaker != ""
    split[np.isin(speaker, np.unique(speaker[spoken & ~test])[4::5]) & spoken] = 1
    split[np.flatnonzero(~spoken & ~test)[4::5]] = 1
    loud = np.square(clips).mean(1) > 0

    def noise(index: int) -> NDArray[np.float64]:
        rng = np.random.default_rng((NOISE_SEED, index))
        others = np.flatnonzero((y == 0) & loud & (split == split[index]) & (np.arange(len(y)) != index))
        return np.roll(clips[rng.choice(others)], rng.integers(clips.shape[1]))

    return _dataset("speech_commands", clips, y, split, 16000, snr, noise)


PRESETS: dict[str, Callable[[Path | None, float | None], Dataset]] = {
    "fsdd": _fsdd,
    "fsdd_keywords": _fsdd_keywords,
    "speech_commands": _speech_commands,
}


def _dataset(
    name: str,
    clips: NDArray[np.float64],
    y: NDArray[np.int64],
    split: NDArray[np.int64],
    rate: int,
    snr: float | None,
    noise: Noises,
) -> Dataset:
    """Features of all clips, each with its own noise where a ratio is given."""
    if snr is not None:
        name = f"{name} at {snr:g} dB"
        clips = np.stack([mix(clip, noise(index), snr) for index, clip in enumerate(clips)])
    return Dataset(name=name, x=_features(clips, rate), y=y, split=split)
