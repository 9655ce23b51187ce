"""Energy of a mapped netlist from simulated activity.

    energy = measure(workdir, "top", liberty)      # workdir: where `synthesize` left netlist.json and netlist.v

A folder of its own because nothing in it bears on a netlist: what is cached is named after the files of `synth/`.
"""
