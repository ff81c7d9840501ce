// SPDX-License-Identifier: Apache-2.0
#include "tools/doctor/finding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "control/rpc/table.h"
#include "lib/json/writer.h"

namespace sluice::doctor {
namespace {

constexpr int kWarnings = 3;
constexpr int kCriticals = 4;

rpc::Colour colour_of(Severity severity) {
    switch (severity) {
    case Severity::kCritical: return rpc::Colour::kBad;
    case Severity::kWarning: return rpc::Colour::kWarn;
    case Severity::kNote: break;
    }
    return rpc::Colour::kDim;
}

}  // namespace

const char* to_string(Severity severity) {
    switch (severity) {
    case Severity::kCritical: return "critical";
    case Severity::kWarning: return "warning";
    case Severity::kNote: break;
    }
    return "note";
}

void sort_findings(Diagnosis* diagnosis) {
    std::stable_sort(diagnosis->findings.begin(), diagnosis->findings.end(),
                     [](const Finding& a, const Finding& b) {
                         return a.severity != b.severity ? a.severity > b.severity
                                                         : a.weight > b.weight;
                     });
}

std::string bottleneck_of(const Diagnosis& diagnosis) {
    for (const Finding& f : diagnosis.findings) {
        if (f.weight > 0 && f.severity != Severity::kNote) {
            return f.subject + ": " + f.text;
        }
    }
    return {};
}

std::string to_json(const Diagnosis& diagnosis) {
    json::Writer w;
    w.begin_object().member("seconds").value(diagnosis.seconds);
    w.member("bottleneck").value(bottleneck_of(diagnosis));
    w.member("findings").begin_array();
    for (const Finding& f : diagnosis.findings) {
        w.begin_object();
        w.member("severity").value(to_string(f.severity));
        w.member("check").value(f.check);
        w.member("subject").value(f.subject);
        w.member("text").value(f.text);
        w.member("cost").value(f.cost);
        w.member("mend").value(f.mend);
        w.end_object();
    }
    w.end_array().member("checked").begin_array();
    for (const std::string& name : diagnosis.checked) {
        w.value(name);
    }
    return w.end_array().end_object().take();
}

std::string to_text(const Diagnosis& diagnosis, bool colour) {
    std::string out;
    if (diagnosis.seconds > 0) {
        const std::string worst = bottleneck_of(diagnosis);
        out += rpc::bold(worst.empty() ? "Nothing holds packets up." : "Bottleneck: " + worst,
                         colour) +
               "\n\n";
    }
    for (const Finding& f : diagnosis.findings) {
        out +=
            rpc::paint(fmt::format("{:<9}", to_string(f.severity)), colour_of(f.severity), colour) +
            rpc::paint(f.subject + ": " + f.text, rpc::Colour::kNone, colour) + "\n";
        if (!f.cost.empty()) {
            out += "         costs: " + rpc::paint(f.cost, rpc::Colour::kNone, colour) + "\n";
        }
        if (!f.mend.empty()) {
            out += "         mend:  " + rpc::paint(f.mend, rpc::Colour::kNone, colour) + "\n";
        }
    }
    if (diagnosis.findings.empty()) {
        out += "No findings.\n";
    }
    return out + fmt::format("\nLooked at: {}\n", fmt::join(diagnosis.checked, ", "));
}

int exit_status_of(const Diagnosis& diagnosis) {
    int status = 0;
    for (const Finding& f : diagnosis.findings) {
        if (f.severity == Severity::kCritical) {
            return kCriticals;
        }
        if (f.severity == Severity::kWarning) {
            status = kWarnings;
        }
    }
    return status;
}

}  // namespace sluice::doctor
