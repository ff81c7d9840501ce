// SPDX-License-Identifier: Apache-2.0
#include "control/compile/bind.h"

#include <algorithm>
#include <charconv>

#include "lib/net/addr.h"

namespace sluice::compile {

namespace {

U128 to_number(const Ip6& ip) {
    U128 v = 0;
    for (const uint8_t b : ip.bytes) {
        v = v << 8 | b;
    }
    return v;
}

bool parse_number(std::string_view text, U128* out) {
    uint64_t v = 0;
    const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const std::string_view digits = hex ? text.substr(2) : text;
    const char* const end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, v, hex ? 16 : 10);
    *out = v;
    return error == std::errc() && at == end && !digits.empty();
}

/// An address without a mask; *bits is 0 for a plain number.
bool parse_one(std::string_view text, U128* value, unsigned* bits) {
    if (const auto ip4 = parse_ip4(text)) {
        *value = ip4->value;
        *bits = 32;
        return true;
    }
    if (const auto mac = parse_mac(text)) {
        *value = mac->to_u64();
        *bits = 48;
        return true;
    }
    if (const auto ip6 = parse_ip6(text)) {
        *value = to_number(*ip6);
        *bits = 128;
        return true;
    }
    *bits = 0;
    return parse_number(text, value);
}

unsigned width_of(U128 v) {
    unsigned bits = 1;
    while (bits < 128 && v >> bits != 0) {
        ++bits;
    }
    return bits;
}

}  // namespace

std::optional<ValueRange> prefix_range(U128 value, U128 mask, unsigned bits) {
    const U128 free = ones(bits) & ~mask;
    if ((free & (free + 1)) != 0) {
        return std::nullopt;
    }
    return ValueRange{value & ~free, (value & ~free) | free};
}

bool address_ranges(std::string_view text, std::vector<ValueRange>* ranges, unsigned* bits) {
    const size_t slash = text.find('/');
    U128 value = 0;
    if (!parse_one(text.substr(0, slash), &value, bits)) {
        return false;
    }
    if (slash == std::string_view::npos) {
        *bits = *bits == 0 ? width_of(value) : *bits;
        ranges->push_back({value, value});
        return true;
    }
    U128 mask = 0;
    unsigned mask_bits = 0;
    if (!parse_one(text.substr(slash + 1), &mask, &mask_bits) || *bits == 0) {
        return false;
    }
    if (mask_bits == 0) {
        if (mask > *bits) {
            return false;
        }
        const auto length = static_cast<unsigned>(mask);
        mask = ones(*bits) & ~ones(*bits - length);
    } else if (mask_bits != *bits) {
        return false;
    }
    const auto range = prefix_range(value, mask, *bits);
    if (!range) {
        return false;
    }
    ranges->push_back(*range);
    return true;
}

std::optional<uint32_t> Binder::port_key(std::string_view name) {
    uses_names_ = true;
    return names_->port_key(name);
}

bool Binder::is_resident(std::string_view port) {
    uses_names_ = true;
    return names_->is_chassis_resident(port);
}

lang::Parsed<ValueSetPtr> Binder::address_set(const lang::AddressSetName& name, unsigned bits) {
    uses_names_ = true;
    auto& known = address_sets_[name.name];
    for (const auto& [width, values] : known) {
        if (width == bits) {
            return values;
        }
    }
    lang::Parsed<ValueSetPtr> read = read_set(name, bits);
    if (read) {
        known.emplace_back(bits, *read);
    }
    return read;
}

lang::Parsed<ValueSetPtr> Binder::read_set(const lang::AddressSetName& name, unsigned bits) {
    std::vector<AddressSetCache::Entry>& cached = cache_.entries[name.name];
    const auto entry =
        std::find_if(cached.begin(), cached.end(), [&](const auto& e) { return e.bits == bits; });
    if (entry != cached.end() && round_ != 0 && entry->round == round_) {
        return entry->values;
    }
    const std::vector<std::string>* members = names_->address_set(name.name);
    if (members == nullptr) {
        return lang::Diagnostic{
            "unknown address set $" + name.name + "; the flow takes effect when it exists",
            name.span};
    }
    if (entry != cached.end() && entry->members == *members) {
        entry->round = round_;
        return entry->values;
    }
    std::vector<ValueRange> ranges;
    for (const std::string& member : *members) {
        unsigned member_bits = 0;
        if (!address_ranges(member, &ranges, &member_bits)) {
            return lang::Diagnostic{
                "address set $" + name.name + " has a member \"" + member + "\" that is no address",
                name.span};
        }
        if (member_bits > bits) {
            return lang::Diagnostic{
                "address set $" + name.name + " has a member " + member + " wider than the field",
                name.span};
        }
    }
    ValueSetPtr set = std::make_shared<ValueSet>(std::move(ranges));
    if (entry != cached.end()) {
        *entry = {bits, *members, set, round_};
    } else {
        cached.push_back({bits, *members, set, round_});
    }
    return set;
}

lang::Parsed<ValueSetPtr> Binder::port_group(const lang::PortGroupName& name) {
    uses_names_ = true;
    const auto known = port_groups_.find(name.name);
    if (known != port_groups_.end()) {
        return known->second;
    }
    const std::vector<std::string>* members = names_->port_group(name.name);
    if (members == nullptr) {
        return lang::Diagnostic{
            "unknown port group @" + name.name + "; the flow takes effect when it exists",
            name.span};
    }
    std::vector<ValueRange> ranges;
    for (const std::string& port : *members) {
        if (const auto key = names_->port_key(port)) {
            ranges.push_back({*key, *key});
        }
    }
    ValueSetPtr set = std::make_shared<ValueSet>(std::move(ranges));
    port_groups_.emplace(name.name, set);
    return set;
}

}  // namespace sluice::compile
