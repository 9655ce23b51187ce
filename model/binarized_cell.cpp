// The pointwise part of one LSTM time step where gates, c and h are binarized, forward and backward.
//
// All decisions are table look-ups made from the golden functions, so a step computes exactly what the
// specification says.

#include "cell.hpp"

namespace {

constexpr int kMaxLevels = 5;

// Mirrored field by field in binarized_kernel.py.
template <typename T>
struct Tables {
  int64_t levels;               // A
  Narrow<T> z[kGates];          // pre-activation -> index
  const uint8_t* code[kGates];  // index -> code of the gate output
  const T* slope[kGates];       // index -> derivative of the activation, 0 where the binarization clips
  const T* value[kGates];       // code -> value of the gate output
  T c_factor[kMaxLevels];
  T c_offset;
  T c_clip;            // the gradient of c_raw stops beyond this distance from the offset
  const T* c_value;    // code -> value
  const T* t_value;    // code of c -> tanh(c)
  const T* t_slope;    // code of c -> derivative of tanh
  const uint8_t* h_code;  // code of o, code of c -> code of h
  const T* h_pass;        // the same -> 1 where the gradient of h_raw passes, else 0
  const T* h_value;       // code -> value

  // Codes and values of the four gate outputs of one unit, from the indices of its sample.
  void gates(const int32_t* index, int64_t hidden, int64_t unit, uint8_t* gate_code, T* gate_value) const {
    for (int k = 0; k < kGates; ++k) {
      gate_code[k] = code[k][index[k * hidden + unit]];
      gate_value[k] = value[k][gate_code[k]];
    }
  }
};

template <typename T>
void forward(const Tables<T>& tab, int64_t batch, int64_t hidden, const T* zx, const T* product, T* h,
             const uint8_t* c_before, uint8_t* c_code, int32_t* index, uint8_t* c_pass, uint8_t* h_code) {
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t gates = b * kGates * hidden;
    narrow_z(tab.z, hidden, zx + gates, product + gates, index + gates);
    const int32_t* ib = index + gates;
    for (int64_t j = 0; j < hidden; ++j) {
      const int64_t at = b * hidden + j;
      uint8_t code[kGates];
      T value[kGates];
      tab.gates(ib, hidden, j, code, value);
      const T raw = value[1] * tab.c_value[c_before[at]] + value[0] * value[2];
      T rest = raw - tab.c_offset;
      c_pass[at] = std::abs(rest) <= tab.c_clip;
      uint8_t c = 0;
      for (int64_t m = 0; m < tab.levels; ++m) {
        const bool positive = rest >= 0;
        c = static_cast<uint8_t>(2 * c + positive);
        rest += positive ? -tab.c_factor[m] : tab.c_factor[m];
      }
      c_code[at] = c;
      h_code[at] = tab.h_code[(code[3] << tab.levels) + c];
      h[at] = tab.h_value[h_code[at]];
    }
  }
}

// dh: gradient of the h^ of this step. dc: gradient of its c^ on entry, of the c^ before it on return.
// bins: for i, f, g, o, c, h, per code, the sum of the gradients that arrived at values of that code.
template <typename T>
void backward(const Tables<T>& tab, int64_t batch, int64_t hidden, const T* dh, T* dc, T* dz,
              const uint8_t* c_before, const uint8_t* c_code, const int32_t* index, const uint8_t* c_pass,
              const uint8_t* h_code, double* bins) {
  const int64_t codes = int64_t{1} << tab.levels;
  double *bins_c = bins + kGates * codes, *bins_h = bins_c + codes;
  for (int64_t b = 0; b < batch; ++b) {
    const int32_t* ib = index + b * kGates * hidden;
    T* dzb = dz + b * kGates * hidden;
    for (int64_t j = 0; j < hidden; ++j) {
      const int64_t at = b * hidden + j;
      uint8_t code[kGates];
      T value[kGates];
      tab.gates(ib, hidden, j, code, value);
      const uint8_t c = c_code[at];
      bins_h[h_code[at]] += dh[at];
      const T dh_raw = dh[at] * tab.h_pass[(code[3] << tab.levels) + c];
      const T dc_hat = dc[at] + dh_raw * value[3] * tab.t_slope[c];
      bins_c[c] += dc_hat;
      const T dc_raw = c_pass[at] ? dc_hat : T{0};
      const T before = tab.c_value[c_before[at]];
      const T grad[kGates] = {dc_raw * value[2], dc_raw * before, dc_raw * value[0], dh_raw * tab.t_value[c]};
      for (int k = 0; k < kGates; ++k) {
        bins[k * codes + code[k]] += grad[k];
        dzb[k * hidden + j] = grad[k] * tab.slope[k][ib[k * hidden + j]];
      }
      dc[at] = dc_raw * value[1];
    }
  }
}

}  // namespace

#define XNORFORGE_EXPORT(suffix, T)                                                                                   \
  extern "C" void binarized_forward_##suffix(const Tables<T>* tab, int64_t batch, int64_t hidden, const T* zx,        \
                                             const T* product, T* h, const uint8_t* c_before, uint8_t* c_code,        \
                                             int32_t* index, uint8_t* c_pass, uint8_t* h_code) {                      \
    forward<T>(*tab, batch, hidden, zx, product, h, c_before, c_code, index, c_pass, h_code);                         \
  }                                                                                                                   \
  extern "C" void binarized_backward_##suffix(const Tables<T>* tab, int64_t batch, int64_t hidden, const T* dh, T* dc,\
                                              T* dz, const uint8_t* c_before, const uint8_t* c_code,                  \
                                              const int32_t* index, const uint8_t* c_pass, const uint8_t* h_code,     \
                                              double* bins) {                                                         \
    backward<T>(*tab, batch, hidden, dh, dc, dz, c_before, c_code, index, c_pass, h_code, bins);                      \
  }

XNORFORGE_EXPORT(f32, float)
XNORFORGE_EXPORT(f64, double)
