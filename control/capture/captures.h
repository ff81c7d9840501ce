// SPDX-License-Identifier: Apache-2.0
// Captures: starts, stops and lists captures, and keeps what workers see of them up to date.
//
// What. A capture is asked for by the command socket (commands.h) and told by names; here they
// become numbers, again and again while it runs, so that a port that is unplugged and comes back
// under another number is captured still. Packets go to the unix socket that the asker listens on:
// files belong to who asked, and when the asker goes, the capture ends.
// Threads: control's, all of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/capture/filter.h"
#include "control/capture/names.h"
#include "control/capture/session.h"
#include "lib/base/event_loop.h"
#include "lib/base/result.h"
#include "lib/program/capture.h"

namespace sluice::capture {

struct Request {
    std::string socket;                      ///< where packets go
    std::string filter;                      ///< pcap-filter(7), "": all
    std::vector<std::string> ports;          ///< physical, by name; empty: all
    std::vector<std::string> logical_ports;  ///< by name; empty: all
    std::string datapath;                    ///< name, UUID or key; "": all
    uint8_t directions = kCaptureAll;
    uint32_t snaplen = 65535;
    uint64_t count = 0;       ///< 0: until stopped
    uint32_t sample = 1;      ///< every n-th packet that matches
    uint64_t rate = 100000;   ///< packets a second and worker; 0: any
    uint32_t ring_kb = 4096;  ///< of each worker, a power of two
};

struct Status {
    unsigned id = 0;
    std::string what;   ///< filter and choices, as asked for
    std::string state;  ///< running, ending
    SessionStats stats;
};

struct Hooks {
    /// Null: nobody captures.
    std::function<void(std::unique_ptr<const CaptureSet>)> publish;
    std::function<void(std::function<void()>)> after_grace;
    std::function<Names()> names;
    /// Grows when what names() tells may have changed.
    std::function<uint64_t()> version;
    unsigned workers = 1;
    uint64_t tsc_hz = 1;
    std::string application;
};

class Captures {
public:
    static constexpr size_t kMaxCaptures = 8;

    Captures(EventLoop& loop, Hooks hooks);
    ~Captures();
    Captures(const Captures&) = delete;
    Captures& operator=(const Captures&) = delete;

    /// The number of the capture.
    Result<unsigned> start(const Request& request);
    Result<void> stop(unsigned id);
    std::vector<Status> list() const;

private:
    struct Running;
    static constexpr int64_t kRefreshMs = 100;

    Result<CaptureSpec> resolve(const Request& request, const Filter& filter,
                                bool must_exist) const;
    void publish();
    void refresh();
    void end(unsigned id);
    void forget(unsigned id);
    std::shared_ptr<const Names> names() const;
    void set_names(std::shared_ptr<const Names> names);

    EventLoop& loop_;
    const Hooks hooks_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  ///< for what is posted
    std::map<unsigned, std::unique_ptr<Running>> running_;
    unsigned next_id_ = 1;
    uint64_t version_ = 0;
    EventLoop::TimerId timer_ = 0;
    mutable std::mutex mutex_;  ///< guards names_: control writes, session threads read
    std::shared_ptr<const Names> names_;
};

}  // namespace sluice::capture
