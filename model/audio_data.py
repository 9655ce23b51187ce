"""Spoken words as log-mel features: digits, commands, keywords among others; with noise mixed in if asked for.

A clip is one second of one channel, full scale -1 to 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from model.data import DataError, Dataset, check_labels, open_archive

MELS, STEPS = 40, 100
WINDOW_MS = 25
FLOOR = 1 / 64  #: power of a band, relative to the clip's, below which all is silence (-18 dB)
FAINTEST = 1e-8  #: power below which a clip is not raised further (-80 dB)
NOISE_SEED = 0  #: noise belongs to the data, not to a training run

Clips = NDArray[np.float64]
Noise = Callable[[int], NDArray[np.float64]]  #: the noise of a clip, by its place in the data set


def log_mel(clips: Sequence[ArrayLike] | NDArray, rate: int) -> NDArray[np.float32]:
    """Natural logarithm of the power in 40 mel bands of each 10 ms of one-second clips, (clips, 100, 40).

    The power of a band is a weighted mean over its frequencies, relative to the mean of squares of the whole clip: of
    white noise it is 1 on the average, and how loud a clip is does not matter. What is below 1 / 64 (-18 dB) counts
    as that: it tells more of the room than of the word. Step t sees a Hann window of 25 ms around the t-th hundredth
    of the second.

    Parameters
    ----------
    clips
        One channel each, of any length: int16 or int32 over the whole range of their type, or floats from -1 to 1.
        A longer one loses its end, a shorter one comes after silence, so that its last step is the last of all.
    rate
        Samples a second: a multiple of 100 from 8,000 to 48,000.

    Raises
    ------
    DataError
        If there is no clip, or a clip or the rate is not so.
    """
    if not isinstance(rate, (int, np.integer)) or rate % 100 or not 8000 <= rate <= 48000:
        raise DataError(f"Rate must be a multiple of 100 from 8000 to 48000 samples a second, not {rate!r}")
    if len(clips) == 0:
        raise DataError("Number of clips must be at least 1, not 0")
    return _features(np.stack([one_second(clip, int(rate), f"Clip {i}") for i, clip in enumerate(clips)]), int(rate))


def one_second(clip: ArrayLike, rate: int, name: str = "Clip") -> NDArray[np.float64]:
    """A clip trimmed, or behind zeros, (rate,), full scale -1 to 1. Raises DataError."""
    samples = np.asarray(clip)
    if samples.ndim != 1 or len(samples) < rate // STEPS:
        raise DataError(f"{name} must be one channel of at least {rate // STEPS} samples, not {samples.shape!r}")
    if samples.dtype.kind != "f" and samples.dtype not in (np.int16, np.int32):
        raise DataError(f"{name} must be int16, int32 or floats, not {samples.dtype}")
    full = 1.0 if samples.dtype.kind == "f" else -float(np.iinfo(samples.dtype).min)
    scaled = samples[:rate].astype(np.float64) / full
    wrong = scaled[~(np.abs(scaled) <= 1e6)]  # their squares would not be finite, or they are not
    if len(wrong):
        raise DataError(f"{name} must be numbers of at most 1e6 in size, not {float(wrong[0])!r}")
    return np.pad(scaled, (rate - len(scaled), 0))


def mix(clip: NDArray[np.float64], noise: NDArray[np.float64], snr_db: float) -> NDArray[np.float64]:
    """``clip + g * noise`` with g such that 10 log10(P(clip) / P(g * noise)) = snr_db, where P is the mean of squares.

    Both (samples,); nothing is clipped.

    Raises
    ------
    DataError
        If they differ in shape, either is silent, or the ratio is not from -40 to 100 dB.
    """
    if not -40 <= snr_db <= 100:
        raise DataError(f"Signal-to-noise ratio must be -40 to 100 dB, not {snr_db!r}")
    if clip.ndim != 1 or noise.shape != clip.shape:
        raise DataError(f"Noise must be one channel as long as its clip {clip.shape!r}, not {noise.shape!r}")
    powers = [float(np.mean(np.square(part))) for part in (clip, noise)]
    for name, power in zip(("Clip", "Noise"), powers, strict=True):
        if not 0 < power < math.inf:
            raise DataError(f"{name} to mix must have a mean of squares above 0, not {power!r}")
    return clip + math.sqrt(powers[0] / powers[1] * 10 ** (-snr_db / 10)) * noise


def coloured(rng: np.random.Generator, samples: int, *, pink: bool) -> NDArray[np.float64]:
    """Noise of even power over frequency, or (pink) of power as 1 / frequency, (samples,), its mean of squares 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum[0] = 0
    if pink:
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, samples)
    return noise / math.sqrt(np.mean(np.square(noise)))


