"""The emitted Verilog: reproducible, clean, and fed by the images that are exported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from model.random_network import random_network
from model.spec import Folding, Format, MlbQuantizerSpec, MlbSpec, Schedule, load_stream, memory_images
from rtl.mlb_quantizer import MlbQuantizer
from rtl.network import Network
from rtl.rom_files import FORMATS, write_images
from rtl.verilog import emit
from rtl.weight_memory import READMEMH_VERILOG, WeightStorage
from sim.simulators import SimulationError, choose, environment
from tests.faults import run_yosys


def network(storage=WeightStorage.ROM, pe=2, simd=4):
    mlb, _ = random_network()
    schedule = Schedule(network=mlb.spec(), folding=Folding(pe=pe, simd=simd))
    return Network(schedule, mlb.weights(), storage)


@pytest.fixture(scope="module")
def text():
    return emit(network(), "network")


def test_the_same_network_gives_the_same_bytes(text):
    assert emit(network(), "network") == text
    assert emit(network(pe=1), "network") != text


def test_every_unit_is_one_module_named_after_it(text):
    names = re.findall(r"^module (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names))
    assert names[0] == "network"
    assert {
        "lstm_layer",
        "lstm_unit",
        "dense_layer",
        "mlb_accumulator",
        "full_adder",
        "mac",
        "lstm_weights_l0",
    } <= set(names)
    assert len(re.findall(r"^  lstm_unit lstm_unit_\d ", text, re.MULTILINE)) == 2


def test_no_path_and_no_attribute_gets_in(text):
    assert "/" not in re.sub(r"//.*", "", text)
    assert "(*" not in text


@pytest.mark.parametrize("storage", WeightStorage)
def test_tools_accept_it_without_warnings(storage, tmp_path):
    source = tmp_path / "network.v"
    unit = network(storage)
    source.write_text(emit(unit, "network"))
    files = [str(source)]
    if storage is WeightStorage.READMEMH:
        (tmp_path / "rom.v").write_text(READMEMH_VERILOG)
        files.append(str(tmp_path / "rom.v"))
        write_images(unit.images, "hex", tmp_path)
    tools = [("icarus", ["iverilog", "-g2005", "-Wall", "-o", str(tmp_path / "out")])]
    # Style, not substance: operands of different widths (extended as the language says), one-hot selections
    # written as casez, the comparison of an unsigned number with its smallest value, and vectors whose bits
    # depend on one another, as those of a sum do on its lower bits.
    style = ["-Wno-WIDTH", "-Wno-CASEOVERLAP", "-Wno-UNSIGNED", "-Wno-UNOPTFLAT"]
    tools.append(("verilator", ["verilator", "--lint-only", *style, "--top-module", "network"]))
    ran = 0
    for name, command in tools:
        try:
            env = environment(choose(name))
        except SimulationError:
            continue
        done = subprocess.run([*command, *files], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), f"{name}: {done.stderr[:2000]}"
        ran += 1
    if not ran:
        pytest.skip("no simulator")


@pytest.mark.parametrize("storage", [s for s in WeightStorage if s is not WeightStorage.READMEMH])
def test_yosys_accepts_it_without_warnings(storage, tmp_path):
    source = tmp_path / "network.v"
    source.write_text(emit(network(storage), "network"))
    script = "read_verilog {source}\nhierarchy -check -top network\nproc\ncheck -assert"
    done = run_yosys(script, source=source)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "Warning" in line]
    # The hint is about the comment that marks one-hot selections; every Yosys reads it.
    assert (done.returncode, [line for line in lines if "parallel_case" not in line]) == (0, [])
    assert run_yosys("read_verilog {source}\nhierarchy -check -top nowhere", source=source).returncode != 0


def test_readmemh_images_hold_what_rom_memories_hold(tmp_path):
    if not shutil.which("iverilog"):
        pytest.skip("iverilog is not installed")
    unit = network(WeightStorage.READMEMH)
    write_images(unit.images, "hex", tmp_path)
    image = unit.images[0]
    bench = f"""
    module bench;
      reg clk = 0; reg [{image.address_width - 1}:0] addr = 0; wire [{image.width - 1}:0] data;
      xnorforge_rom #(.WIDTH({image.width}), .DEPTH({image.depth}), .ADDRESS_WIDTH({image.address_width}),
                      .FILE("{image.name}.hex")) rom (clk, addr, data);
      integer i;
      initial for (i = 0; i < {image.depth}; i = i + 1) begin
        addr = i; #1 clk = 1; #1 $display("%h", data); clk = 0;
      end
    endmodule"""
    (tmp_path / "bench.v").write_text(READMEMH_VERILOG + bench)
    subprocess.run(["iverilog", "-o", "b", "bench.v"], cwd=tmp_path, check=True)
    lines = subprocess.run(["vvp", "b"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
    assert [int(line, 16) for line in lines] == list(image.rows)


def read_back(kind: str, text: str, width: int) -> list[int]:
    """The words of an image file, by an independent reader."""
    if kind == "hex":
        return [int(line, 16) for line in text.split()]
    if kind == "mem":
        words = {int(a, 16): int(w, 16) for a, w in re.findall(r"@(\w+) (\w+)", text)}
    elif kind == "mif":
        assert f"WIDTH = {width};" in text
        words = {int(a, 16): int(w, 16) for a, w in re.findall(r"^(\w+) : (\w+);", text, re.MULTILINE)}
    elif kind == "coe":
        assert "radix = 16" in text
        return [int(w, 16) for w in re.findall(r"\w+", text.split("vector =")[1])]
    else:
        rows = re.findall(r"\{([^{}]+)\},", text)
        return [int.from_bytes(bytes(int(b, 16) for b in row.split(", ")), "little") for row in rows]
    assert list(words) == list(range(len(words)))
    return list(words.values())


@pytest.mark.parametrize("kind", FORMATS)
def test_every_rom_format_reads_back(kind, tmp_path):
    unit = network(pe=3, simd=3)
    write_images(unit.images, kind, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for image, entry in zip(unit.images, manifest["memories"], strict=True):
        words = read_back(kind, (tmp_path / entry["file"]).read_text(), image.width)
        assert words == list(image.rows)
        assert (entry["width_bits"], entry["depth_words"]) == (image.width, image.depth)
        assert max(words) < 1 << image.width


def test_the_load_format_is_the_stream(tmp_path):
    unit = network(pe=3, simd=3)
    written = write_images(unit.images, "load", tmp_path)
    assert [path.name for path in written] == ["weights.load", "manifest.json"]
    beats = [int(line, 16) for line in written[0].read_text().split()]
    assert beats == list(load_stream(unit.images))
    manifest = json.loads(written[1].read_text())
    for image, entry in zip(unit.images, manifest["memories"], strict=True):
        mine, beats = beats[: entry["beats"]], beats[entry["beats"] :]
        size = entry["beats"] // entry["depth_words"]
        words = [mine[k : k + size] for k in range(0, len(mine), size)]
        assert [sum(b << (manifest["beat_bits"] * n) for n, b in enumerate(w)) for w in words] == list(image.rows)
    assert beats == []


def test_images_follow_the_manifest():
    """Codes taken out of the words, as the manifest's order says, are the weights."""
    mlb, _ = random_network(hidden=5, features=3)
    spec, weights = mlb.spec(), mlb.weights()
    schedule = Schedule(network=spec, folding=Folding(pe=2, simd=3))
    (layer,) = schedule.layers
    image = memory_images(schedule, weights)[0]
    levels, lanes = spec.layers[0].weight_levels, layer.x_lanes + layer.h_lanes
    for unit in range(5):
        group, place = divmod(unit, 2)
        for k in range(4):
            for n in range(5):
                beat, lane = divmod(n, layer.h_lanes)
                at = ((place * 4 + k) * lanes + layer.x_lanes + lane) * levels
                word = image.rows[group * layer.beats + beat]
                assert word >> at & ((1 << levels) - 1) == weights["wh_l0"][k, unit, n]


def test_an_unknown_rom_format_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="must be hex, mem, mif, coe, c, load, not 'bin'"):
        write_images(network().images, "bin", tmp_path / "rom")
    assert not (tmp_path / "rom").exists()


def test_a_unit_on_its_own_is_one_module():
    spec = MlbQuantizerSpec(source=Format(8, 5), mlb=MlbSpec(factors=(4, 2), frac=3))
    text = emit(MlbQuantizer(spec), "quantizer")
    assert text.count("endmodule") == 1
    assert "clk" not in text
