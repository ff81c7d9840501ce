// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/acl_log.h"

#include "control/slowpath/watch/flow_text.h"
#include "lib/base/log.h"

SLUICE_LOG_MODULE(acl_log);

namespace sluice::watch {
namespace {

const char* name_of(lang::Verdict verdict) {
    switch (verdict) {
    case lang::Verdict::kAllow: return "allow";
    case lang::Verdict::kDrop: return "drop";
    case lang::Verdict::kReject: return "reject";
    case lang::Verdict::kPass: return "pass";
    }
    return "<unknown>";
}

const char* name_of(lang::Severity severity) {
    switch (severity) {
    case lang::Severity::kAlert: return "alert";
    case lang::Severity::kWarning: return "warning";
    case lang::Severity::kNotice: return "notice";
    case lang::Severity::kInfo: return "info";
    case lang::Severity::kDebug: return "debug";
    }
    return "<unknown>";
}

}  // namespace

std::string acl_log_line(const lang::Log& log, bool egress, std::span<const uint8_t> frame) {
    const std::string name = log.name && !log.name->empty() ? *log.name : "<unnamed>";
    return fmt::format("name={}, verdict={}, severity={}, direction={}: {}", quoted(name),
                       name_of(log.verdict), name_of(log.severity),
                       egress ? "to-lport" : "from-lport", flow_text(read_headers(frame)));
}

void write_acl_log(const lang::Log& log, bool egress, std::span<const uint8_t> frame) {
    if (log::enabled(sluice_log_module_, log::Level::kInfo)) {
        log::write(sluice_log_module_, log::Level::kInfo, acl_log_line(log, egress, frame));
    }
}

}  // namespace sluice::watch
