// SPDX-License-Identifier: Apache-2.0
#include "control/capture/describe.h"

#include <fmt/format.h>

namespace sluice::capture {
namespace {

std::string datapath_name(const Names& names, uint32_t key) {
    const auto found = names.datapaths.find(key);
    return found == names.datapaths.end() ? std::to_string(key) : found->second.name;
}

std::string port_name(const Names& names, uint32_t datapath, uint32_t key) {
    const auto found = names.logical_ports.find(uint64_t{datapath} << 32 | key);
    return found == names.logical_ports.end() || found->second.name.empty() ? std::to_string(key)
                                                                            : found->second.name;
}

/// Datapath key << 32 | port key of a PacketKey::context; 0 unknown.
uint64_t entered_at(const Names& names, uint64_t context) {
    if (context >> 63) {
        const auto found = names.entries.find(static_cast<uint32_t>(context));
        return found == names.entries.end() ? 0 : found->second;
    }
    return context >> 32 << 32 | (context >> 16 & 0x7fff);
}

std::string describe_flow(const Names& names, uint32_t flow) {
    const FlowInfo* info =
        names.flows && flow < names.flows->size() ? (*names.flows)[flow].get() : nullptr;
    return info ? fmt::format(" flow={} stage={} priority={}", to_string(info->uuid),
                              info->stage_name, info->priority)
                : std::string();
}

}  // namespace

const char* direction_name(uint8_t direction) {
    switch (direction) {
    case kCaptureRx: return "rx";
    case kCaptureTx: return "tx";
    default: return "drop";
    }
}

std::string describe(const CaptureRecord& r, const Names& names) {
    std::string text = direction_name(r.direction);
    const uint64_t entered = r.entered ? entered_at(names, r.entered) : 0;
    const auto entered_datapath = static_cast<uint32_t>(entered >> 32);
    uint32_t inport = r.inport;
    if (!inport && entered_datapath == r.datapath) {
        inport = static_cast<uint32_t>(entered);
    }
    if (r.datapath) {
        text += " datapath=" + datapath_name(names, r.datapath);
        if (inport) {
            text += " inport=" + port_name(names, r.datapath, inport);
        }
        if (r.outport) {
            text += " outport=" + port_name(names, r.datapath, r.outport);
        }
    }
    if (entered_datapath && entered_datapath != r.datapath) {
        text += fmt::format(" entered={}/{}", datapath_name(names, entered_datapath),
                            port_name(names, entered_datapath, static_cast<uint32_t>(entered)));
    }
    if (r.direction == kCaptureDrop) {
        text += fmt::format(" reason={}", drop_name(static_cast<Drop>(r.reason)));
        text += describe_flow(names, r.flow);
    }
    return text;
}

}  // namespace sluice::capture
