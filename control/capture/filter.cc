// SPDX-License-Identifier: Apache-2.0
#include "control/capture/filter.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

namespace sluice::capture {
namespace {

constexpr int kSnapLength = 262144;

}  // namespace

struct Filter::Program {
    bpf_program code{};
    ~Program() { pcap_freecode(&code); }
};

Filter::Filter(std::unique_ptr<Program> program) : program_(std::move(program)) {}

Filter::~Filter() = default;

CaptureFilter Filter::code() const {
    return program_ ? program_->code.bf_insns : nullptr;
}

Result<std::shared_ptr<const Filter>> Filter::compile(const std::string& expression) {
    if (expression.empty()) {
        return std::shared_ptr<const Filter>(new Filter(nullptr));
    }
    const std::unique_ptr<pcap_t, void (*)(pcap_t*)> pcap(pcap_open_dead(DLT_EN10MB, kSnapLength),
                                                          pcap_close);
    auto program = std::make_unique<Program>();
    if (!pcap ||
        pcap_compile(pcap.get(), &program->code, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN)) {
        return Error{fmt::format("filter \"{}\": {}; see pcap-filter(7)", expression,
                                 pcap ? pcap_geterr(pcap.get()) : "no memory")};
    }
    // Its jumps only go forward: every run ends.
    if (!bpf_validate(program->code.bf_insns, static_cast<int>(program->code.bf_len))) {
        return Error{fmt::format("filter \"{}\" is refused by bpf_validate()", expression)};
    }
    return std::shared_ptr<const Filter>(new Filter(std::move(program)));
}

}  // namespace sluice::capture
