// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>

#include "control/rpc/bond_commands.h"
#include "control/rpc/conntrack_report.h"
#include "control/rpc/reports.h"
#include "lib/json/writer.h"
#include "tools/sluicectl/capture.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/doctor.h"
#include "tools/sluicectl/options.h"

namespace sluice {
namespace {

constexpr int kUsageError = 1;
constexpr int kRefused = 2;

struct ReportCommand {
    const char* method;
    unsigned max_args;
    const char* takes;  ///< in words
    /// JSON of the daemon to text.
    std::function<Result<std::string>(const std::string&, const rpc::TextStyle&)> show;
};

template <typename Report>
ReportCommand report(const char* method, unsigned max_args = 0, const char* takes = "no argument") {
    return {method, max_args, takes,
            [](const std::string& json, const rpc::TextStyle& style) -> Result<std::string> {
                Report parsed;
                if (const Result<void> read = rpc::from_json(json, &parsed); !read) {
                    return read.error().with_context("the daemon's report");
                }
                return to_text(parsed, style);
            }};
}

constexpr const char* kOneDatapath = "one DATAPATH at most";

const std::map<std::string, ReportCommand>& reports() {
    static const std::map<std::string, ReportCommand> table = {
        {"status", report<rpc::StatusReport>("sluice/status")},
        {"ports", report<rpc::PortReport>("sluice/ports")},
        {"tunnels", report<rpc::TunnelReport>("sluice/tunnels")},
        {"mirrors", report<rpc::MirrorReport>("sluice/mirrors")},
        {"datapaths", report<rpc::DatapathReport>("sluice/datapaths", 1, kOneDatapath)},
        {"flows", report<rpc::FlowReport>("sluice/flows", 1, kOneDatapath)},
        {"drops", report<rpc::DropReport>("sluice/drops")},
        {"cache", report<rpc::CacheReport>("sluice/cache")},
        {"counters", report<rpc::CounterReport>("sluice/counters")},
        {"conntrack", report<rpc::ConntrackReport>("sluice/conntrack", ~0u)},
        {"conntrack-stats", report<rpc::ConntrackStatsReport>("sluice/conntrack-stats")},
        {"bonds", report<rpc::BondsReport>("sluice/bonds")},
        {"zones", report<rpc::ZoneReport>("sluice/ct-zones")},
    };
    return table;
}

bool want_colour(const CtlOptions& o) {
    if (o.colour != "auto") {
        return o.colour == "always";
    }
    const char* term = std::getenv("TERM");
    return isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR") && term &&
           std::strcmp(term, "dumb") != 0;
}

int complain(const std::string& text, int status) {
    const bool line = !text.empty() && text.back() == '\n';
    fmt::print(stderr, "sluicectl: {}{}", text, line ? "" : "\n");
    return status;
}

int print(const std::string& text) {
    const bool line = text.empty() || text.back() == '\n';
    if (std::fputs((line ? text : text + "\n").c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
        return complain("cannot write the output", kUsageError);
    }
    return 0;
}

int show_report(const CtlOptions& o, const ReportCommand& command, const std::string& json) {
    if (o.json) {
        return print(json);
    }
    const Result<std::string> text =
        command.show(json, rpc::TextStyle{.colour = want_colour(o), .all = o.all});
    return text ? print(*text) : complain(text.error().message, kRefused);
}

int show_text(const CtlOptions& o, const std::string& text) {
    if (!o.json) {
        return print(text);
    }
    std::string line = text;
    while (!line.empty() && line.back() == '\n') {
        line.pop_back();
    }
    json::Writer w;
    w.begin_object().member(o.command).value(line).end_object();
    return print(w.text());
}

int run(const CtlOptions& o) {
    const auto found = reports().find(o.command);
    const ReportCommand* report = found == reports().end() ? nullptr : &found->second;
    std::string method = report ? report->method : o.command;
    std::vector<std::string> args = o.args;
    if (report && args.size() > report->max_args) {
        return complain(fmt::format("{} takes {}; see sluicectl --help", o.command, report->takes),
                        kUsageError);
    }
    if (method == "commands") {
        method = "list-commands";
    } else if (method == "conntrack-flush") {
        method = "conntrack/flush";
    }
    if (o.restart) {
        args.emplace_back("--restart");
    }
    if (o.all && !report) {
        args.emplace_back("--all");  // drop/show --all and the like
    }
    const Result<std::string> socket = find_socket(o.target, o.run_dir);
    if (!socket) {
        return complain(socket.error().message, kUsageError);
    }
    const Result<CtlAnswer> answer = call(*socket, method, args, o.timeout_s);
    if (!answer) {
        return complain(answer.error().message, kUsageError);
    }
    if (!answer->ok) {
        return complain(answer->text, kRefused);
    }
    return report ? show_report(o, *report, answer->text) : show_text(o, answer->text);
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
    const sluice::Result<sluice::CtlOptions> options = sluice::parse_ctl_options(argc, argv);
    if (!options) {
        return sluice::complain(options.error().message, sluice::kUsageError);
    }
    if (options->help) {
        return sluice::print(sluice::ctl_help());
    }
    if (options->version) {
        return sluice::print("sluicectl (sluice) " SLUICE_VERSION);
    }
    if (options->command == "capture") {
        return sluice::run_capture(*options);
    }
    if (options->command == "doctor") {
        return sluice::run_doctor(*options);
    }
    return sluice::run(*options);
}
