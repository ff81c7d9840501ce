// SPDX-License-Identifier: Apache-2.0
// Bind: what the names of one datapath stand for, as numbers.
//
// A Binder answers for one compile of one datapath and remembers what it worked out, so that an
// address set used by a hundred flows is read once. `uses_names()` tells whether the last flow
// needed it at all: flows that do not are the same in every datapath.
// As in ovn-controller a port name that is not there makes its comparison false and assigns 0; an
// unknown address set or port group is an error, and the flow waits until it exists.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/compile/ast.h"
#include "control/compile/compile.h"
#include "control/compile/diagnostic.h"
#include "control/compile/ir.h"

namespace sluice::compile {

/// Address sets as numbers, kept over datapaths and compiles: a set is read again when its
/// members changed, and equal uses share one ValueSet.
struct AddressSetCache {
    struct Entry {
        unsigned bits;
        std::vector<std::string> members;
        ValueSetPtr values;
        uint64_t round;  ///< in which they were compared last
    };
    std::unordered_map<std::string, std::vector<Entry>> entries;
};

class Binder {
public:
    /// `round`: see DatapathInput::round.
    Binder(const Names* names, AddressSetCache* cache, uint64_t round = 0)
        : names_(names), cache_(*cache), round_(round) {}

    std::optional<uint32_t> port_key(std::string_view name);
    bool is_resident(std::string_view port);
    /// Members of `bits` bits; a member that is wider is an error, as in OVN.
    lang::Parsed<ValueSetPtr> address_set(const lang::AddressSetName& name, unsigned bits);
    lang::Parsed<ValueSetPtr> port_group(const lang::PortGroupName& name);

    void start_flow() { uses_names_ = false; }
    bool uses_names() const { return uses_names_; }

private:
    lang::Parsed<ValueSetPtr> read_set(const lang::AddressSetName& name, unsigned bits);

    const Names* names_;
    AddressSetCache& cache_;
    const uint64_t round_;
    bool uses_names_ = false;
    std::unordered_map<std::string, std::vector<std::pair<unsigned, ValueSetPtr>>> address_sets_;
    std::unordered_map<std::string, ValueSetPtr> port_groups_;
};

/// One element of an Address_Set: an IPv4 or IPv6 address, prefix or address/mask, a MAC, or a
/// number. Appends its ranges; false when it is none of these; *bits is its natural width.
bool address_ranges(std::string_view text, std::vector<ValueRange>* ranges, unsigned* bits);

/// The numbers of value/mask as ranges over `bits` bits, if the mask is a prefix.
std::optional<ValueRange> prefix_range(U128 value, U128 mask, unsigned bits);

}  // namespace sluice::compile
