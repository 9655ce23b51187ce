// What the kernels of one LSTM time step share. Pre-activations are laid out (batch, gate, hidden).

#pragma once

#include <cmath>
#include <cstdint>

constexpr int kGates = 4;

// A real value to an integer of some format, with saturation; what is no number becomes the smallest, so that an index
// never leaves its table. Mirrored field by field in kernel.py.
template <typename T>
struct Narrow {
  T scale;          // 2^frac
  T low;            // smallest integer
  T high;           // largest
  int64_t nearest;  // 0: floor, 1: nearest even

  T rounded(T v) const { return nearest ? std::nearbyint(v * scale) : std::floor(v * scale); }
  T clamped(T rounded) const { return rounded > low ? (rounded < high ? rounded : high) : low; }
  int32_t index(T v) const { return static_cast<int32_t>(clamped(rounded(v)) - low); }
};

// z = zx + product of one sample (the product is that of h^ and the recurrent weights), as indices of its activations.
template <typename T>
void narrow_z(const Narrow<T>* rules, int64_t hidden, const T* zx, const T* product, int32_t* index) {
  for (int k = 0; k < kGates; ++k) {
    const Narrow<T> rule = rules[k];  // a copy: the stores below cannot change it
    for (int64_t j = k * hidden; j < (k + 1) * hidden; ++j) index[j] = rule.index(zx[j] + product[j]);
  }
}
