// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "control/rpc/reports.h"

namespace sluice::rpc {
namespace {

template <typename R>
Result<R> as_result(R report) {
    return report;
}
template <typename R>
Result<R> as_result(Result<R> report) {
    return report;
}

/// Splits "[--all] [FILTER]".
Result<std::string> filter_of(const Args& args, bool takes_filter, TextStyle* style) {
    std::string filter;
    for (const std::string& arg : args) {
        if (arg == "--all") {
            style->all = true;
        } else if (!arg.empty() && arg[0] == '-') {
            return Error{"unknown option " + arg + "; there is --all"};
        } else if (!takes_filter) {
            return Error{"no argument but --all, found \"" + arg + "\""};
        } else if (!filter.empty()) {
            return Error{"one name at most, found \"" + filter + "\" and \"" + arg + "\""};
        } else {
            filter = arg;
        }
    }
    return filter;
}

/// `make` takes a filter; the two commands of one report.
template <typename Make>
void add_pair(Server& server, const std::string& json_name, const std::string& text_name,
              bool takes_filter, bool takes_all, Make make) {
    const unsigned filters = takes_filter ? 1 : 0;
    server.add(json_name, takes_filter ? "[DATAPATH]" : "", 0, filters,
               [make](const Args& args) -> Result<std::string> {
                   const auto report = make(args.empty() ? std::string() : args[0]);
                   if (!report) {
                       return report.error();
                   }
                   return to_json(*report);
               });
    const std::string usage = std::string(takes_all ? "[--all]" : "") +
                              (takes_all && takes_filter ? " " : "") +
                              (takes_filter ? "[DATAPATH]" : "");
    server.add(text_name, usage, 0, filters + (takes_all ? 1 : 0),
               [make, takes_filter](const Args& args) -> Result<std::string> {
                   TextStyle style;
                   Result<std::string> filter = filter_of(args, takes_filter, &style);
                   if (!filter) {
                       return filter;
                   }
                   const auto report = make(*filter);
                   if (!report) {
                       return report.error();
                   }
                   return to_text(*report, style);
               });
}

template <typename Source>
void add_plain(Server& server, const std::string& json_name, const std::string& text_name,
               bool takes_all, Source source) {
    if (source) {
        add_pair(server, json_name, text_name, false, takes_all,
                 [source](const std::string&) { return as_result(source()); });
    }
}

template <typename Source>
void add_filtered(Server& server, const std::string& json_name, const std::string& text_name,
                  Source source) {
    if (source) {
        add_pair(server, json_name, text_name, true, true,
                 [source](const std::string& filter) { return as_result(source(filter)); });
    }
}

}  // namespace

void add_report_commands(Server& server, const ReportSources& sources) {
    add_plain(server, "sluice/status", "status", false, sources.status);
    add_plain(server, "sluice/ports", "port/show", false, sources.ports);
    add_plain(server, "sluice/tunnels", "tunnel/show", false, sources.tunnels);
    add_plain(server, "sluice/mirrors", "mirror/show", false, sources.mirrors);
    add_filtered(server, "sluice/datapaths", "datapath/show", sources.datapaths);
    add_filtered(server, "sluice/flows", "flow/show", sources.flows);
    add_plain(server, "sluice/drops", "drop/show", true, sources.drops);
    add_plain(server, "sluice/cache", "cache/show", false, sources.cache);
    add_plain(server, "sluice/counters", "counter/show", true, sources.counters);
}

}  // namespace sluice::rpc
