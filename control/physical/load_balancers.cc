// SPDX-License-Identifier: Apache-2.0
#include "control/physical/load_balancers.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "control/compile/expr.h"

namespace sluice::physical {
namespace {

std::optional<uint16_t> parse_port(std::string_view text) {
    uint16_t port = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    return ec == std::errc() && end == text.data() + text.size() ? std::optional(port)
                                                                 : std::nullopt;
}

std::string expand(const std::string& text, const sb::TemplateVar* variables) {
    if (!variables || text.find('^') == std::string::npos) {
        return text;
    }
    return lang::substitute_templates(text,
                                      {variables->variables.begin(), variables->variables.end()});
}

CtFilter::Address to_filter(const IpAddress& ip) {
    CtFilter::Address address{ip.ip6, {}};
    to_words(ip, address.words);
    return address;
}

template <typename F>
void for_each_word(std::string_view text, std::string_view separators, F&& each) {
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find_first_of(separators, at), text.size());
        if (end > at) {
            each(text.substr(at, end - at));
        }
        at = end + 1;
    }
}

void read_snat(const std::string& text, Balancer* out, std::vector<std::string>* errors) {
    for_each_word(text, " ,", [&](std::string_view word) {
        const auto prefix = parse_prefix(word);
        if (!prefix) {
            errors->push_back(fmt::format("hairpin_snat_ip: \"{}\" is not an IP address", word));
            return;
        }
        auto& slot = prefix->address.ip6 ? out->snat6 : out->snat4;
        if (!slot) {
            slot = prefix->address;
        }
    });
}

}  // namespace

void to_words(const IpAddress& ip, uint32_t words[4]) {
    std::fill(words, words + 4, 0u);
    const unsigned count = ip.ip6 ? 16 : 4;
    for (unsigned i = 0; i < count; ++i) {
        uint32_t& word = words[ip.ip6 ? i / 4 : 3];
        word = word << 8 | ip.bytes[i];
    }
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
    std::string_view host = text;
    std::optional<uint16_t> port = uint16_t{0};
    if (text.starts_with('[')) {
        const size_t close = text.find(']');
        if (close == std::string_view::npos) {
            return std::nullopt;
        }
        host = text.substr(1, close - 1);
        const std::string_view rest = text.substr(close + 1);
        if (!rest.empty()) {
            port = rest[0] == ':' ? parse_port(rest.substr(1)) : std::nullopt;
        }
    } else if (const size_t colon = text.find(':');
               colon != std::string_view::npos && text.find(':', colon + 1) == text.npos) {
        host = text.substr(0, colon);
        port = parse_port(text.substr(colon + 1));
    }
    const auto ip = parse_address(host);
    if (!ip || !port) {
        return std::nullopt;
    }
    return Endpoint{*ip, *port};
}

Balancer read_balancer(const sb::LoadBalancer& row, const sb::TemplateVar* variables,
                       std::vector<std::string>* errors) {
    Balancer out;
    out.proto = row.protocol == "udp"    ? IPPROTO_UDP
                : row.protocol == "sctp" ? IPPROTO_SCTP
                                         : IPPROTO_TCP;
    out.is_flushing = sb::get_bool(row.options, "ct_flush", false);
    out.notes_vip = sb::get_bool(row.options, "hairpin_orig_tuple", false);
    read_snat(expand(sb::get(row.options, "hairpin_snat_ip"), variables), &out, errors);
    for (const auto& [key, value] : row.vips) {
        const std::string vip_text = expand(key, variables);
        const auto vip = parse_endpoint(vip_text);
        if (!vip) {
            errors->push_back(
                fmt::format("load balancer {}: \"{}\" is not IP or IP:PORT", row.name, vip_text));
            continue;
        }
        std::vector<Endpoint>& backends =
            out.vips.emplace_back(*vip, std::vector<Endpoint>()).second;
        for_each_word(expand(value, variables), ",", [&](std::string_view word) {
            const auto backend = parse_endpoint(word);
            if (backend && backend->ip.ip6 == vip->ip.ip6) {
                backends.push_back(*backend);
            } else {
                errors->push_back(fmt::format(
                    "load balancer {}: backend \"{}\" of {}: {}", row.name, word, vip_text,
                    backend ? "another address family" : "not IP or IP:PORT"));
            }
        });
    }
    return out;
}

void BackendWatch::update(const sb::Mirror& mirror, const std::set<Uuid>& local,
                          const std::string& chassis_name, bool only_rows) {
    const auto asks = [](const std::shared_ptr<const sb::LoadBalancer>& row) {
        return row && sb::get_bool(row->options, "ct_flush", false);
    };
    if (only_rows && !is_asked_) {
        const auto& changes = mirror.load_balancers.changes();
        is_asked_ = std::any_of(changes.begin(), changes.end(),
                                [&](const auto& c) { return asks(c.second.after); });
    } else {
        const auto& rows = mirror.load_balancers.rows();
        is_asked_ = std::any_of(rows.begin(), rows.end(),
                                [&](const auto& entry) { return asks(entry.second); });
    }
    if (flushing_.empty() && !is_asked_) {
        return;
    }
    std::set<Uuid> balancers;
    for (const Uuid& datapath : local) {
        const sb::UuidSet here = mirror.balancers_of(datapath);
        balancers.insert(here.begin(), here.end());
    }
    std::set<Balanced> all;
    std::set<Balanced> flushing;
    std::vector<std::string> errors;
    for (const Uuid& uuid : balancers) {
        const Balancer balancer = read_balancer(*mirror.load_balancers.find(uuid),
                                                mirror.template_var(chassis_name), &errors);
        for (const auto& [vip, backends] : balancer.vips) {
            for (const Endpoint& backend : backends) {
                all.insert({balancer.proto, vip, backend});
                if (balancer.is_flushing) {
                    flushing.insert({balancer.proto, vip, backend});
                }
            }
        }
    }
    for (const Balanced& gone : flushing_) {
        if (all.contains(gone)) {
            continue;
        }
        CtFilter filter;
        filter.dst = to_filter(gone.vip.ip);
        filter.reply_src = to_filter(gone.backend.ip);
        if (gone.backend.port != 0) {
            filter.proto = gone.proto;
            filter.dst_port = gone.vip.port;
            filter.reply_src_port = gone.backend.port;
        }
        stale_.push_back(filter);
    }
    flushing_ = std::move(flushing);
}

}  // namespace sluice::physical
