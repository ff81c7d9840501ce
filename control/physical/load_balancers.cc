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

void to_words(const IpAddress& ip, uint32_t words[4]) {
    std::fill(words, words + 4, 0u);
    const unsigned count = ip.ip6 ? 16 : 4;
    for (unsigned i = 0; i < count; ++i) {
        uint32_t& word = words[ip.ip6 ? i / 4 : 3];
        word = word << 8 | ip.bytes[i];
    }
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

/// Ranges of equal keys of a list that is sorted by key.
template <typename Entry, typename Key>
FlatMap<uint64_t, LbHairpins::Range> ranges(const std::vector<Entry>& list, Key&& key) {
    std::vector<std::pair<uint64_t, LbHairpins::Range>> items;
    for (uint32_t i = 0; i < list.size(); ++i) {
        if (items.empty() || items.back().first != key(list[i])) {
            items.emplace_back(key(list[i]), LbHairpins::Range{i, i});
        }
        items.back().second.end = i + 1;
    }
    return FlatMap<uint64_t, LbHairpins::Range>(items);
}

/// Orders as the tuple of these would: the smaller first.
bool goes_before(uint64_t key_a, const LbHairpin& a, uint64_t key_b, const LbHairpin& b) {
    if (key_a != key_b) {
        return key_a < key_b;
    }
    const auto rest = [](const LbHairpin& h) {
        return std::tuple(h.backend_port == 0, h.backend_port, h.proto, h.vip_port,
                          std::to_array(h.backend), std::to_array(h.vip), std::to_array(h.snat));
    };
    return rest(a) < rest(b);
}

class HairpinsBuilder {
public:
    HairpinsBuilder(HairpinsPart* part, const HairpinsPart* before, bool in_registers)
        : part_(*part), before_(before), in_registers_(in_registers) {
        if (before) {
            part->sessions.reserve(before->sessions.size() + before->sessions.size() / 8);
            entries_.reserve(before->table.entries.size() + before->table.entries.size() / 8);
            vips_.reserve(before->table.vips.size() + before->table.vips.size() / 8);
        }
    }

    void add(const Balancer& balancer) {
        for (const auto& [vip, backends] : balancer.vips) {
            const auto& snat = vip.ip.ip6 ? balancer.snat6 : balancer.snat4;
            LbVip row;
            row.is_v6 = vip.ip.ip6;
            row.in_registers = in_registers_ || balancer.notes_vip;
            row.proto = balancer.proto;
            row.port = vip.port;
            to_words(vip.ip, row.vip);
            to_words(snat.value_or(vip.ip), row.snat);
            vips_.push_back({row, snat.has_value()});
            for (const Endpoint& backend : backends) {
                add_backend(row, backend, snat.value_or(vip.ip));
            }
        }
    }

    void finish() {
        std::sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
            return goes_before(a.first, a.second, b.first, b.second);
        });
        part_.table.entries.reserve(entries_.size());
        for (const auto& [key, entry] : entries_) {
            part_.table.entries.push_back(entry);
        }
        part_.table.by_backend = ranges(
            part_.table.entries, [](const LbHairpin& h) { return LbHairpins::key(h.backend); });
        // An address of its own (hairpin_snat_ip) comes before a VIP, a VIP with a port before one
        // without: the priorities of ovn-controller's table.
        std::sort(vips_.begin(), vips_.end(), [](const auto& a, const auto& b) {
            const auto key = [](const auto& v) {
                return std::tuple(LbHairpins::key(v.first.vip), !v.second, v.first.port == 0,
                                  v.first.port, v.first.proto, std::to_array(v.first.vip),
                                  std::to_array(v.first.snat));
            };
            return key(a) < key(b);
        });
        for (const auto& [vip, has_snat] : vips_) {
            part_.table.vips.push_back(vip);
        }
        part_.table.by_vip =
            ranges(part_.table.vips, [](const LbVip& v) { return LbHairpins::key(v.vip); });
        part_.table.sessions.reserve(part_.sessions.size());
        for (const auto& [key, session] : part_.sessions) {
            part_.table.sessions.push_back(session);
        }
    }

private:
    void add_backend(const LbVip& vip, const Endpoint& backend, const IpAddress& snat) {
        LbHairpin h;
        h.is_v6 = vip.is_v6;
        h.in_registers = vip.in_registers;
        h.proto = vip.proto;
        h.vip_port = vip.port;
        h.backend_port = backend.port;
        std::copy(vip.vip, vip.vip + 4, h.vip);
        to_words(backend.ip, h.backend);
        to_words(snat, h.snat);
        const HairpinsPart::SessionKey key{backend.ip, snat, backend.port,
                                           backend.port == 0 ? uint8_t{0} : vip.proto};
        auto& session = part_.sessions[key];
        if (!session && before_) {
            const auto known = before_->sessions.find(key);
            session = known == before_->sessions.end() ? nullptr : known->second;
        }
        if (!session) {
            session = std::make_shared<LbSession>();
        }
        h.session = session.get();
        entries_.emplace_back(LbHairpins::key(h.backend), h);
    }

    HairpinsPart& part_;
    const HairpinsPart* before_;
    const bool in_registers_;
    std::vector<std::pair<uint64_t, LbHairpin>> entries_;
    std::vector<std::pair<LbVip, bool>> vips_;
};

