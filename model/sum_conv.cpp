// Convolutions whose sums are made in a written order (model/sum_program.py), forward and backward, on integers of 16 bits.
//
// A tile is LANES places of the output, of one image or of several that follow. Its windows are copied once, for all
// outputs, and for each tile the program is taken that is enough for the inputs it has: where they are small, most nodes
// cannot overflow and are part of plain products. Backward, the steps are taken again, and what passes through the
// nodes is a mask.
#pragma GCC optimize("fp-contract=fast", "finite-math-only", "no-signed-zeros")

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "sum_steps.hpp"

namespace {

typedef int16_t H __attribute__((vector_size(64), aligned(2), may_alias));
typedef int16_t H16 __attribute__((vector_size(32), aligned(2), may_alias));
typedef int64_t L __attribute__((vector_size(64), aligned(2), may_alias));
typedef int32_t I __attribute__((vector_size(64), aligned(4), may_alias));
typedef float V __attribute__((vector_size(64), aligned(4), may_alias));
typedef float V8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float V4 __attribute__((vector_size(16), aligned(4), may_alias));

constexpr int WIDE = 32, PARTS = 2, LANES = WIDE * PARTS, QUARTERS = LANES / 16, TOGETHER = 4;

#define INLINE inline __attribute__((always_inline))

INLINE H smaller(H a, H b) { return a < b ? a : b; }
INLINE H larger(H a, H b) { return a > b ? a : b; }

INLINE bool none(H mask) {
    L parts = (L)mask;
    return !(parts[0] | parts[1] | parts[2] | parts[3] | parts[4] | parts[5] | parts[6] | parts[7]);
}

INLINE int most(H a) {
    int found = a[0];
    for (int i = 1; i < WIDE; i++) found = std::max<int>(found, a[i]);
    return found;
}

INLINE V4 folded(V a) {
    const V8* halves = (const V8*)&a;
    V8 half = halves[0] + halves[1];
    const V4* quarters = (const V4*)&half;
    return quarters[0] + quarters[1];
}

// The results of one node, of O outputs; or which of them pass.
template <int O> struct Tile {
    H v[O][PARTS];
};

// What happened to a tile: which sums of each step were within the limits, and which runs were added at once.
template <int O> struct History {
    std::vector<Tile<O>> fits;
    std::vector<uint8_t> at_once;
    explicit History(int64_t count) : fits(count), at_once(count) {}
};

template <int O> INLINE void add_products(Tile<O>& acc, const int16_t* x, const int16_t* w, int64_t terms,
                                          int64_t start, int64_t end) {
    for (int64_t t = start; t < end; t++) {
        H values[PARTS];
        for (int k = 0; k < PARTS; k++) values[k] = *(const H*)(x + t * LANES + WIDE * k);
        for (int o = 0; o < O; o++)
            for (int k = 0; k < PARTS; k++) acc.v[o][k] += w[o * terms + t] * values[k];
    }
}

template <int O> INLINE bool within(const Tile<O>& tile, int low, int high) {
    H bad = {};
    for (int o = 0; o < O; o++)
        for (int k = 0; k < PARTS; k++)
            bad |= (tile.v[o][k] < (int16_t)low) | (tile.v[o][k] > (int16_t)high);
    return none(bad);
}

template <int O> void take_steps(const Program& p, Tile<O>* stack, const int16_t* x, const int16_t* w, int64_t terms,
                                 History<O>* history) {
    const H low = (int16_t)p.low + H{}, high = (int16_t)p.high + H{};
    int64_t top = 0;
    for (int64_t s = 0; s < p.count; s++) {
        const Step& step = p.steps[s];
        Tile<O> acc = {};
        if (step.held) {
            top -= step.held;
            acc = stack[top];
            for (int64_t i = 1; i < step.held; i++)
                for (int o = 0; o < O; o++)
                    for (int k = 0; k < PARTS; k++) acc.v[o][k] += stack[top + i].v[o][k];
        }
        if (step.run > 1) {
            bool fits = step.size <= p.high && within(acc, p.low + step.size, p.high - step.size);
            if (history) history->at_once[s] = fits;
            if (fits) {
                const Step& last = p.steps[s + step.run - 1];
                add_products(acc, x, w, terms, p.spans[2 * step.spans], p.spans[2 * last.spans + 1]);
                stack[top++] = acc;
                s += step.run - 1;
                continue;
            }
        }
        for (int64_t i = step.spans; i < step.spans_end; i++)
            add_products(acc, x, w, terms, p.spans[2 * i], p.spans[2 * i + 1]);
        if (step.scale != 1) {
            int bits = -std::ilogb(step.scale);
            for (int o = 0; o < O; o++)
                for (int k = 0; k < PARTS; k++) acc.v[o][k] >>= std::min(bits, 15);
        }
        if (step.limited)
            for (int o = 0; o < O; o++)
                for (int k = 0; k < PARTS; k++) {
                    H kept = larger(smaller(acc.v[o][k], high), low);
                    if (history) history->fits[s].v[o][k] = kept == acc.v[o][k];
                    acc.v[o][k] = kept;
                }
        stack[top++] = acc;
    }
}

// What of the gradient passes to the products of some outputs: masks go from the sum to its summands.
template <int O> struct Backward {
    const Program& p;
    const int16_t *x, *w;
    const float* grad;  // (O, LANES)
    int64_t terms;
    float* dx;  // (terms, LANES)
    float* dw;  // (O, terms, 4): parts of the sum

    INLINE void spread(const Tile<O>& mask, float scale, int64_t start, int64_t end) {
        V g[O][QUARTERS];
        for (int o = 0; o < O; o++)
            for (int q = 0; q < QUARTERS; q++) {
                I passes = __builtin_convertvector(*((const H16*)mask.v[o] + q), I);
                g[o][q] = (V)(passes & *(const I*)(grad + o * LANES + 16 * q)) * scale;
            }
        for (int64_t t = start; t < end; t++) {
            V sums[O] = {};
            for (int q = 0; q < QUARTERS; q++) {
                V values = __builtin_convertvector(*(const H16*)(x + t * LANES + 16 * q), V);
                V change = *(V*)(dx + t * LANES + 16 * q);
                for (int o = 0; o < O; o++) {
                    change += (float)w[o * terms + t] * g[o][q];
                    sums[o] += g[o][q] * values;
                }
                *(V*)(dx + t * LANES + 16 * q) = change;
            }
            for (int o = 0; o < O; o++) *(V4*)(dw + 4 * (o * terms + t)) += folded(sums[o]);
        }
    }

    void run(Tile<O>* stack, float* scales, const History<O>& history) {
        int64_t top = 1;
        for (int o = 0; o < O; o++)
            for (int k = 0; k < PARTS; k++) stack[0].v[o][k] = (int16_t)-1 + H{};
        scales[0] = 1;
        for (int64_t s = p.count - 1; s >= 0; s--) {
            const Step& step = p.steps[s];
            Tile<O> mask = stack[--top];
            float scale = scales[top] * step.scale;
            if (history.at_once[step.first]) {
                spread(mask, scale, p.spans[2 * p.steps[step.first].spans], p.spans[2 * step.spans + 1]);
                s = step.first;
                stack[top] = mask, scales[top++] = scale;
                continue;
            }
            if (step.limited)
                for (int o = 0; o < O; o++)
                    for (int k = 0; k < PARTS; k++) mask.v[o][k] &= history.fits[s].v[o][k];
            for (int64_t i = step.spans; i < step.spans_end; i++)
                spread(mask, scale, p.spans[2 * i], p.spans[2 * i + 1]);
            for (int64_t i = 0; i < step.held; i++) stack[top] = mask, scales[top++] = scale;
        }
    }
};

struct Convolution {
    int64_t batch, channels, height, width, kernel_height, kernel_width, stride_height, stride_width;
    int64_t dilation_height, dilation_width, out_height, out_width, outputs, bias;
    int64_t programs, prune, largest_weight, last;  // prune: what no sum of sizes may exceed for plain products

