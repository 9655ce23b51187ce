"""Read-only weight memories: in the Verilog, in an image file beside it, or outside the design."""

from __future__ import annotations

from enum import StrEnum

from amaranth.hdl import ClockSignal, Instance, Module, Value
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from model.spec import MemoryImage
from rtl.unit import Unit


class WeightStorage(StrEnum):
    """Where the weights are. The port is the same: an address in, its word one cycle later."""

    INLINE = "inline"  #: initial values in the Verilog
    READMEMH = "readmemh"  #: ``$readmemh`` of ``<name>.hex`` at the start of simulation or synthesis
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
    """A ROM of ``image.depth`` words of ``image.width`` bits.

    Latency 1, throughput one word a cycle.

    Parameters
    ----------
    image
        The contents.
    storage
        ``INLINE`` or ``READMEMH`` (``EXTERNAL`` memories are not built).

    Ports
    -----
    addr : In, ``image.address_width`` bits; below ``image.depth``
    data : Out, ``image.width`` bits, of the address one cycle before
    """

    SEQUENTIAL = True
    addr: Value
    data: Value

    def __init__(self, image: MemoryImage, storage: WeightStorage) -> None:
        self.spec, self.storage = image, storage
        super().__init__({"addr": In(image.address_width), "data": Out(image.width)})

    @property
    def module_name(self) -> str:
        """The memory's own name."""
        return self.spec.name

    def build(self) -> Module:
        m = Module()
        if self.storage is WeightStorage.READMEMH:
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
            return m
        m.submodules.words = words = memory.Memory(shape=self.spec.width, depth=self.spec.depth, init=self.spec.rows)
        port = words.read_port()
        m.d.comb += [port.addr.eq(self.addr), port.en.eq(1), self.data.eq(port.data)]
        return m
