"""Weight memories: constants, read-only or writable memories, or ports for a memory outside the design."""

from __future__ import annotations

from enum import StrEnum

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from model.spec import LOAD_WIDTH, MemoryImage, load_chunks
from rtl.decisions import table_code
from rtl.unit import Unit


class WeightStorage(StrEnum):
    """Where the weights are. The port is the same: an address in, its word one cycle later."""

    CONST = "const"  #: constants in logic, which synthesis merges with what reads them
    ROM = "rom"  #: a memory with initial values in the Verilog
    READMEMH = "readmemh"  #: ``$readmemh`` of ``<name>.hex`` at the start of simulation or synthesis
    LOAD = "load"  #: writable memories, filled through a stream ``w`` of the top module
    EXTERNAL = "external"  #: ports of the top module, for a memory macro


#: The memory that ``READMEMH`` instantiates; written beside the generated Verilog.
READMEMH_VERILOG = """\
// A read-only memory whose contents come from a file of hexadecimal words, one a line.
module xnorforge_rom #(
    parameter WIDTH = 1,
    parameter DEPTH = 1,
    parameter ADDRESS_WIDTH = 1,
    parameter FILE = ""
) (
    input  wire                     clk,
    input  wire [ADDRESS_WIDTH-1:0] addr,
    output reg  [WIDTH-1:0]         data
);
  reg [WIDTH-1:0] words [0:DEPTH-1];
  initial $readmemh(FILE, words);
  always @(posedge clk) data <= words[addr];
endmodule
"""


class WeightMemory(Unit):
    """``image.depth`` words of ``image.width`` bits.

    Latency 1, throughput one word a cycle; a word that is written is read from the next cycle on. No reset: what
    a writable memory holds before it is loaded is not defined.

    Parameters
    ----------
    image
        The contents; of a writable memory only width and depth.
    storage
        Any but ``EXTERNAL``, whose memories are not built.

    Ports
    -----
    addr : In, ``image.address_width`` bits; below ``image.depth``
    data : Out, ``image.width`` bits, of the address one cycle before
    write : In, with ``LOAD`` only, as are the following; for each ``LOAD_WIDTH`` bits of a word, lowest first,
        whether they are written
    write_addr : In, ``image.address_width`` bits; below ``image.depth``
    write_data : In, ``LOAD_WIDTH`` bits; those beyond the word are ignored
    """

    addr: Value
    data: Value
    write: Value
    write_addr: Value
    write_data: Value

    def __init__(self, image: MemoryImage, storage: WeightStorage) -> None:
        self.spec, self.variant = image, (storage,)
        ports = {"addr": In(image.address_width), "data": Out(image.width)}
        if storage is WeightStorage.LOAD:
            ports |= {
                "write": In(load_chunks(image)),
                "write_addr": In(image.address_width),
                "write_data": In(LOAD_WIDTH),
            }
        super().__init__(ports)

    @property
    def module_name(self) -> str:
        """The memory's own name."""
        return self.spec.name

    @property
    def sequential(self) -> bool:
        """A single constant word needs no register: it is the same after whatever address."""
        return self.variant != (WeightStorage.CONST,) or self.spec.depth > 1

    def build(self) -> Module:
        m = Module()
        (storage,) = self.variant
        if storage is WeightStorage.CONST:
            self._constants(m)
        elif storage is WeightStorage.READMEMH:
            m.submodules.rom = Instance(
                "xnorforge_rom",
                p_WIDTH=self.spec.width,
                p_DEPTH=self.spec.depth,
                p_ADDRESS_WIDTH=self.spec.address_width,
                p_FILE=f"{self.spec.name}.hex",
                i_clk=ClockSignal(),
                i_addr=self.addr,
                o_data=self.data,
            )
        elif storage is WeightStorage.ROM:
            m.submodules.words = words = memory.Memory(
                shape=self.spec.width, depth=self.spec.depth, init=self.spec.rows
            )
            port = words.read_port()
            m.d.comb += [port.addr.eq(self.addr), port.en.eq(1), self.data.eq(port.data)]
        else:
            self._writable(m)
        return m

    def _constants(self, m: Module) -> None:
        rows, depth = self.spec.rows, self.spec.depth
        if not self.sequential:
            m.d.comb += self.data.eq(rows[0])
            return
        # Past the end stands what is there without the highest bit of the address, which then need not be tested.
        half = 1 << (self.spec.address_width - 1)
        data = Signal(self.spec.width, reset_less=True)
        m.d.sync += data.eq(table_code(m, [self.addr], [*rows, *rows[depth - half : half]], self.spec.width))
        m.d.comb += self.data.eq(data)

    def _writable(self, m: Module) -> None:
        """A memory for each chunk, so that a beat writes whole words."""
        for chunk in range(load_chunks(self.spec)):
            start = chunk * LOAD_WIDTH
            width = min(LOAD_WIDTH, self.spec.width - start)
            m.submodules[f"words_{chunk}"] = words = memory.Memory(shape=width, depth=self.spec.depth, init=[])
            read, write = words.read_port(), words.write_port()
            m.d.comb += [
                read.addr.eq(self.addr),
                read.en.eq(1),
                self.data[start : start + width].eq(read.data),
                write.addr.eq(self.write_addr),
                write.data.eq(self.write_data),
                write.en.eq(self.write[chunk]),
            ]