def _features(clips: Clips, rate: int) -> NDArray[np.float32]:
    """See log_mel; clips (clips, rate)."""
    import librosa  # here, since nothing else should wait for it

    hop, window = rate // STEPS, rate * WINDOW_MS // 1000
    fft = 2 ** math.ceil(math.log2(window))
    before = (fft - hop) // 2
    # A band is a weighted mean. Sparse: fast, and no order of sums that depends on the number of threads.
    mel = csr_array(librosa.filters.mel(sr=rate, n_fft=fft, n_mels=MELS, norm=1))
    features = np.empty((len(clips), STEPS, MELS), np.float32)
    for clip, of_clip in zip(clips, features, strict=True):
        padded = np.pad(clip.astype(np.float32), (before, fft - hop - before))
        spectrum = librosa.stft(padded, n_fft=fft, hop_length=hop, win_length=window, center=False)
        squares = 3 / 8 * window * max(float(np.square(clip).mean()), FAINTEST)  # 3 / 8: mean square of the window
        power = mel @ np.square(np.abs(spectrum))
        of_clip[:] = np.log(np.maximum(power / np.float32(squares), FLOOR)).T
    return features


def _dataset(
    name: str, clips: Clips, y: NDArray[np.int64], split: NDArray[np.int64], snr: float | None, noise: Noise
) -> Dataset:
    """Features of clips (clips, rate), each with noise of its own in it where a ratio is given, in every split."""
    if snr is not None:
        name = f"{name} at {snr:g} dB"
        clips = np.stack([mix(clip, noise(index), snr) for index, clip in enumerate(clips)])
    return Dataset(name=name, x=_features(clips, clips.shape[1]), y=y, split=split)


def _fsdd(data_root: Path | None, snr: float | None) -> Dataset:
    """Free Spoken Digit Dataset: 10 digits, 8 kHz, 6 speakers, each of whom is in all splits.

    Of the 50 recordings of a digit by a speaker 0 to 4 are the test split (the official one), 5 to 9 the validation
    split. Noise is white or pink, of every clip its own.
    """
    return _dataset("fsdd", *_spoken_digits(data_root), snr, _white_or_pink)


def _fsdd_keywords(data_root: Path | None, snr: float | None) -> Dataset:
    """The same with digits 8 and 9 in one class, unknown (8), and as many clips of silence (9) as of one digit.

    Silence is white or pink noise, other than what a ratio mixes in.
    """
    clips, y, split = _spoken_digits(data_root)
    of_silence = split[y == 0]
    silence = np.stack([_white_or_pink(index, 1) for index in range(len(of_silence))])
    y = np.concatenate([np.minimum(y, 8), np.full(len(of_silence), 9)])
    split = np.concatenate([split, of_silence])
    return _dataset("fsdd_keywords", np.concatenate([clips, silence]), y, split, snr, _white_or_pink)


