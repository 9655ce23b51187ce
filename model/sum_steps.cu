// The steps of a sum of products (model/sum_program.py) on a GPU: a thread takes them for one output and a few samples.
//
// Nobody waits for an intermediate result: what a thread has on its stack stays in its registers and the first cache.
// All values are integers that float32 holds, so it does not matter how a product rounds.

#include <cstdint>

// A step, or one span of it: results from the stack, and the products from `start` to before `end`.
struct __align__(16) Operation {
    int start, end, held, rule;  // rule: twice the bits dropped, and whether the overflow rule may change the sum
};

struct Task {
    const Operation* operations;
    const float *x, *w;  // (batch, terms), (terms, outputs)
    int64_t batch, terms, outputs, count, wraps;
    float low, high, turn;
};

namespace {

constexpr int DEPTH = 32;  // results on a stack, at most
constexpr int LANES = 32, GROUPS = 4;

// The sums of ROWS samples; told(i, row, fits) hears of every node that may saturate whether its sum fits.
template <int ROWS, class Told>
__device__ void take_steps(const Task& task, const float* const* x, const float* w, float* acc, Told told) {
    float stack[DEPTH][ROWS];
    int top = 0;
    for (int i = 0; i < task.count; i++) {
        Operation op = task.operations[i];
        if (op.held == 0) {
            for (int r = 0; r < ROWS; r++) {
                if (i) stack[top][r] = acc[r];
                acc[r] = 0;
            }
            top += i > 0;
        }
        for (int k = 1; k < op.held; k++) {
            top--;
            for (int r = 0; r < ROWS; r++) acc[r] += stack[top][r];
        }
        for (int t = op.start; t < op.end; t++) {
            float weight = w[t * task.outputs];
            for (int r = 0; r < ROWS; r++) acc[r] += weight * x[r][t];
        }
        if (op.rule == 0) continue;
        float scale = __int_as_float((127 - (op.rule >> 1)) << 23);
        for (int r = 0; r < ROWS; r++) {
            if (op.rule > 1) acc[r] = floorf(acc[r] * scale);
            if (!(op.rule & 1)) continue;
            if (task.wraps) {
                acc[r] -= task.turn * floorf((acc[r] - task.low) * (1 / task.turn));
            } else {
                float fits = fminf(fmaxf(acc[r], task.low), task.high);
                told(i, r, fits == acc[r]);
                acc[r] = fits;
            }
        }
    }
}

// The output of this thread and its first sample; beyond the last of either it does the work of another, unused.
struct Place {
    int64_t output, sample;
    __device__ Place(int rows)
        : output(blockIdx.y * LANES + threadIdx.x), sample((int64_t(blockIdx.x) * GROUPS + threadIdx.y) * rows) {}
    __device__ int64_t o(const Task& task) const { return min(output, task.outputs - 1); }
    __device__ int64_t b(const Task& task, int row) const { return min(sample + row, task.batch - 1); }
};

template <int ROWS> __global__ void forward(Task task, float* out, int* saturated) {
    Place place(ROWS);
    const float* x[ROWS];
    for (int r = 0; r < ROWS; r++) x[r] = task.x + place.b(task, r) * task.terms;
    float acc[ROWS];
    bool all_fit = true;
    take_steps<ROWS>(task, x, task.w + place.o(task), acc, [&](int, int, bool fits) { all_fit &= fits; });
    if (!all_fit) *saturated = 1;
    for (int r = 0; r < ROWS; r++)
        if (place.output < task.outputs && place.sample + r < task.batch)
            out[(place.sample + r) * task.outputs + place.output] = acc[r];
}

// passes (batch, words, outputs): of each product a bit, whether no node above it saturates.
// fits (ceil(count / 32), batch, outputs) is room for a bit of each step.
__global__ void find_passes(Task task, uint32_t* fits, uint32_t* passes) {
    Place place(1);
    if (place.output >= task.outputs || place.sample >= task.batch) return;
    const float* x = task.x + place.sample * task.terms;
    int64_t stride = task.batch * task.outputs, words = (task.terms + 31) / 32;
    fits += place.sample * task.outputs + place.output;
    passes += place.sample * words * task.outputs + place.output;
    uint32_t bits = ~0u;
    int word = 0;
    float sum;
    take_steps<1>(task, &x, task.w + place.output, &sum, [&](int i, int, bool fit) {
        if (i >> 5 != word) {
            fits[word * stride] = bits;
            for (word++; word < i >> 5; word++) fits[word * stride] = ~0u;
            bits = ~0u;
        }
        if (!fit) bits &= ~(1u << (i & 31));
    });
    fits[word * stride] = bits;
    // Back again. Of the results on the stack a bit is enough: whether what comes to them is let through.
    int last = word;
    uint32_t waiting = 1, found = 0;
    int at = 0;
    for (int i = task.count - 1; i >= 0; i--) {
        Operation op = task.operations[i];
        if (i >> 5 != word) {
            word = i >> 5;
            bits = word <= last ? fits[word * stride] : ~0u;
        }
        bool through = waiting & 1;
        if (op.rule & 1) through &= bits >> (i & 31) & 1;
        waiting >>= 1;
        for (int k = 0; k < op.held; k++) waiting = waiting << 1 | through;
        for (int start = op.start; through && start < op.end;) {
            if (start >> 5 != at) {
                if (found) passes[at * task.outputs] |= found;
                at = start >> 5;
                found = 0;
            }
            int end = min(op.end, (at + 1) * 32), count = end - start;
            found |= (count == 32 ? ~0u : (1u << count) - 1) << (start & 31);
            start = end;
        }
    }
    if (found) passes[at * task.outputs] |= found;
}

// Gradients of x, a thread for each sample and term; and what is added to those of w, for each output and term.
__global__ void spread_to_x(Task task, const float* scale, const uint32_t* passes, const float* grad, float* dx) {
    int64_t words = (task.terms + 31) / 32, word = blockIdx.y, term = word * 32 + threadIdx.x;
    int64_t sample = int64_t(blockIdx.x) * GROUPS + threadIdx.y;
    if (sample >= task.batch || term >= task.terms) return;
    const float *g = grad + sample * task.outputs, *w = task.w + term * task.outputs;
    const uint32_t* p = passes + (sample * words + word) * task.outputs;
    float sum = 0;
    for (int64_t o = 0; o < task.outputs; o++)
        if (p[o] >> threadIdx.x & 1) sum += g[o] * w[o];
    dx[sample * task.terms + term] = sum * scale[term];
}

__global__ void spread_to_w(Task task, const float* scale, const uint32_t* passes, const float* grad, float* dw) {
    int64_t words = (task.terms + 31) / 32, word = blockIdx.y, term = word * 32 + threadIdx.x;
    int64_t output = int64_t(blockIdx.x) * GROUPS + threadIdx.y;
    if (output >= task.outputs || term >= task.terms) return;
    float sum = 0;
    for (int64_t b = 0; b < task.batch; b++)
        if (passes[(b * words + word) * task.outputs + output] >> threadIdx.x & 1)
            sum += grad[b * task.outputs + output] * task.x[b * task.terms + term];
    dw[output * task.terms + term] += sum * scale[term];
}

dim3 blocks(int64_t first, int64_t second, int64_t rows = 1) {
    return dim3((first + GROUPS * rows - 1) / (GROUPS * rows), (second + LANES - 1) / LANES);
}

const dim3 BLOCK(LANES, GROUPS);

}  // namespace

