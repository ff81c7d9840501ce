// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdlib>

#include "pmd/dummy.h"
#include "tools/sluiced/app.h"

namespace sluice {
namespace {

Result<std::vector<uint8_t>> parse_hex(const std::string& text) {
    std::vector<uint8_t> bytes;
    int high = -1;
    for (const char c : text) {
        if (c == ' ' || c == ':') {
            continue;
        }
        const char* digits = "0123456789abcdef";
        const char* at = std::char_traits<char>::find(digits, 16, static_cast<char>(c | 0x20));
        if (!at) {
            return Error{fmt::format("bad hex digit '{}'", c)};
        }
        const int value = static_cast<int>(at - digits);
        if (high < 0) {
            high = value;
        } else {
            bytes.push_back(static_cast<uint8_t>(high << 4 | value));
            high = -1;
        }
    }
    if (high >= 0) {
        return Error{"odd number of hex digits"};
    }
    if (bytes.size() < 14) {
        return Error{"shorter than an Ethernet header"};
    }
    return bytes;
}

Result<std::string> text_of(const Result<void>& result) {
    return result ? Result<std::string>(std::string("OK")) : Result<std::string>(result.error());
}

Result<std::string> lines_of(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line + "\n";
    }
    return text;
}

void add_dummy_commands(rpc::Server& server, App& app) {
    server.add_async("netdev-dummy/receive", "name packet...", 2, rpc::Server::kAnyNumber,
                     [&app](const rpc::Args& args, const rpc::Reply& reply) {
                         pmd::DummyPort* port =
                             app.host().ports().dummy(app.host().ports().find(args[0]));
                         if (!port) {
                             reply.error(fmt::format("{}: no such in-memory port", args[0]));
                             return;
                         }
                         for (size_t i = 1; i < args.size(); ++i) {
                             Result<std::vector<uint8_t>> frame = parse_hex(args[i]);
                             const Result<void> injected =
                                 frame ? port->inject(*frame) : Result<void>(frame.error());
                             if (!injected) {
                                 reply.error(injected.error().message);
                                 return;
                             }
                         }
                         app.after_workers_turned([reply] { reply.ok(); });
                     });
    const auto add_address = [&app](const rpc::Args& args) {
        return text_of(app.control().add_address(args[0], args[1]));
    };
    server.add("conntrack/skip-time", "MS", 1, 1, [&app](const rpc::Args& args) {
        app.host().skip_time(std::strtoull(args[0].c_str(), nullptr, 10));
        return Result<std::string>(std::string("OK"));
    });
    server.add("netdev-dummy/ip4addr", "bridge|port IP/LEN", 2, 2, add_address);
    server.add("netdev-dummy/ip6addr", "bridge|port IP/LEN", 2, 2, add_address);
}

}  // namespace

void add_commands(rpc::Server& server, App& app) {
    add_dummy_commands(server, app);
    server.add("dpif-netdev/pmd-rxq-rebalance", "[dp]", 0, 1, [&app](const rpc::Args&) {
        app.host().ports().place_again();
        if (Retire moves = app.host().ports().move_queues()) {
            app.host().publish_ports({std::move(moves)});
            app.host().publish_ports();
        }
        return Result<std::string>(std::string("pmd rxq rebalance requested."));
    });
    server.add("ovs/route/add", "IP/LEN bridge|port [gateway]", 2, 3,
               [&app](const rpc::Args& args) {
                   return text_of(app.control().add_route(
                       args[0], args[1], args.size() > 2 ? args[2] : std::string()));
               });
    server.add("ovs/route/del", "IP/LEN", 1, 1,
               [&app](const rpc::Args& args) { return text_of(app.control().del_route(args[0])); });
    server.add("ovs/route/show", "", 0, 0,
               [&app](const rpc::Args&) { return lines_of(app.control().describe_routes()); });
    server.add("bfd/show", "", 0, 0,
               [&app](const rpc::Args&) { return lines_of(app.control().describe_tunnel_bfd()); });
    const auto set_neighbor = [&app](const rpc::Args& args) {
        return text_of(app.control().set_neighbor(args[0], args[1], args[2]));
    };
    server.add("tnl/neigh/set", "bridge|port IP MAC", 3, 3, set_neighbor);
    server.add("tnl/arp/set", "bridge|port IP MAC", 3, 3, set_neighbor);
    server.add("tnl/neigh/del", "bridge|port IP", 2, 2, [&app](const rpc::Args& args) {
        return text_of(app.control().del_neighbor(args[0], args[1]));
    });
    const auto show = [&app](const rpc::Args&) {
        return lines_of(app.control().describe_neighbors());
    };
    server.add("tnl/neigh/show", "", 0, 0, show);
    server.add("tnl/arp/show", "", 0, 0, show);
    server.add_async("sync", "", 0, 0, [&app](const rpc::Args&, const rpc::Reply& reply) {
        // One turn of the loop lets everything received so far be published.
        app.loop().post([&app, reply] { app.after_workers_turned([reply] { reply.ok(); }); });
    });
    server.add("rebuild", "", 0, 0, [&app](const rpc::Args&) -> Result<std::string> {
        app.control().rebuild();
        return std::string("OK");
    });
}

}  // namespace sluice
