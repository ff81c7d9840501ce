// SPDX-License-Identifier: Apache-2.0
// PuntArgs: what an action that the slow path carries out says, by a number that fits a packet.
//
// The compiler interns every such action here and puts the id into its kPunt instruction; workers
// pass the id on; the slow path asks for the action when the packet arrives, which may be after the
// pipeline it was walked under is gone. The table therefore only lends: compiled code holds its
// PuntArgs by shared_ptr, and find() gives null once nothing does.
// Threads: intern() by the control thread, find() by any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/compile/ast.h"
#include "lib/program/action.h"

namespace sluice::compile {

struct PuntArgs {
    uint32_t id = 0;
    lang::ActionNode node;
    /// Port names of the action as keys of the datapath (bind_vport: the virtual port).
    std::vector<uint32_t> port_keys;
};

class PuntArgsTable {
public:
    /// The entry with this content, made if needed. `text` is the action as printed.
    std::shared_ptr<const PuntArgs> intern(const std::string& text, const lang::ActionNode& node,
                                           std::vector<uint32_t> port_keys);
    /// Null: no code uses it any more.
    std::shared_ptr<const PuntArgs> find(uint32_t id) const;
    size_t size() const;

    /// The process's one table: code is compiled and packets are punted in one process.
    static PuntArgsTable& instance();

private:
    void forget_dead();

    mutable std::mutex mutex_;
    std::unordered_map<std::string, uint32_t> by_text_;
    std::unordered_map<uint32_t, std::weak_ptr<const PuntArgs>> by_id_;
    uint32_t next_id_ = 1;
    size_t sweep_at_ = 1024;
};

/// Objects that instructions point at, one for each content: equal code has equal pointers, so
/// tables that came out the same are seen to be the same. Kept alive by Code::keep alone.
class ArgPool {
public:
    /// The object with this text (which must say all of its content and its type), made if needed.
    template <typename T>
    std::shared_ptr<const T> intern(const std::string& text, const T& value) {
        std::weak_ptr<const void>& place = by_text_[text];
        if (auto old = std::static_pointer_cast<const T>(place.lock())) {
            return old;
        }
        auto made = std::make_shared<const T>(value);
        place = made;
        if (by_text_.size() >= sweep_at_) {
            forget_dead();
        }
        return made;
    }
    /// Same for an object that `make` makes, as shared_ptr<const void>.
    template <typename F>
    std::shared_ptr<const void> intern_made(const std::string& text, F&& make) {
        std::weak_ptr<const void>& place = by_text_[text];
        auto made = place.lock();
        if (!made) {
            made = make();
            place = made;
        }
        return made;
    }
    /// Control thread only.
    static ArgPool& instance();

private:
    void forget_dead();
    std::unordered_map<std::string, std::weak_ptr<const void>> by_text_;
    size_t sweep_at_ = 1024;
};

/// Kept by ArgPool, so that equal ones are one.
std::shared_ptr<const PuntSpec> intern_punt_spec(const PuntSpec& spec);

}  // namespace sluice::compile
