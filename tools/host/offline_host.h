// SPDX-License-Identifier: Apache-2.0
// OfflineHost: a Host whose pipeline comes from a Southbound file and whose ports from options.
//
// Common ground of sluice-replay, sluice-trace and sluice-bench: the same --sb, --chassis, --port,
// --underlay and --neighbor options with the same meaning and the same errors.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <memory>
#include <string>
#include <vector>

#include "control/offline.h"
#include "control/slowpath/services/services.h"
#include "lib/base/result.h"
#include "tools/host/host.h"

namespace sluice {

struct OfflineOptions {
    std::string sb;
    std::string chassis = "hv1";
    std::vector<std::string> ports;      ///< NAME=DRIVER,...[,iface-id=LP][,physnet=NET]
    std::vector<std::string> underlays;  ///< NAME=DRIVER,...,ip=ADDRESS/LEN[+...]
    std::vector<std::string> neighbors;  ///< IP=MAC
    bool legacy_geneve = false;

    /// The options to add to a program's own.
    boost::program_options::options_description describe();
};

/// Members go in the order that this needs: what answers packets ends before the host.
struct OfflineHost {
    std::unique_ptr<Host> host;
    EventLoop loop;                       ///< where what is learnt would go
    std::unique_ptr<SlowPath> slow_path;  ///< null without mailboxes; has no thread
    std::unique_ptr<Services> services;
    OfflinePipeline offline;         ///< names and errors; its pipeline has been published
    std::vector<OfflinePort> ports;  ///< as opened
    PortId port_id(const std::string& name) const;
    std::string port_name(PortId id) const;
    std::string logical_port_name(uint32_t datapath_key, uint32_t port_key) const;
    /// Turns worker 0 and the slow path until neither has anything left to do. Nothing is learnt:
    /// the Southbound is a file.
    void settle(int64_t now_ms);
};

/// Starts EAL, opens the ports, builds and publishes the pipeline. VIFs that the file binds to the
/// chassis and no option names become in-memory ports of the same name when `dummy_for_unnamed`.
Result<std::unique_ptr<OfflineHost>> open_offline(const OfflineOptions& options,
                                                  const HostConfig& config, unsigned memory_mb,
                                                  bool huge, bool dummy_for_unnamed);

/// A local copy of the Southbound: `sb` itself when it is a file; for a remote (unix:, tcp:) the
/// contents are fetched once into a temporary file.
Result<std::string> southbound_file(const std::string& sb);

}  // namespace sluice