def _spoken_digits(data_root: Path | None) -> tuple[Clips, NDArray[np.int64], NDArray[np.int64]]:
    """Clips, labels and split of fsdd."""
    keys = ("audio", "offset", "label", "index", "is_test", "sample_rate")
    archive = _archive("fsdd", data_root, "fsdd", 8000, keys)
    audio, offset = archive["audio"], archive["offset"]
    if audio.ndim != 1 or offset.ndim != 1 or offset.dtype.kind not in "iu" or not len(offset):
        raise DataError(f"Offsets of fsdd must be whole numbers, one a clip and the end, not {offset.dtype}")
    if offset[-1] != len(audio):
        raise DataError(f"Offsets of fsdd must end at {len(audio)} samples, not {int(offset[-1])!r}")
    pieces = [audio[start:end] for start, end in itertools.pairwise(offset.tolist())]
    clips = np.stack([one_second(piece, 8000, f"Clip {i} of fsdd") for i, piece in enumerate(pieces)])
    index = _column("fsdd", archive, "index", "iu", len(clips))
    test = _column("fsdd", archive, "is_test", "b", len(clips))
    split = np.where(test, 2, np.where((index >= 5) & (index < 10), 1, 0))
    return clips, check_labels("fsdd", archive["label"], clips.shape[:1]), split


def _white_or_pink(index: int, use: int = 0) -> NDArray[np.float64]:
    """One second of the noise of a clip, at 8 kHz."""
    rng = np.random.default_rng((NOISE_SEED, use, index))
    return coloured(rng, 8000, pink=bool(rng.integers(2)))


def _speech_commands(data_root: Path | None, snr: float | None) -> Dataset:
    """Part of the Speech Commands test set: _silence_ (0), _unknown_ (1) and 10 words, 16 kHz.

    No speaker is in two splits: the test split is as prepared, of the other speakers every fifth is for validation.
    Clips of silence have no speaker; of those every fifth outside the test split. Noise is another clip of silence of
    the same split, turned in time.
    """
    name, folder = "speech_commands", "speech_commands_v2_subset"
    archive = _archive(name, data_root, folder, 16000, ("audio", "label", "speaker", "is_test", "sample_rate"))
    audio = archive["audio"]
    clips = np.stack([one_second(clip, 16000, f"Clip {i} of {name}") for i, clip in enumerate(audio)])
    y = check_labels(name, archive["label"], clips.shape[:1])
    speaker = _column(name, archive, "speaker", "U", len(clips))
    test = _column(name, archive, "is_test", "b", len(clips))
    spoken = speaker != ""
    split = np.where(test, 2, np.isin(speaker, np.unique(speaker[spoken & ~test])[4::5]))
    split[np.flatnonzero(~spoken & ~test)[4::5]] = 1

    def noise(index: int) -> NDArray[np.float64]:
        rng = np.random.default_rng((NOISE_SEED, index))
        others = np.flatnonzero((y == 0) & (split == split[index]) & (np.arange(len(y)) != index))
        if not len(others):
            raise DataError(f"Clips of silence of {name} must be at least 2 in each split to mix noise, and are not")
        return np.roll(clips[rng.choice(others)], rng.integers(16000))

    return _dataset(name, clips, y, split, snr, noise)


PRESETS: dict[str, Callable[[Path | None, float | None], Dataset]] = {
    "fsdd": _fsdd,
    "fsdd_keywords": _fsdd_keywords,
    "speech_commands": _speech_commands,
}


def _archive(preset: str, data_root: Path | None, name: str, rate: int, keys: tuple[str, ...]) -> dict[str, NDArray]:
    """The arrays of a preset's file, which is at this rate."""
    archive = open_archive(preset, data_root, Path(name) / f"{name}.npz", keys)
    if not np.array_equal(archive["sample_rate"], rate):
        raise DataError(f"Rate of {preset} must be {rate} samples a second, not {archive['sample_rate'].tolist()!r}")
    if archive["audio"].dtype != np.int16 or not archive["audio"].size:
        raise DataError(f"Audio of {preset} must be int16, not {archive['audio'].dtype} {archive['audio'].shape!r}")
    return archive


def _column(preset: str, archive: dict[str, NDArray], key: str, kinds: str, clips: int) -> NDArray:
    """An array with one entry a clip, of one of these kinds of type."""
    column = archive[key]
    if column.shape != (clips,) or column.dtype.kind not in kinds:
        raise DataError(f"Array {key} of {preset} must be one a clip ({clips}), not {column.dtype} {column.shape!r}")
    return column
