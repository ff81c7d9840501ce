// SPDX-License-Identifier: Apache-2.0
#include "control/capture/commands.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "control/rpc/table.h"
#include "lib/json/writer.h"

namespace sluice::capture {
namespace {

template <typename T>
Result<void> read_number(const std::string& name, const std::string& text, T* out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
    if (error != std::errc() || end != text.data() + text.size()) {
        return Error{fmt::format("{}={}: expected a number from 0 to {}", name, text,
                                 std::numeric_limits<T>::max())};
    }
    return {};
}

Result<void> read_directions(const std::string& text, uint8_t* out) {
    *out = 0;
    size_t at = 0;
    while (at <= text.size()) {
        const size_t end = std::min(text.find(',', at), text.size());
        const std::string word = text.substr(at, end - at);
        if (word == "rx") {
            *out |= kCaptureRx;
        } else if (word == "tx") {
            *out |= kCaptureTx;
        } else if (word == "drop") {
            *out |= kCaptureDrop;
        } else {
            return Error{"direction=" + text + ": expected rx, tx or drop, found \"" + word + "\""};
        }
        at = end + 1;
    }
    return {};
}

Result<void> read_choice(const std::string& name, const std::string& value, Request* r) {
    if (name == "filter") {
        r->filter = value;
    } else if (name == "port") {
        r->ports.push_back(value);
    } else if (name == "logical-port") {
        r->logical_ports.push_back(value);
    } else if (name == "datapath") {
        r->datapath = value;
    } else if (name == "direction") {
        return read_directions(value, &r->directions);
    } else if (name == "snaplen") {
        return read_number(name, value, &r->snaplen);
    } else if (name == "count") {
        return read_number(name, value, &r->count);
    } else if (name == "sample") {
        return read_number(name, value, &r->sample);
    } else if (name == "rate") {
        return read_number(name, value, &r->rate);
    } else if (name == "ring-kb") {
        return read_number(name, value, &r->ring_kb);
    } else {
        return Error{name + ": not known; see sluicectl capture --help"};
    }
    return {};
}

std::string list_text(const std::vector<Status>& list) {
    using rpc::Align;
    rpc::TextTable table({{"id", Align::kRight},
                          {"state"},
                          {"seen", Align::kRight},
                          {"written", Align::kRight},
                          {"sampled out", Align::kRight},
                          {"over rate", Align::kRight},
                          {"ring full", Align::kRight},
                          {"what"}},
                         false);
    for (const Status& s : list) {
        table.row({std::to_string(s.id), s.state, std::to_string(s.stats.seen),
                   std::to_string(s.stats.written), std::to_string(s.stats.sampled_out),
                   std::to_string(s.stats.over_rate), std::to_string(s.stats.ring_full), s.what});
    }
    return table.empty() ? "no captures\n" : table.text();
}

std::string list_json(const std::vector<Status>& list) {
    json::Writer w;
    w.begin_object().member("captures").begin_array();
    for (const Status& s : list) {
        w.begin_object();
        w.member("id").value(s.id);
        w.member("state").value(s.state);
        w.member("what").value(s.what);
        w.member("seen").value(s.stats.seen);
        w.member("written").value(s.stats.written);
        w.member("sampled_out").value(s.stats.sampled_out);
        w.member("over_rate").value(s.stats.over_rate);
        w.member("ring_full").value(s.stats.ring_full);
        w.end_object();
    }
    return w.end_array().end_object().take();
}

}  // namespace

Result<Request> parse_request(const rpc::Args& args) {
    Request request;
    request.socket = args.at(0);
    for (size_t i = 1; i < args.size(); ++i) {
        const size_t equals = args[i].find('=');
        if (equals == std::string::npos) {
            return Error{args[i] + ": expected NAME=VALUE"};
        }
        const Result<void> read =
            read_choice(args[i].substr(0, equals), args[i].substr(equals + 1), &request);
        if (!read) {
            return read.error();
        }
    }
    return request;
}

void add_commands(rpc::Server& server, Captures& captures) {
    server.add("capture/start", "SOCKET [NAME=VALUE]...", 1, rpc::Server::kAnyNumber,
               [&captures](const rpc::Args& args) -> Result<std::string> {
                   const Result<Request> request = parse_request(args);
                   if (!request) {
                       return request.error();
                   }
                   const Result<unsigned> id = captures.start(*request);
                   return id ? Result<std::string>(std::to_string(*id)) : id.error();
               });
    server.add("capture/stop", "ID", 1, 1,
               [&captures](const rpc::Args& args) -> Result<std::string> {
                   unsigned id = 0;
                   if (const Result<void> read = read_number("ID", args[0], &id); !read) {
                       return read.error();
                   }
                   const Result<void> stopped = captures.stop(id);
                   return stopped ? Result<std::string>(std::string()) : stopped.error();
               });
    server.add("capture/list", "", 0, 0, [&captures](const rpc::Args&) -> Result<std::string> {
        return list_text(captures.list());
    });
    server.add("sluice/captures", "", 0, 0, [&captures](const rpc::Args&) -> Result<std::string> {
        return list_json(captures.list());
    });
}

}  // namespace sluice::capture
