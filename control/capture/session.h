// SPDX-License-Identifier: Apache-2.0
// Session: one capture's way from the workers' rings to the socket of who asked for it.
//
// What. A thread of its own takes records out of the rings, oldest first, gives them names and
// writes them as pcapng. A reader who does not keep up makes the rings fill; that is counted in the
// workers and told at the end, nobody waits for it.
// End. Who reads closes (or half-closes) the socket, enough packets were written, or control stops
// it. The session then asks to be stopped (wants_end); control takes the capture away from the
// workers and, after a grace period, calls finish(): what is left in the rings is written, then
// what was lost, and the socket closes (has_ended).
// Threads. Made, finished and destroyed by control; wants_end and has_ended are called by the
// session's own thread, once each. stats(): any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "control/capture/names.h"
#include "lib/program/capture.h"

namespace sluice::capture {

struct SessionConfig {
    int fd = -1;  ///< a stream socket; the session closes it
    std::shared_ptr<CaptureTap> tap;
    uint64_t tsc_hz = 1;
    uint32_t snaplen = 65535;
    uint64_t count = 0;       ///< packets to write; 0: any number
    std::string filter;       ///< as asked for, for the file
    std::string application;  ///< who writes
};

struct SessionHooks {
    /// The newest names; called from the session's thread.
    std::function<std::shared_ptr<const Names>()> names;
    std::function<void()> wants_end;
    std::function<void()> has_ended;
};

struct SessionStats {
    uint64_t seen = 0;
    uint64_t written = 0;
    uint64_t sampled_out = 0;
    uint64_t over_rate = 0;
    uint64_t ring_full = 0;
};

class Session {
public:
    Session(SessionConfig config, SessionHooks hooks);
    /// Without finish(): what is in the rings is lost.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// The workers write no more.
    void finish() { finishing_.store(true, std::memory_order_release); }
    SessionStats stats() const;

private:
    struct Interface {
        uint32_t number;
        uint64_t packets = 0;
        uint64_t lost = 0;
    };
    struct Anchor {
        uint64_t tsc = 0;
        uint64_t ns = 0;
    };

    void run();
    bool drain();
    void write_record(const CaptureRecord& record);
    Interface& interface_of(PortId port);
    void write_statistics();
    void ask_for_end();
    void look_for_end(int wait_ms);
    void send();
    uint64_t lost() const;
    uint64_t time_of(uint64_t tsc);

    const SessionConfig config_;
    const SessionHooks hooks_;
    std::atomic<bool> finishing_{false};  ///< control writes, the thread reads
    std::atomic<bool> abort_{false};      ///< same
    std::atomic<uint64_t> written_{0};    ///< the thread writes, any thread reads

    // The thread's own.
    std::shared_ptr<const Names> names_;
    std::map<std::pair<PortId, std::string>, Interface> interfaces_;
    std::string out_;
    Anchor anchor_;
    uint64_t lost_told_ = 0;
    bool asked_ = false;
    bool broken_ = false;
    std::thread thread_;
};

}  // namespace sluice::capture
