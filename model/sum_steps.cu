// The steps of a sum of products (model/sum_program.py) on a GPU: a thread takes them for one output and a few samples.
//
// Nobody waits for an intermediate result: what a thread has on its stack stays in its registers and the first cache.
// The threads of a block take the same step at the same time, so they share the operands of the next terms.
// All values are integers that float32 holds, so it does not matter how a product rounds.

#include <cstdint>

// A step, or one span of it: results from the stack, and the products from `start` to before `end`.
struct __align__(16) Operation {
    int start, end, held, rule;  // rule: twice the bits dropped, and whether the overflow rule may change the sum
};

struct Task {
    const Operation* operations;
    const float *x, *w, *columns;  // (batch, terms), (outputs, terms), (terms, outputs)
    int64_t batch, terms, outputs, count, wraps;
    float low, high, turn;
};

namespace {

constexpr int DEPTH = 48;  // results on a stack, at most
constexpr int WINDOW = 64;  // terms whose operands are shared at a time
constexpr int SEVERAL = 4;  // samples of a thread, where it has more than one
constexpr int LANES = 32, GROUPS = 4, THREADS = LANES * GROUPS;

// A block is for LANES outputs or half as many, and GROUPS times ROWS samples or twice as many. Beyond the last of
// either, a thread does the work of another, unused.
struct Place {
    int64_t output, sample;
    __device__ Place(int rows)
        : output(blockIdx.y * blockDim.x + threadIdx.x),
          sample((int64_t(blockIdx.x) * blockDim.y + threadIdx.y) * rows) {}
    __device__ bool inside(const Task& task, int row = 0) const {
        return output < task.outputs && sample + row < task.batch;
    }
};

// The operands of a block for the terms from `first` on.
template <int ROWS> struct Operands {
    static constexpr int SAMPLES = 2 * GROUPS * ROWS + 4;  // some of them padding, against conflicts of banks
    float w[WINDOW][LANES], x[WINDOW][SAMPLES];
};

template <int ROWS> __device__ void fetch(const Task& task, Operands<ROWS>& shared, int first) {
    int outputs = blockDim.x, samples = blockDim.y * ROWS, thread = threadIdx.y * blockDim.x + threadIdx.x;
    int terms = min(int64_t(WINDOW), task.terms - first);
    int64_t output = int64_t(blockIdx.y) * outputs, sample = int64_t(blockIdx.x) * samples;
    __syncthreads();
    for (int i = thread; i < terms * outputs; i += THREADS) {
        int t = i / outputs, o = i % outputs;
        shared.w[t][o] = task.columns[(first + t) * task.outputs + min(output + o, task.outputs - 1)];
    }
    for (int i = thread; i < WINDOW * samples; i += THREADS) {
        int t = i % WINDOW, b = i / WINDOW;
        if (t < terms) shared.x[t][b] = task.x[min(sample + b, task.batch - 1) * task.terms + first + t];
    }
    __syncthreads();
}

// The sums of ROWS samples; told(i, row, fits) hears of every node that may saturate whether its sum fits.
template <int ROWS, class Told> __device__ void take_steps(const Task& task, float* acc, Told told) {
    __shared__ Operands<ROWS> shared;
    float stack[DEPTH][ROWS];
    int top = 0, first = -WINDOW, lane = threadIdx.x, row = threadIdx.y * ROWS;
    for (int r = 0; r < ROWS; r++) acc[r] = 0;
    Operation next = task.operations[0];
    for (int i = 0; i < task.count; i++) {
        Operation op = next;
        next = task.operations[min(int64_t(i + 1), task.count - 1)];
        if (op.held == 0) {
            for (int r = 0; r < ROWS; r++) {
                stack[top][r] = acc[r];  // nothing yet, at the first step
                acc[r] = 0;
            }
            top++;
        }
        for (int k = 1; k < op.held; k++) {
            top--;
            for (int r = 0; r < ROWS; r++) acc[r] += stack[top][r];
        }
        for (int t = op.start; t < op.end;) {
            if (t < first || t >= first + WINDOW) fetch(task, shared, first = t / WINDOW * WINDOW);
            int end = min(op.end, first + WINDOW);
#pragma unroll 4
            for (; t < end; t++) {
                float weight = shared.w[t - first][lane];
                for (int r = 0; r < ROWS; r++) acc[r] += weight * shared.x[t - first][row + r];
            }
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

template <int ROWS> __global__ void forward(Task task, float* out, int* saturated) {
    Place place(ROWS);
    float acc[ROWS];
    bool all_fit = true;
    take_steps<ROWS>(task, acc, [&](int, int, bool fits) { all_fit &= fits; });
    if (saturated && !all_fit) *saturated = 1;
    for (int r = 0; r < ROWS; r++)
        if (place.inside(task, r)) out[(place.sample + r) * task.outputs + place.output] = acc[r];
}

// passes (batch, words, outputs): of each product a bit, whether no node above it saturates.
// fits (ceil(count / 32), batch, outputs) is room for a bit of each operation.
__global__ void find_passes(Task task, uint32_t* fits, uint32_t* passes) {
    Place place(1);
    bool inside = place.inside(task);
    int64_t stride = task.batch * task.outputs, words = (task.terms + 31) / 32;
    fits += place.sample * task.outputs + place.output;
    passes += place.sample * words * task.outputs + place.output;
    uint32_t bits = ~0u;
    int word = 0;
    float sum;
    take_steps<1>(task, &sum, [&](int i, int, bool fit) {
        for (; word < i >> 5; word++) {
            if (inside) fits[word * stride] = bits;
            bits = ~0u;
        }
        if (!fit) bits &= ~(1u << (i & 31));
    });
    if (!inside) return;
    // Back again. Of the results on the stack a bit is enough: whether what comes to them is let through.
    int last = word, at = 0;
    uint64_t waiting = 1;
    uint32_t found = 0;
    fits[last * stride] = bits;
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

// Gradients of x, a thread for each sample and term.
__global__ void spread_to_x(Task task, const float* scale, const uint32_t* passes, const float* grad, float* dx) {
    int64_t words = (task.terms + 31) / 32, word = blockIdx.y, term = word * 32 + threadIdx.x;
    int64_t sample = int64_t(blockIdx.x) * GROUPS + threadIdx.y;
    if (sample >= task.batch || term >= task.terms) return;
    const float *g = grad + sample * task.outputs, *w = task.w + term;
    const uint32_t* p = passes + (sample * words + word) * task.outputs;
    float sum = 0;
#pragma unroll 8
    for (int64_t o = 0; o < task.outputs; o++) {
        float change = g[o] * w[o * task.terms];
        sum += p[o] >> threadIdx.x & 1 ? change : 0;
    }
    dx[sample * task.terms + term] = sum * scale[term];
}

// Those of w in slices of samples: dw (slices, outputs, terms).
__global__ void spread_to_w(Task task, const float* scale, const uint32_t* passes, const float* grad, float* dw) {
    int64_t words = (task.terms + 31) / 32, word = blockIdx.y, term = word * 32 + threadIdx.x;
    int64_t output = int64_t(blockIdx.x) * GROUPS + threadIdx.y, slices = gridDim.z, slice = blockIdx.z;
    if (output >= task.outputs || term >= task.terms) return;
    float sum = 0;
#pragma unroll 8
    for (int64_t b = slice * task.batch / slices; b < (slice + 1) * task.batch / slices; b++) {
        float change = grad[b * task.outputs + output] * task.x[b * task.terms + term];
        sum += passes[(b * words + word) * task.outputs + output] >> threadIdx.x & 1 ? change : 0;
    }
    dw[(slice * task.outputs + output) * task.terms + term] = sum * scale[term];
}

const dim3 BLOCK(LANES, GROUPS);

// A block for samples and outputs, of which there may be few.
dim3 block_of(const Task* task) { return task->outputs > LANES / 2 ? BLOCK : dim3(LANES / 2, GROUPS * 2); }

dim3 blocks(dim3 block, int64_t along_y, int64_t along_x, int64_t slices = 1) {
    return dim3((along_y + block.y - 1) / block.y, (along_x + block.x - 1) / block.x, slices);
}

}  // namespace

// How many results may wait on a stack.
extern "C" const int sum_steps_depth = DEPTH;

// Whether there is a GPU that this can run on: 0, or what CUDA says.
extern "C" int sum_steps_ready() { return cudaFree(nullptr); }

// All pointers are to memory of the GPU; the result is what CUDA says of the launch, 0 if all is well.
// A thread makes several of the sums, or one. `saturated`, if not null, is set where a node saturates.
extern "C" int sum_steps_forward(const Task* task, int64_t several, float* out, int* saturated, cudaStream_t stream) {
    dim3 block = block_of(task);
    if (several)
        forward<SEVERAL><<<blocks(block, (task->batch + SEVERAL - 1) / SEVERAL, task->outputs), block, 0, stream>>>(
            *task, out, saturated);
    else
        forward<1><<<blocks(block, task->batch, task->outputs), block, 0, stream>>>(*task, out, saturated);
    return cudaGetLastError();
}

// `passes` is full of zeros; scale (terms) is what the gradient of each product is multiplied by, for the bits dropped
// above it.
extern "C" int sum_steps_backward(const Task* task, int64_t slices, const float* scale, uint32_t* fits,
                                  uint32_t* passes, const float* grad, float* dx, float* dw, cudaStream_t stream) {
    dim3 block = block_of(task), over_w = blocks(BLOCK, task->outputs, task->terms, slices);
    find_passes<<<blocks(block, task->batch, task->outputs), block, 0, stream>>>(*task, fits, passes);
    spread_to_x<<<blocks(BLOCK, task->batch, task->terms), BLOCK, 0, stream>>>(*task, scale, passes, grad, dx);
    spread_to_w<<<over_w, BLOCK, 0, stream>>>(*task, scale, passes, grad, dw);
    return cudaGetLastError();
}
