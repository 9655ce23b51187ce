"""Read-only weight memories: in the Verilog, in an image file beside it, or outside the design."""

from __future__ import annotations

from enum import StrEnum

from amaranth.hdl import ClockSignal, Instance, Module, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from model.spec import MemoryImage


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


class WeightMemory(wiring.Component):
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

    addr: Value
    data: Value

    def __init__(self, image: MemoryImage, storage: WeightStorage) -> None:
        self.image, self.storage = image, storage
        super().__init__({"addr": In(image.address_width), "data": Out(image.width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.storage is WeightStorage.READMEMH:
            m.submodules.rom = Instance(
                "xnorforge_rom", p_WIDTH=self.image.width, p_DEPTH=self.image.depth,
                p_ADDRESS_WIDTH=self.image.address_width, p_FILE=f"{self.image.name}.hex",
                i_clk=ClockSignal(), i_addr=self.addr, o_data=self.data,
            )  # fmt: skip
            return m
        m.submodules.words = words = memory.Memory(shape=self.image.width, depth=self.image.depth,
                                                   init=self.image.rows)  # fmt: skip
        port = words.read_port()
        m.d.comb += [port.addr.eq(self.addr), port.en.eq(1), self.data.eq(port.data)]
        return m