    int64_t terms() const { return channels * kernel_height * kernel_width + bias; }
    int64_t places() const { return out_height * out_width; }
    int64_t tiles() const { return (batch * places() + LANES - 1) / LANES; }
};

// Lanes of a tile that lie in one row of one image.
struct Run {
    int64_t image, row, column, lane, length;
};

std::vector<Run> runs_of(const Convolution& c, int64_t tile) {
    std::vector<Run> runs;
    int64_t end = std::min((tile + 1) * LANES, c.batch * c.places());
    for (int64_t n = tile * LANES; n < end;) {
        int64_t image = n / c.places(), row = n % c.places() / c.out_width, column = n % c.out_width;
        int64_t length = std::min(end - n, c.out_width - column);
        runs.push_back({image, row, column, n - tile * LANES, length});
        n += length;
    }
    return runs;
}

// For each channel and place of the kernel, and each run: its products, its lanes, and where they lie in the inputs.
template <class F> INLINE void each_window(const Convolution& c, const std::vector<Run>& runs, F use) {
    int64_t t = 0;
    for (int64_t channel = 0; channel < c.channels; channel++)
        for (int64_t i = 0; i < c.kernel_height; i++)
            for (int64_t j = 0; j < c.kernel_width; j++, t++)
                for (const Run& run : runs) {
                    int64_t row = run.row * c.stride_height + i * c.dilation_height;
                    int64_t column = run.column * c.stride_width + j * c.dilation_width;
                    use(t * LANES + run.lane, ((run.image * c.channels + channel) * c.height + row) * c.width + column,
                        run.length);
                }
}

template <int N> INLINE void copy(int16_t* to, const int16_t* from) { std::memcpy(to, from, N * sizeof(int16_t)); }

void take_windows(const Convolution& c, const std::vector<Run>& runs, const int16_t* images, int16_t* x) {
    int64_t stride = c.stride_width;
    each_window(c, runs, [&](int64_t to, int64_t from, int64_t length) {
        if (stride == 1 && length == 32) return copy<32>(x + to, images + from);
        if (stride == 1 && length == 16) return copy<16>(x + to, images + from);
        if (stride == 1 && length == 8) return copy<8>(x + to, images + from);
        if (stride == 1 && length == 4) return copy<4>(x + to, images + from);
        for (int64_t i = 0; i < length; i++) x[to + i] = images[from + i * stride];
    });
}

// The program that is enough for the inputs of a tile: the first, of plain products, if their sizes say that no node
// can reach a limit; else by the largest of them.
int64_t program_of(const Convolution& c, const int64_t* bounds, const int16_t* x) {
    H sums[PARTS] = {}, largest = {};
    const H enough = (int16_t)16383 + H{};
    int64_t windows = c.terms() - c.bias;
    for (int64_t t = 0; t < windows; t++)
        for (int k = 0; k < PARTS; k++) {
            H value = *(const H*)(x + t * LANES + WIDE * k), size = larger(value, -value);
            largest = larger(largest, size);
            sums[k] = smaller(sums[k] + smaller(size, enough), enough);
        }
    if (most(larger(sums[0], sums[1])) * c.largest_weight + c.last <= c.prune) return 0;
    int64_t found = 1, size = most(largest);
    while (found < c.programs - 1 && bounds[found] < size) found++;
    return found;
}

// What the passes share: integers, and room for a tile.
struct Room {
    std::vector<int16_t> images, weights, x;
    std::vector<Run> runs;

