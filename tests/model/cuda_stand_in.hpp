// What a CUDA source needs to be C++: the threads of a block are threads, its blocks come one after another.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __align__(bytes) alignas(bytes)

using std::max;
using std::min;

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

typedef void* cudaStream_t;
static dim3 gridDim, blockDim, blockIdx;
static thread_local dim3 threadIdx;
static pthread_barrier_t barrier;

static int cudaGetLastError() { return 0; }
static int cudaFree(void*) { return 0; }
static void __syncthreads() { pthread_barrier_wait(&barrier); }
static float __int_as_float(int bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

template <class Kernel> void launch(dim3 grid, dim3 block, Kernel kernel) {
    gridDim = grid;
    blockDim = block;
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) {
                pthread_barrier_init(&barrier, nullptr, block.x * block.y);
                std::vector<std::thread> threads;
                for (unsigned y = 0; y < block.y; y++)
                    for (unsigned x = 0; x < block.x; x++)
                        threads.emplace_back([=] {
                            threadIdx = dim3(x, y);
                            kernel();
                        });
                for (auto& thread : threads) thread.join();
                pthread_barrier_destroy(&barrier);
            }
}
