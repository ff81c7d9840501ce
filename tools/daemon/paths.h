// SPDX-License-Identifier: Apache-2.0
// Where the files of a daemon of the Open vSwitch family lie.
#pragma once

#include <string>

namespace sluice {

/// $OVS_RUNDIR, else /var/run/openvswitch.
std::string run_dir();
/// $OVS_LOGDIR, else /var/log/openvswitch.
std::string log_dir();
/// `file` if it is absolute, else DIR/file; "" becomes DIR/otherwise.
std::string in_dir(const std::string& dir, const std::string& file, const std::string& otherwise);
/// The command socket of process `pid`: RUNDIR/PROGRAM.PID.ctl, or what --unixctl said.
std::string unixctl_path(const std::string& option, const std::string& program);

}  // namespace sluice