    Room(const Convolution& c, const float* inputs, const float* w)
        : images(inputs, inputs + c.batch * c.channels * c.height * c.width),
          weights(w, w + c.outputs * c.terms()),
          x(c.terms() * LANES) {
        if (c.bias) std::fill(x.end() - LANES, x.end(), 1);
    }

    int64_t take(const Convolution& c, int64_t tile, const int64_t* bounds) {
        runs = runs_of(c, tile);
        take_windows(c, runs, images.data(), x.data());
        return program_of(c, bounds, x.data());
    }
};

// Room for the steps of O outputs.
template <int O> struct Steps {
    std::vector<Tile<O>> stack;
    std::vector<float> scales;
    History<O> history;

    Steps(const Convolution& c, const Program* programs) : stack(1), scales(1), history(0) {
        for (int64_t i = 0; i < c.programs; i++) {
            stack.resize(std::max<int64_t>(stack.size(), programs[i].depth));
            history.fits.resize(std::max<int64_t>(history.fits.size(), programs[i].count));
        }
        scales.resize(stack.size());
        history.at_once.resize(history.fits.size());
    }
};

template <int O> void tile_forward(const Convolution& c, const Program& p, const Room& room, Steps<O>& steps,
                                   int64_t output, float* out) {
    Tile<O>* stack = steps.stack.data();
    take_steps<O>(p, stack, room.x.data(), room.weights.data() + output * c.terms(), c.terms(), nullptr);
    const int16_t* sums = (const int16_t*)stack[0].v;
    for (int o = 0; o < O; o++)
        for (const Run& run : room.runs) {
            float* to = out + ((run.image * c.outputs + output + o) * c.out_height + run.row) * c.out_width + run.column;
            for (int64_t i = 0; i < run.length; i++) to[i] = sums[o * LANES + run.lane + i];
        }
}

template <int O> void tile_backward(const Convolution& c, const Program& p, const Room& room, Steps<O>& steps,
                                    int64_t output, const float* grad, float* dx, float* dw) {
    alignas(64) float g[O * LANES] = {};
    for (int o = 0; o < O; o++)
        for (const Run& run : room.runs) {
            int64_t from = ((run.image * c.outputs + output + o) * c.out_height + run.row) * c.out_width + run.column;
            std::copy_n(grad + from, run.length, g + o * LANES + run.lane);
        }
    std::fill(steps.history.at_once.begin(), steps.history.at_once.end(), 0);
    const int16_t* w = room.weights.data() + output * c.terms();
    take_steps<O>(p, steps.stack.data(), room.x.data(), w, c.terms(), &steps.history);
    Backward<O> backward{p, room.x.data(), w, g, c.terms(), dx, dw + 4 * output * c.terms()};
    backward.run(steps.stack.data(), steps.scales.data(), steps.history);
}

}  // namespace

