// SPDX-License-Identifier: Apache-2.0
// Mirrors: the Mirror rows that ports of this chassis name, with the way to each sink.
//
// What. A Port_Binding's mirror_rules name Mirrors: gre and erspan send copies to an address of the
// underlay, local (24.03) to the interface of this chassis whose external_ids:mirror-id is the
// sink. lport mirrors are logical flows with a mirror port of their own and need nothing here.
// Design. A mirror has a number while any local port names it; ports name mirrors by bits, so
// there are at most kMaxMirrors. An interface's mirrors are those of the port whose iface-id it
// has, as with the reference, which mirrors Open vSwitch's port: containers inside a VIF are
// copied with it. Mirrors of the local database (control/vswitch/local_mirrors.h) name interfaces
// themselves and end at a port; numbers and bits are the same. A row that cannot be served is an
// error text and copies nothing. Threads: control.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/chassis/attachments.h"
#include "control/chassis/binding.h"
#include "control/physical/underlay.h"
#include "control/sb/mirror.h"
#include "lib/program/mirror_sink.h"

namespace sluice::physical {

class Mirrors {
public:
    /// Brings sinks in line with the rows; between begin_round() and wanted() of the underlay.
    /// `own`: our encap addresses, the sources of copies. True when workers have to know;
    /// `has_port_change` is set when ports have to be looked at again.
    bool update(const sb::Mirror& mirror, const chassis::BindingPlan& plan,
                const chassis::Attachments& here, const std::vector<IpAddress>& own,
                UnderlayModel* underlay, bool* has_port_change);

    struct Bits {
        uint64_t in = 0;   ///< of what the port sends
        uint64_t out = 0;  ///< of what it is sent
    };
    Bits of(const sb::PortBinding& port) const;

    /// Where the copies of a Mirror row go; null when no port here names it, or it is refused.
    std::shared_ptr<const MirrorSink> sink_of(const Uuid& row) const;
    /// By number, null where one went away.
    const std::vector<std::shared_ptr<const MirrorSink>>& list() const { return sinks_; }
    /// What all ERSPAN sinks count in: their packets are one GRE flow (RFC 2890), as from Open
    /// vSwitch.
    const std::shared_ptr<std::atomic<uint32_t>>& sequence() const { return sequence_; }
    const std::vector<std::string>& errors() const { return errors_; }
    /// Those of the local database.
    const std::vector<chassis::Attachments::LocalMirror>& local() const { return local_; }

private:
    struct Known {
        uint32_t number = 0;
        bool in = false;
        bool out = false;
        bool operator==(const Known&) const = default;
    };
    uint32_t take_number();
    void add_local(const std::vector<chassis::Attachments::LocalMirror>& mirrors,
                   std::map<Uuid, MirrorSink>* sinks);

    std::map<Uuid, Known> known_;
    std::vector<std::shared_ptr<const MirrorSink>> sinks_;
    std::shared_ptr<std::atomic<uint32_t>> sequence_ = std::make_shared<std::atomic<uint32_t>>(0);
    std::vector<std::string> errors_;
    std::vector<chassis::Attachments::LocalMirror> local_;
};

/// The sink's header, all that does not differ between copies.
MirrorSink build_mirror_sink(MirrorSink::Type type, uint32_t index, const NextHop& hop,
                             const IpAddress& remote);

}  // namespace sluice::physical
