// SPDX-License-Identifier: Apache-2.0
// sluiced's options: command line over configuration file over defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "tools/host/port_option.h"

namespace sluice {

struct Options {
    // Where things are.
    std::string db;  ///< local Open_vSwitch database remote; empty with no_db
    bool no_db = false;
    std::string sb;  ///< Southbound remotes; from the local database when empty
    std::string system_id;
    std::string encap_ip;
    std::string encap_type = "geneve";
    std::string private_key;
    std::string certificate;
    std::string ca_cert;
    std::vector<PortOption> ports;
    std::vector<std::string> neighbors;  ///< "PORT IP MAC"
    std::vector<std::string> routes;     ///< "PREFIX PORT [GATEWAY]"
    std::string zones_file;              ///< conntrack zones without a local database; "": nowhere

    // Resources.
    unsigned workers = 1;
    std::vector<unsigned> cores;  ///< one worker on each; empty: not pinned
    unsigned memory_mb = 256;
    bool huge = false;
    unsigned mbufs = 16384;
    unsigned cache_entries = 262144;
    uint32_t conntrack_connections = 1u << 20;
    uint32_t conntrack_fragments_kb = 16384;
    unsigned idle_sleep_us = 150;  ///< longest nap where ports can only be polled; 0 no sleep
    std::vector<std::string> eal;

    bool legacy_geneve = false;  ///< send Geneve option class 0xffff type 0

    // Test mode: interfaces of type "" in the local database become in-memory ports.
    bool dummy = false;

    // Daemon.
    bool detach = false;
    bool monitor = false;
    bool no_chdir = false;
    bool overwrite_pidfile = false;
    std::optional<std::string> pidfile;   ///< empty value: default name
    std::optional<std::string> log_file;  ///< same
    std::string unixctl;
    std::vector<std::string> verbose;

    bool check = false;  ///< look at the machine and stop
    bool help = false;
    bool version = false;
    std::string help_text;
};

/// Parses argv and, if named, the configuration file (same names, `name = value` lines).
/// Errors name the option and say what was expected.
Result<Options> parse_options(int argc, char** argv);

}  // namespace sluice
