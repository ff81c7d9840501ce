// SPDX-License-Identifier: Apache-2.0
// Plugger: brings the open ports in line with the wanted ones.
//
// Two steps, because the pipeline has to change between them: open() adds what is new (a port
// whose spec changed counts as gone until close() has removed it), then the owner publishes, then
// close() removes what is no longer wanted. What cannot be opened has its error kept and is tried
// again now and then: a VM's device may come later than its row. A port whose device vanished is
// closed and tried again the same way. Ports that can change while they are open (bonds, whose
// members come, go and are missed one by one) are not closed for it.
// Threads: control.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/vswitch/wanted_ports.h"
#include "lib/program/ports.h"

namespace sluice::vswitch {

class Plugger {
public:
    static constexpr int64_t kRetryMs = 2000;
    static constexpr int64_t kLookMs =
        1000;  ///< how often devices are asked whether they are there

    explicit Plugger(PortControl* ports) : ports_(ports) {}

    /// True when a port was added or changed: the port table is to be published before the
    /// pipeline.
    bool open(std::vector<WantedPort> wanted, int64_t now_ms);
    /// Removes ports that are not wanted (any more, or in this form).
    std::vector<Retire> close();
    /// Whether open() has something to do again later: a failed port, or one to be replaced.
    bool has_failed() const { return !errors_.empty(); }
    bool has_replacements() const { return !stale_.empty() || !changes_.empty(); }

    const std::vector<WantedPort>& wanted() const { return wanted_; }
    /// kNoPort when it is not open (or about to be replaced).
    PortId id(const std::string& name) const;
    /// How the port of that name is open now; null when it is not.
    const PortSpec* open_spec(const std::string& name) const;
    /// Another device is about to take the place of the open one.
    bool is_being_replaced(const std::string& name) const;
    const std::string& error(const std::string& name) const;

private:
    struct Open {
        PortSpec spec;
        PortId id;
        int64_t tried_ms = 0;  ///< to complete it
        int64_t seen_ms = 0;   ///< there
    };
    bool follow(const WantedPort& wanted, Open* open, int64_t now_ms);

    PortControl* ports_;
    std::vector<WantedPort> wanted_;
    std::map<std::string, Open> open_;
    std::map<std::string, std::string> errors_;
    std::map<std::string, int64_t> tried_ms_;
    std::vector<std::string> stale_;  ///< open, to be closed
    std::vector<Retire> changes_;     ///< of open ports, to be finished
};

}  // namespace sluice::vswitch
