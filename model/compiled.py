"""Compiling and loading the kernels of fused passes; there is plain code for each where no compiler is found."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import platformdirs
import torch

FOLDER = Path(__file__).parent
SOURCES = tuple(FOLDER / name for name in ("binarized_cell.cpp", "fixed_cell.cpp", "sum_steps.cpp", "sum_conv.cpp"))
HEADERS = tuple(FOLDER / name for name in ("cell.hpp", "sum_steps.hpp"))
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-std=c++17", "-shared", "-fPIC")
GPU_SOURCES = (FOLDER / "sum_steps.cu",)
GPU_FLAGS = ("-O3", "-std=c++17", "-shared", "-Xcompiler", "-fPIC")


def _processor() -> str:
    """What ``-march=native`` depends on, so that a shared cache never holds code for another machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


@cache
def load() -> ctypes.CDLL | None:
    """The compiled kernels, built on first use into the user's cache; None if they cannot be built here."""
    return _built("g++", FLAGS, SOURCES, HEADERS, _processor())


@cache
def load_for(gpu: torch.device) -> ctypes.CDLL | None:
    """Those for a GPU, likewise; None without CUDA's compiler, ``nvcc``, or where it is too new for the driver."""
    if torch.version.cuda is None:
        return None
    major, minor = torch.cuda.get_device_capability(gpu)
    library = _built("nvcc", (*GPU_FLAGS, f"-arch=sm_{major}{minor}"), GPU_SOURCES, (), "")
    return library if library is not None and library.sum_steps_ready() == 0 else None


def _built(
    name: str, flags: Sequence[str], sources: Sequence[Path], headers: Sequence[Path], machine: str
) -> ctypes.CDLL | None:
    compiler = shutil.which(name)
    if compiler is None:
        return None
    text = b"".join(file.read_bytes() for file in (*sources, *headers))
    key = hashlib.sha256(text + repr((flags, machine)).encode()).hexdigest()[:16]
    folder = Path(platformdirs.user_cache_dir("xnorforge"))
    library = folder / f"cell-{key}.so"
    try:
        if not library.exists():
            folder.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=folder, suffix=".so")
            os.close(handle)
            try:
                subprocess.run([compiler, *flags, *map(str, sources), "-o", partial], check=True, capture_output=True)
                os.replace(partial, library)
            finally:
                Path(partial).unlink(missing_ok=True)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.CalledProcessError):
        return None
