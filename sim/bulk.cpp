// A whole network without Python: streams samples in, takes results out, records every named value.
//
// Does what sim/bench_network.py does, cycle for cycle: the clock rises, inputs are driven, the clock falls,
// everything is sampled. usage: Vmodel SETTINGS, a text file written by sim/bulk.py, whose words come in the
// order in which main() reads them. Numbers are recorded in place, in a file of 64-bit integers.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <type_traits>
#include <unistd.h>
#include <vector>

#include "Vmodel.h"
#include "verilated.h"
#include "verilated_syms.h"

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& sentence) { throw std::runtime_error(sentence); }

// The words of the settings file.
struct Settings {
    std::ifstream file;
    explicit Settings(const char* path) : file(path) {}
    template <typename T> T next(const char* name) {
        std::string key;
        T value;
        if (!(file >> key >> value) || key != name)
            fail(std::string("Settings must have ") + name + " here, not '" + key + "'");
        return value;
    }
    int64_t number(const char* name) { return next<int64_t>(name); }
    std::string word(const char* name) { return next<std::string>(name); }
};

// A whole file in memory; what is written to it is in the file.
template <typename T> T* mapped(const std::string& path, size_t count, bool write) {
    int file = open(path.c_str(), write ? O_RDWR : O_RDONLY);
    struct stat info {};
    if (file < 0 || fstat(file, &info) || size_t(info.st_size) != count * sizeof(T))
        fail("File " + path + " must hold " + std::to_string(count) + " numbers");
    void* at = mmap(nullptr, count * sizeof(T), write ? PROT_READ | PROT_WRITE : PROT_READ,
                    write ? MAP_SHARED : MAP_PRIVATE, file, 0);
    close(file);
    if (at == MAP_FAILED) fail("File " + path + " must fit into memory");
    return static_cast<T*>(at);
}

// numpy's PCG64 and what its Generator.random() makes of it, times 2^53.
class Stalls {
    unsigned __int128 state_, increment_;
    uint64_t limit_;
    static unsigned __int128 wide(Settings& s) {
        auto high = s.next<uint64_t>("high"), low = s.next<uint64_t>("low");
        return (unsigned __int128)high << 64 | low;
    }

public:
    Stalls(Settings& s, uint64_t limit) : state_(wide(s)), increment_(wide(s)), limit_(limit) {}
    bool go() {
        const auto multiplier = (unsigned __int128)0x2360ED051FC65DA4u << 64 | 0x4385DF649FCCF645u;
        state_ = state_ * multiplier + increment_;
        uint64_t mixed = uint64_t(state_ >> 64) ^ uint64_t(state_);
        int turn = int(state_ >> 122);
        return ((mixed >> turn | mixed << (-turn & 63)) >> 11) >= limit_;
    }
};

struct Signal {
    const uint8_t* data;
    int bytes;
};

// The compiled network.
struct Design {
    VerilatedContext context;
    Vmodel model{&context, ""};
    std::string top;

    Signal find(const std::string& path) const {
        if (path == "o__payload")
            return {reinterpret_cast<const uint8_t*>(&model.o___05Fpayload), sizeof model.o___05Fpayload};
        auto whole = top + "." + path;
        auto dot = whole.rfind('.');
        auto scope = context.scopeFind(whole.substr(0, dot).c_str());
        auto variable = scope ? scope->varFind(whole.substr(dot + 1).c_str()) : nullptr;
        if (!variable) fail("Signal " + path + " must be in the design");
        return {static_cast<const uint8_t*>(variable->datap()), int(variable->totalSize())};
    }
};

// See sim/probes.py.
class Field {
    Signal signal_;
    int byte_, shift_, count_;
    uint64_t mask_, sign_;
    int64_t *at_, row_, stride_, groups_;

public:
    Field(Settings& s, const Design& design, int64_t* observed) {
        auto path = s.word("field");
        signal_ = design.find(path);
        int low = int(s.number("low")), width = int(s.number("width"));
        if (width > 63 || low + width > 8 * signal_.bytes) fail("Signal " + path + " must have the field's bits");
        byte_ = low / 8, shift_ = low % 8;
        count_ = std::min(9, signal_.bytes - byte_);  // 63 bits may begin within a byte
        mask_ = (uint64_t(1) << width) - 1;
        sign_ = s.number("signed") ? uint64_t(1) << (width - 1) : 0;
        at_ = observed + s.number("at");
        row_ = s.number("row"), stride_ = s.number("stride"), groups_ = s.number("groups");
    }
    void record(int64_t row, int64_t group) const {
        if (group >= groups_) return;
        unsigned __int128 word = 0;
        std::memcpy(&word, signal_.data + byte_, size_t(count_));
        at_[row * row_ + group * stride_] = int64_t((uint64_t(word >> shift_) & mask_) ^ sign_) - int64_t(sign_);
    }
};

std::vector<Field> fields(Settings& s, const Design& design, int64_t* observed) {
    std::vector<Field> found;
    for (auto n = s.number("fields"); n > 0; --n) found.emplace_back(s, design, observed);
    return found;
}

