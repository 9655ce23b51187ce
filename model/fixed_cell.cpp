// The pointwise part of one LSTM time step where gates, c and h are fixed-point words, forward and backward.
//
// Activations are table look-ups made from the golden functions; c^ and h^ are narrowed as `fixed_point` in cell.py
// does it, in the same order of operations, so that a step gives the same numbers even where reals are rounded.

#include "cell.hpp"

namespace {

// Mirrored field by field in fixed_kernel.py.
template <typename T>
struct Tables {
  Narrow<T> z[kGates];      // pre-activation -> index
  const T* value[kGates];   // index -> gate output as it is stored
  const T* slope[kGates];   // index -> derivative of the activation, 0 where the gate output saturates
  Narrow<T> c;              // c_raw -> c^
  Narrow<T> t;              // c^ -> index
  const T* t_value;         // index -> tanh(c^)
  const T* t_slope;         // index -> its derivative
  Narrow<T> h;              // h_raw -> h^
};

template <typename T>
void forward(const Tables<T>& given, int64_t batch, int64_t hidden, const T* zx, const T* product, T* h,
             const T* c_before, T* c, int32_t* index) {
  const Tables<T> tab = given;  // a copy: the stores below cannot change it
  const T c_step = 1 / tab.c.scale, h_step = 1 / tab.h.scale;
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t gates = b * kGates * hidden;
    narrow_z(tab.z, hidden, zx + gates, product + gates, index + gates);
    const int32_t* ib = index + gates;
    for (int64_t j = 0; j < hidden; ++j) {
      const int64_t at = b * hidden + j;
      const T i = tab.value[0][ib[j]], f = tab.value[1][ib[hidden + j]];
      const T g = tab.value[2][ib[2 * hidden + j]], o = tab.value[3][ib[3 * hidden + j]];
      c[at] = tab.c.clamped(tab.c.rounded(f * c_before[at] + i * g)) * c_step;
      h[at] = tab.h.clamped(tab.h.rounded(o * tab.t_value[tab.t.index(c[at])])) * h_step;
    }
  }
}

template <typename T>
bool passes(const Narrow<T>& rule, T raw) {
  const T rounded = rule.rounded(raw);
  return rounded == rule.clamped(rounded);
}

// dh: gradient of the h^ of this step. dc: gradient of its c^ on entry, of the c^ before it on return.
// What saturates is asked again: that costs less than to have stored it.
template <typename T>
void backward(const Tables<T>& given, int64_t batch, int64_t hidden, const T* dh, T* dc, T* dz, const T* c_before,
              const T* c, const int32_t* index) {
  const Tables<T> tab = given;
  for (int64_t b = 0; b < batch; ++b) {
    const int32_t* ib = index + b * kGates * hidden;
    T* dzb = dz + b * kGates * hidden;
    for (int64_t j = 0; j < hidden; ++j) {
      const int64_t at = b * hidden + j;
      T value[kGates];
      for (int k = 0; k < kGates; ++k) value[k] = tab.value[k][ib[k * hidden + j]];
      const int32_t t_index = tab.t.index(c[at]);
      const T t = tab.t_value[t_index];
      const T dh_raw = passes(tab.h, value[3] * t) ? dh[at] : T{0};
      const T dc_hat = dc[at] + dh_raw * value[3] * tab.t_slope[t_index];
      const T dc_raw = passes(tab.c, value[1] * c_before[at] + value[0] * value[2]) ? dc_hat : T{0};
      const T grad[kGates] = {dc_raw * value[2], dc_raw * c_before[at], dc_raw * value[0], dh_raw * t};
      for (int k = 0; k < kGates; ++k) dzb[k * hidden + j] = grad[k] * tab.slope[k][ib[k * hidden + j]];
      dc[at] = dc_raw * value[1];
    }
  }
}

}  // namespace

#define XNORFORGE_EXPORT(suffix, T)                                                                                 \
  extern "C" void fixed_forward_##suffix(const Tables<T>* tab, int64_t batch, int64_t hidden, const T* zx,          \
                                         const T* product, T* h, const T* c_before, T* c, int32_t* index) {         \
    forward<T>(*tab, batch, hidden, zx, product, h, c_before, c, index);                                            \
  }                                                                                                                 \
  extern "C" void fixed_backward_##suffix(const Tables<T>* tab, int64_t batch, int64_t hidden, const T* dh, T* dc,  \
                                          T* dz, const T* c_before, const T* c, const int32_t* index) {             \
    backward<T>(*tab, batch, hidden, dh, dc, dz, c_before, c, index);                                               \
  }

XNORFORGE_EXPORT(f32, float)
XNORFORGE_EXPORT(f64, double)