// All pointers are to memory of the GPU; the result is what CUDA says of the launch, 0 if all is well.
// `saturated` is set where a node saturates.
extern "C" int sum_steps_forward(const Task* task, int64_t rows, float* out, int* saturated, cudaStream_t stream) {
    if (rows == 4)
        forward<4><<<blocks(task->batch, task->outputs, 4), BLOCK, 0, stream>>>(*task, out, saturated);
    else
        forward<1><<<blocks(task->batch, task->outputs), BLOCK, 0, stream>>>(*task, out, saturated);
    return cudaGetLastError();
}

// `passes` is full of zeros; scale (terms) is what the shifts above each product divide its gradient by.
extern "C" int sum_steps_backward(const Task* task, const float* scale, uint32_t* fits, uint32_t* passes,
                                  const float* grad, float* dx, float* dw, cudaStream_t stream) {
    find_passes<<<blocks(task->batch, task->outputs), BLOCK, 0, stream>>>(*task, fits, passes);
    spread_to_x<<<blocks(task->batch, task->terms), BLOCK, 0, stream>>>(*task, scale, passes, grad, dx);
    spread_to_w<<<blocks(task->outputs, task->terms), BLOCK, 0, stream>>>(*task, scale, passes, grad, dw);
    return cudaGetLastError();
}
