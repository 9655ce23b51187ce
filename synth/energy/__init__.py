"""Energy of a mapped netlist from simulated activity.

    energy = measure(workdir, "top", library)      # workdir: where `synthesize` left the netlist of these cells

A folder of its own because nothing in it bears on a netlist: what is cached is named after the files of `synth/`.
"""