// x, dx (batch, channels, height, width), padded; w, dw (outputs, terms), the bias last; out, grad (batch, outputs,
// out_height, out_width). programs: the first of plain products, then one for inputs of size up to each of bounds.
extern "C" void sum_conv_forward(const Convolution* c, const Program* programs, const int64_t* bounds, const float* x,
                                 const float* w, float* out) {
    Room room(*c, x, w);
    Steps<TOGETHER> several(*c, programs);
    Steps<1> single(*c, programs);
    for (int64_t tile = 0; tile < c->tiles(); tile++) {
        const Program& p = programs[room.take(*c, tile, bounds)];
        int64_t o = 0;
        for (; o + TOGETHER <= c->outputs; o += TOGETHER) tile_forward(*c, p, room, several, o, out);
        for (; o < c->outputs; o++) tile_forward(*c, p, room, single, o, out);
    }
}

extern "C" void sum_conv_backward(const Convolution* c, const Program* programs, const int64_t* bounds, const float* x,
                                  const float* w, const float* grad, float* dx, float* dw) {
    Room room(*c, x, w);
    Steps<TOGETHER> several(*c, programs);
    Steps<1> single(*c, programs);
    std::vector<float> changes(c->terms() * LANES), sums(4 * c->outputs * c->terms());
    int64_t stride = c->stride_width;
    for (int64_t tile = 0; tile < c->tiles(); tile++) {
        const Program& p = programs[room.take(*c, tile, bounds)];
        std::fill(changes.begin(), changes.end(), 0);
        int64_t o = 0;
        for (; o + TOGETHER <= c->outputs; o += TOGETHER)
            tile_backward(*c, p, room, several, o, grad, changes.data(), sums.data());
        for (; o < c->outputs; o++) tile_backward(*c, p, room, single, o, grad, changes.data(), sums.data());
        each_window(*c, room.runs, [&](int64_t from, int64_t to, int64_t length) {
            for (int64_t i = 0; i < length; i++) dx[to + i * stride] += changes[from + i];
        });
    }
    for (int64_t i = 0; i < c->outputs * c->terms(); i++)
        dw[i] = (sums[4 * i] + sums[4 * i + 1]) + (sums[4 * i + 2] + sums[4 * i + 3]);
}
