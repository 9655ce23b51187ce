// The steps of a sum of products (model/sum_program.py) on tiles of samples, forward and backward.
//
// A tile is LANES samples of a few outputs. Its intermediate results stay in the first cache, where each step of the
// plain code would pass over all samples and outputs. All values are integers that float32 holds, so it does not matter
// how a product rounds.
#pragma GCC optimize("fp-contract=fast", "finite-math-only", "no-signed-zeros")

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "sum_steps.hpp"

namespace {

typedef float V __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(64), aligned(4), may_alias));
typedef int8_t B __attribute__((vector_size(16), aligned(1), may_alias));

constexpr int PARTS = 4, LANES = 16 * PARTS, TOGETHER = 4;

// The results of one node, of O outputs.
template <int O> struct Tile {
    V v[O][PARTS];
};

// What happened to a tile: where each step saturated, and which runs were added at once.
template <int O> struct History {
    struct Fits {
        B b[O][PARTS];
    };
    std::vector<Fits> fits;
    std::vector<uint8_t> saturated, at_once;
    explicit History(int64_t count) : fits(count), saturated(count), at_once(count) {}
};

#define INLINE inline __attribute__((always_inline))

INLINE V floored(V a) {
    I whole = __builtin_convertvector(a, I);
    return __builtin_convertvector(whole + (__builtin_convertvector(whole, V) > a), V);
}

