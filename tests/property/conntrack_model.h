// SPDX-License-Identifier: Apache-2.0
// A naive connection tracker: maps and plain words, nothing shared with datapath/conntrack.
//
// Written from what Open vSwitch's userspace conntrack does (conntrack_reference_test.py holds the
// real one against the real thing), to be compared with Conntrack over millions of operations.
// Choices that Conntrack leaves to its secret hash are taken over from it after checking that they
// are legal.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "datapath/conntrack/conntrack.h"

namespace sluice::test {

/// Who talks to whom, written out; port 2 of ICMP is the type.
using ModelKey = std::array<uint32_t, 13>;

struct ModelConn {
    ModelKey key[2];
    bool keys_linked[2] = {true, true};
    int nat = 0;  ///< 0 none, 1 source, 2 destination
    uint64_t deadline = 0;
    uint32_t mark = 0;
    std::array<uint32_t, 4> label{};
    struct End {
        uint32_t sent = 0;     ///< highest sequence number
        uint32_t allowed = 0;  ///< highest the other lets it send
        uint32_t window = 0;
        int scale = -1;  ///< -1 none known, -2 handshake not seen
        int state = 0;   ///< as ct-dpif numbers TCP states; first end of others: 0, 1, 2
    } end[2];
};

struct ModelView {
    int conn = -1;  ///< index, -1 none
    uint32_t state = 0;
    bool reply = false;
    bool reopens = false;
    uint32_t nat_state = 0;
};

class ConntrackModel {
public:
    ModelView lookup(const CtTuple& tuple, const PacketFacts& facts, uint64_t now);
    void touch(const ModelView& view, const PacketFacts& facts, uint64_t now);
    /// What a packet reads after NAT, and for errors the quoted packet.
    ModelKey translated(const ModelView& view, bool related) const;

    /// Makes a connection of a new packet; `reverse` is what answers read.
    int create(const CtTuple& tuple, const PacketFacts& facts, int nat, const ModelKey& reverse,
               uint64_t now);
    void remove(int conn) { conns_.erase(conn); }
    bool is_taken(const ModelKey& key, uint64_t now) const;
    void expire(uint64_t now);
    size_t count(uint16_t zone, uint64_t now) const;
    ModelConn& at(int conn) { return conns_.at(conn); }
    std::map<int, ModelConn>& all() { return conns_; }

private:
    std::optional<std::pair<int, int>> find(const ModelKey& key, uint64_t now) const;
    std::map<int, ModelConn> conns_;
    int next_ = 0;
};

ModelKey model_key(const CtTuple& tuple);
ModelKey model_reverse(ModelKey key);

}  // namespace sluice::test