struct Stage {
    std::string name;
    Signal strobe;
    int64_t groups, *cycles, seen;
    std::vector<Field> values;
};

// Drives stream i: waits at random before a sample if asked to, then holds it until it is taken.
struct Source {
    Vmodel& model;
    const uint8_t* rows;
    int64_t count, bytes, steps, *taken;
    Stalls stalls;
    int64_t next = 0;
    bool valid = false;

    void drive() {
        if (valid) return;
        model.i___05Fvalid = valid = next < count && stalls.go();
        if (valid) std::memcpy(&model.i___05Fpayload, rows + next * bytes, sizeof model.i___05Fpayload);
    }
    bool sample(int64_t cycle) {
        if (!valid || !model.i___05Fready) return false;
        if (next % steps == 0) taken[next / steps] = cycle;
        ++next;
        valid = false;
        return true;
    }
};

// Takes results from stream o, ready at random if asked to; checks that a waiting result holds still.
struct Sink {
    Vmodel& model;
    int64_t *cycles;
    std::vector<Field> values;
    std::string progress;
    Stalls stalls;
    int64_t count = 0;
    bool waiting = false;
    std::remove_reference_t<decltype(Vmodel::o___05Fpayload)> payload{};
    Clock::time_point told = Clock::now();

    void drive() { model.o___05Fready = stalls.go(); }
    bool sample(int64_t cycle) {
        if (!model.o___05Fvalid) {
            if (waiting) fail("o.valid must stay until o.ready, not fall in cycle " + std::to_string(cycle));
            return false;
        }
        if (!waiting) cycles[count] = cycle;
        else if (std::memcmp(&payload, &model.o___05Fpayload, sizeof payload))
            fail("o.payload must hold until o.ready, not change in cycle " + std::to_string(cycle));
        payload = model.o___05Fpayload;
        waiting = !model.o___05Fready;
        if (!waiting) {
            for (auto& field : values) field.record(count, 0);
            ++count;
            if (auto now = Clock::now(); now - told > std::chrono::milliseconds(200)) {
                std::ofstream(progress) << count << '\n';
                told = now;
            }
        }
        return true;
    }
};

void run(Settings& s) {
    Design design;
    auto& model = design.model;
    design.top = s.word("top");
    auto sequences = s.number("sequences"), steps = s.number("steps"), results = s.number("results");
    auto patience = s.number("patience"), bytes = s.number("bytes"), size = s.number("size");
    if (bytes < int64_t(sizeof model.i___05Fpayload)) fail("A sample must fill i.payload");
    auto rows = mapped<uint8_t>(s.word("samples"), size_t(sequences * steps * bytes), false);
    auto observed = mapped<int64_t>(s.word("observed"), size_t(size), true);
    auto progress = s.word("progress");
    auto taken = observed + s.number("taken"), ready = observed + s.number("cycle_logits");
    auto cycles = observed + s.number("cycles"), nanoseconds = observed + s.number("nanoseconds");
    auto limit = s.next<uint64_t>("stall");
    Stalls at_source(s, limit), at_sink(s, limit);
    Source source{model, rows, sequences * steps, bytes, steps, taken, at_source};
    Sink sink{model, ready, fields(s, design, observed), progress, at_sink};
    std::vector<Stage> stages;
    for (auto n = s.number("stages"); n > 0; --n) {
        auto name = s.word("stage");
        auto strobe = design.find(s.word("strobe"));
        auto groups = s.number("groups");
        auto at = observed + s.number("cycle");
        stages.push_back({name, strobe, groups, at, 0, fields(s, design, observed)});
    }

    auto counters = fields(s, design, observed);

    model.rst = 1;
    for (int edge = 0; edge < 2; ++edge) {
        model.clk = 0, model.eval();
        model.clk = 1, model.eval();
    }
    model.rst = 0;
    int64_t cycle = 0, idle = 0;
    const auto start = std::clock();
    while (sink.count < results && idle < patience) {
        source.drive();
        sink.drive();
        model.clk = 0, model.eval();
        for (auto& stage : stages) {
            if (!*stage.strobe.data) continue;
            if (auto total = sequences * steps * stage.groups; stage.seen == total)
                fail(stage.name + " must be high " + std::to_string(total) + " times, and is again in cycle " + std::to_string(cycle));
            stage.cycles[stage.seen] = cycle;
            for (auto& field : stage.values) field.record(stage.seen / stage.groups, stage.seen % stage.groups);
            ++stage.seen;
        }
        bool moved = source.sample(cycle);
        moved |= sink.sample(cycle);
        model.clk = 1, model.eval();
        ++cycle, idle = moved ? 0 : idle + 1;
    }
    model.clk = 0, model.eval();
    for (auto& counter : counters) counter.record(0, 0);
    *cycles = cycle;
    *nanoseconds = int64_t(1e9 * double(std::clock() - start) / CLOCKS_PER_SEC);
}

int main(int, char** arguments) {
    try {
        Settings settings(arguments[1]);
        run(settings);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << std::endl;
        return 1;
    }
    return 0;
}