INLINE float total(V a) {
    float values[16], eight[8], four[4];
    *(V*)values = a;
    for (int i = 0; i < 8; i++) eight[i] = values[i] + values[i + 8];
    for (int i = 0; i < 4; i++) four[i] = eight[i] + eight[i + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

template <int O> INLINE void add_products(Tile<O>& acc, const float* x, int64_t ld, const float* w, int64_t terms,
                                          int64_t start, int64_t end) {
    for (int64_t t = start; t < end; t++) {
        V values[PARTS];
        for (int k = 0; k < PARTS; k++) values[k] = *(const V*)(x + t * ld + 16 * k);
        for (int o = 0; o < O; o++) {
            float weight = w[o * terms + t];
            for (int k = 0; k < PARTS; k++) acc.v[o][k] += weight * values[k];
        }
    }
}

template <int O> INLINE void store(Tile<O>& to, const Tile<O>& acc) {
    for (int o = 0; o < O; o++)
        for (int k = 0; k < PARTS; k++) to.v[o][k] = acc.v[o][k];
}

template <int O> INLINE bool within(const Tile<O>& tile, float low, float high) {
    I bad = {};
    for (int o = 0; o < O; o++)
        for (int k = 0; k < PARTS; k++) bad |= (tile.v[o][k] < low) | (tile.v[o][k] > high);
    for (int i = 0; i < 16; i++)
        if (bad[i]) return false;
    return true;
}

template <int O> INLINE void limit(Tile<O>& acc, const Program& p, History<O>* history, int64_t s, uint8_t* any) {
    float low = p.low, high = p.high, turn = p.turn;
    if (p.wraps) {
        for (int o = 0; o < O; o++)
            for (int k = 0; k < PARTS; k++) acc.v[o][k] -= turn * floored((acc.v[o][k] - low) * (1 / turn));
        return;
    }
    if (history && !within(acc, low, high)) {
        history->saturated[s] = 1;
        for (int o = 0; o < O; o++)
            for (int k = 0; k < PARTS; k++) {
                I fits = (acc.v[o][k] >= low) & (acc.v[o][k] <= high);
                history->fits[s].b[o][k] = __builtin_convertvector(fits, B);
            }
    }
    if (any && !*any) *any = !within(acc, low, high);
    for (int o = 0; o < O; o++)
        for (int k = 0; k < PARTS; k++) {
            V a = acc.v[o][k];
            a = a < low ? low + V{} : a;
            acc.v[o][k] = a > high ? high + V{} : a;
        }
}

template <int O> void take_steps(const Program& p, Tile<O>* stack, const float* x, int64_t ld, const float* w,
                                 int64_t terms, History<O>* history, uint8_t* any) {
    int64_t top = 0;
    for (int64_t s = 0; s < p.count; s++) {
        const Step& step = p.steps[s];
        Tile<O> acc = {};
        if (step.held) {
            top -= step.held;
            for (int o = 0; o < O; o++)
                for (int k = 0; k < PARTS; k++) acc.v[o][k] = stack[top].v[o][k];
            for (int64_t i = 1; i < step.held; i++)
                for (int o = 0; o < O; o++)
                    for (int k = 0; k < PARTS; k++) acc.v[o][k] += stack[top + i].v[o][k];
        }
        if (step.run > 1) {
            bool fits = within(acc, p.low + step.size, p.high - step.size);
            if (history) history->at_once[s] = fits;
            if (fits) {
                const Step& last = p.steps[s + step.run - 1];
                add_products(acc, x, ld, w, terms, p.spans[2 * step.spans], p.spans[2 * last.spans + 1]);
                store(stack[top++], acc);
                s += step.run - 1;
                continue;
            }
        }
        for (int64_t i = step.spans; i < step.spans_end; i++)
            add_products(acc, x, ld, w, terms, p.spans[2 * i], p.spans[2 * i + 1]);
        if (step.scale != 1)
            for (int o = 0; o < O; o++)
                for (int k = 0; k < PARTS; k++) acc.v[o][k] = floored(acc.v[o][k] * step.scale);
        if (step.limited) limit(acc, p, history, s, any);
        store(stack[top++], acc);
    }
}

template <int O> void pass_back(const Program& p, Tile<O>* stack, const History<O>& history, const float* x,
                                int64_t ld, const float* w, int64_t terms, float* dx, float* dw) {
    int64_t top = 1;
    auto spread = [&](const Tile<O>& g, int64_t start, int64_t end) {
        for (int64_t t = start; t < end; t++) {
            V sums[O] = {};
            for (int k = 0; k < PARTS; k++) {
                V values = *(const V*)(x + t * ld + 16 * k);
                V change = *(V*)(dx + t * ld + 16 * k);
                for (int o = 0; o < O; o++) {
                    change += w[o * terms + t] * g.v[o][k];
                    sums[o] += g.v[o][k] * values;
                }
                *(V*)(dx + t * ld + 16 * k) = change;
            }
            for (int o = 0; o < O; o++) dw[o * terms + t] += total(sums[o]);
        }
    };
    for (int64_t s = p.count - 1; s >= 0; s--) {
        const Step& step = p.steps[s];
        Tile<O> g = stack[--top];
        if (history.at_once[step.first]) {
            spread(g, p.spans[2 * p.steps[step.first].spans], p.spans[2 * step.spans + 1]);
            s = step.first;
            stack[top++] = g;
            continue;
        }
        if (history.saturated[s])
            for (int o = 0; o < O; o++)
                for (int k = 0; k < PARTS; k++) {
                    I fits = __builtin_convertvector(history.fits[s].b[o][k], I);
                    g.v[o][k] = fits ? g.v[o][k] : V{};
                }
        if (step.scale != 1)
            for (int o = 0; o < O; o++)
                for (int k = 0; k < PARTS; k++) g.v[o][k] *= step.scale;
        for (int64_t i = step.spans; i < step.spans_end; i++) spread(g, p.spans[2 * i], p.spans[2 * i + 1]);
        for (int64_t i = 0; i < step.held; i++) stack[top++] = g;
    }
}

template <int O> void tile_forward(const Program& p, const float* x, int64_t ld, const float* w, int64_t terms,
                                   float* out, uint8_t* any) {
    std::vector<Tile<O>> stack(p.depth);
    for (int64_t lane = 0; lane < ld; lane += LANES) {
        take_steps<O>(p, stack.data(), x + lane, ld, w, terms, nullptr, any);
        for (int o = 0; o < O; o++) std::memcpy(out + o * ld + lane, stack[0].v[o], sizeof stack[0].v[o]);
    }
}

template <int O> void tile_backward(const Program& p, const float* x, int64_t ld, const float* w, int64_t terms,
                                    const float* grad, float* dx, float* dw) {
    std::vector<Tile<O>> stack(p.depth);
    History<O> history(p.count);
    for (int64_t lane = 0; lane < ld; lane += LANES) {
        std::fill(history.saturated.begin(), history.saturated.end(), 0);
        std::fill(history.at_once.begin(), history.at_once.end(), 0);
        take_steps<O>(p, stack.data(), x + lane, ld, w, terms, &history, nullptr);
        for (int o = 0; o < O; o++) std::memcpy(stack[0].v[o], grad + o * ld + lane, sizeof stack[0].v[o]);
        pass_back<O>(p, stack.data(), history, x + lane, ld, w, terms, dx + lane, dw);
    }
}

}  // namespace

// x, dx (terms, ld) with ld a multiple of LANES; w, dw (outputs, terms); out, grad (outputs, ld).
// any, if not null, is set where some step saturates.
extern "C" void sum_steps_forward(const Program* p, int64_t ld, int64_t terms, int64_t outputs, const float* x,
                                  const float* w, float* out, uint8_t* any) {
    int64_t o = 0;
    for (; o + TOGETHER <= outputs; o += TOGETHER)
        tile_forward<TOGETHER>(*p, x, ld, w + o * terms, terms, out + o * ld, any);
    for (; o < outputs; o++) tile_forward<1>(*p, x, ld, w + o * terms, terms, out + o * ld, any);
}

extern "C" void sum_steps_backward(const Program* p, int64_t ld, int64_t terms, int64_t outputs, const float* x,
                                   const float* w, const float* grad, float* dx, float* dw) {
    int64_t o = 0;
    for (; o + TOGETHER <= outputs; o += TOGETHER)
        tile_backward<TOGETHER>(*p, x, ld, w + o * terms, terms, grad + o * ld, dx, dw + o * terms);
    for (; o < outputs; o++) tile_backward<1>(*p, x, ld, w + o * terms, terms, grad + o * ld, dx, dw + o * terms);
}