bool equal(const LbHairpin& a, const LbHairpin& b) {
    return a.is_v6 == b.is_v6 && a.in_registers == b.in_registers && a.proto == b.proto &&
           a.vip_port == b.vip_port && a.backend_port == b.backend_port &&
           std::equal(a.vip, a.vip + 4, b.vip) && std::equal(a.backend, a.backend + 4, b.backend) &&
           std::equal(a.snat, a.snat + 4, b.snat) && a.session == b.session;
}

bool equal(const LbVip& a, const LbVip& b) {
    return a.is_v6 == b.is_v6 && a.in_registers == b.in_registers && a.proto == b.proto &&
           a.port == b.port && std::equal(a.vip, a.vip + 4, b.vip) &&
           std::equal(a.snat, a.snat + 4, b.snat);
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

size_t HairpinsPart::SessionHash::operator()(const SessionKey& key) const {
    uint64_t words[4];
    std::memcpy(words, key.backend.bytes.data(), 16);
    std::memcpy(words + 2, key.snat.bytes.data(), 16);
    uint64_t h = uint64_t{key.port} << 8 | key.proto;
    for (const uint64_t word : words) {
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    return h;
}

void HairpinTables::start_round(bool all_anew) {
    round_.clear();
    if (all_anew) {
        read_.clear();
    }
}

const ReadBalancer& HairpinTables::read(const View& view, const Uuid& uuid) {
    const auto& row = view.mirror.load_balancers.rows().at(uuid);
    ReadBalancer& known = read_[uuid];
    if (known.row != row) {
        known.row = row;
        known.errors.clear();
        known.balancer =
            read_balancer(*row, view.mirror.template_var(view.identity.name), &known.errors);
    }
    return known;
}

void HairpinTables::forget_gone(const sb::Mirror& mirror) {
    if (read_.size() > 2 * mirror.load_balancers.size()) {
        std::erase_if(read_, [&](const auto& item) {
            return mirror.load_balancers.find(item.first) == nullptr;
        });
    }
}

std::shared_ptr<const HairpinsPart> HairpinTables::build(
    const View& view, const Uuid& datapath, const std::shared_ptr<const HairpinsPart>& before) {
    const std::vector<const sb::UuidSet*> sources = view.mirror.balancer_sources(datapath);
    if (sources.empty()) {
        return nullptr;
    }
    const auto [place, is_new] =
        round_.try_emplace(std::pair(view.mirror.balancer_key(datapath), before.get()));
    if (is_new) {
        auto made = make(view, sources, before.get());
        if (before && equal(*before, *made)) {
            place->second = before;
        } else {
            place->second = std::move(made);
        }
        forget_gone(view.mirror);
    }
    return place->second;
}

std::shared_ptr<const HairpinsPart> HairpinTables::make(
    const View& view, const std::vector<const sb::UuidSet*>& sources, const HairpinsPart* before) {
    static const sb::StringMap kNone;
    const sb::SbGlobal* global = view.mirror.global();
    const sb::StringMap& options = global ? global->options : kNone;
    // Since OVN 24.03 northd notes the VIP of both families in reg4 and up, and says so.
    const bool is_consolidated = sb::get_bool(options, "register_consolidation", false);
    auto part = std::make_shared<HairpinsPart>();
    part->table.vip4_slot = is_consolidated ? kSlotXxreg1 : kSlotXxreg0 + 1;
    part->table.natted_in_mark = sb::get_bool(options, "lb_hairpin_use_ct_mark", true);
    HairpinsBuilder builder(part.get(), before, is_consolidated);
    const bool may_repeat = sources.size() > 1;
    sb::UuidSet seen;
    for (const sb::UuidSet* source : sources) {
        for (const Uuid& uuid : *source) {
            if (may_repeat && !seen.insert(uuid).second) {
                continue;
            }
            const ReadBalancer& one = read(view, uuid);
            builder.add(one.balancer);
            part->errors.insert(part->errors.end(), one.errors.begin(), one.errors.end());
        }
    }
    builder.finish();
    return part;
}

std::shared_ptr<const HairpinsPart> build_hairpins(const View& view, const Uuid& datapath,
                                                   const HairpinsPart* before) {
    return HairpinTables().build(view, datapath, {std::shared_ptr<const void>(), before});
}

bool equal(const HairpinsPart& a, const HairpinsPart& b) {
    if (&a == &b) {
        return true;
    }
    const auto same = [](const auto& x, const auto& y) { return equal(x, y); };
    return a.table.vip4_slot == b.table.vip4_slot &&
           a.table.natted_in_mark == b.table.natted_in_mark &&
           std::equal(a.table.entries.begin(), a.table.entries.end(), b.table.entries.begin(),
                      b.table.entries.end(), same) &&
           std::equal(a.table.vips.begin(), a.table.vips.end(), b.table.vips.begin(),
                      b.table.vips.end(), same);
}

void BackendWatch::update(const sb::Mirror& mirror, const std::set<Uuid>& local,
                          const std::string& chassis_name) {
    const auto& rows = mirror.load_balancers.rows();
    if (flushing_.empty() && std::none_of(rows.begin(), rows.end(), [](const auto& entry) {
            return sb::get_bool(entry.second->options, "ct_flush", false);
        })) {
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
