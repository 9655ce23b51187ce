// The steps of a sum of products (model/sum_program.py), as model/sum_kernel.py hands them over.
#pragma once

#include <cstdint>

struct Step {
    int64_t spans, spans_end;  // its spans, as places in the list of all
    int64_t held, limited;
    int64_t first, run;  // the first step of the run it belongs to; how many steps begin here as a run
    float scale;         // of the bits it drops
    float size;          // largest size of what a run adds
};

struct Program {
    const Step* steps;
    const int64_t* spans;
    int64_t count, depth, wraps;
    float low, high, turn;
};
