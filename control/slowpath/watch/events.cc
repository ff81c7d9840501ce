// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/watch/events.h"

#include <algorithm>

#include "lib/program/packet_meta.h"

namespace sluice::watch {
namespace {

/// Bits of a logical field as the packet left with it.
uint32_t read_field(const lang::FieldUse& use, const PuntMeta& meta) {
    const lang::FieldRef ref = use.raw();
    uint32_t value = 0;
    for (unsigned bit = 0; bit < std::min<unsigned>(ref.width, 32); ++bit) {
        const BitLocation at = locate(ref.id, ref.ofs + bit);
        if (at.slot < kLogicalSlots) {
            value |= (meta.logical[at.slot] >> at.bit & 1u) << bit;
        }
    }
    return value;
}

}  // namespace

std::optional<Event> event_of(const lang::TriggerEvent& action) {
    Event event{action.event, {}};
    for (const lang::Option& option : action.options) {
        const auto* text = option.value.values.size() == 1
                               ? std::get_if<lang::String>(&option.value.values[0])
                               : nullptr;
        if (!text) {
            return std::nullopt;
        }
        event.info[option.name] = text->text;
    }
    return event;
}

std::optional<VportClaim> claim_of(const compile::PuntArgs& args, const PuntMeta& meta) {
    if (args.port_keys.size() != 2 || args.port_keys[0] == 0 ||
        args.port_keys[1] >= kLogicalSlots) {
        return std::nullopt;
    }
    return VportClaim{meta.datapath(), args.port_keys[0], meta.logical[args.port_keys[1]]};
}

PacketSample sample_of(const lang::Sample& action, const PuntMeta& meta, uint32_t cookie) {
    PacketSample out;
    out.collector_set = action.collector_set;
    out.obs_domain = uint32_t{action.obs_domain} << 24 | (meta.datapath() & 0xffffff);
    out.packets = action.probability ? 65535u / action.probability : 1;
    if (action.use_cookie) {
        out.obs_point = cookie;
    } else if (action.obs_point) {
        if (const auto* number = std::get_if<lang::Number>(&*action.obs_point)) {
            out.obs_point = static_cast<uint32_t>(number->value);
        } else {
            out.obs_point = read_field(std::get<lang::FieldUse>(*action.obs_point), meta);
        }
    }
    return out;
}

}  // namespace sluice::watch
