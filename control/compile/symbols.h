// SPDX-License-Identifier: Apache-2.0
// Names of the match and action language, and the raw storage each one means.
//
// A symbol is a field (its own storage), a subfield (some bits of a field under another name), a
// predicate (a macro: `ip4` stands for `eth.type == 0x800`) or a write-only OVN field. Its
// prerequisites and a predicate's expansion are text in the table, parsed once when the table is
// built; annotate() (expr.h) puts them in. A reference to any field or subfield resolves to a
// FieldRef: bits [ofs, ofs + width) of one storage field of lib/program/fields.def, so nothing
// behind the parser has to know that reg0 is the top word of xxreg0.
//
// Tables are immutable once built and may be read by any thread. The two branches of OVN know
// almost the same names; each table holds the union, and `Dialect` picks the expansion where they
// differ.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/program/state.h"

namespace sluice::lang {

struct Expr;

/// Bits [ofs, ofs + width) of a storage field, counted from its least significant bit.
struct FieldRef {
    FieldId id = FieldId::kCount;
    uint16_t ofs = 0;
    uint16_t width = 0;
    bool operator==(const FieldRef&) const = default;
};

enum class SymbolKind : uint8_t { kField, kSubfield, kPredicate, kOvnField };

/// Level of measurement as ovn-sb(5) defines it: what comparisons a symbol allows.
enum class Level : uint8_t { kNominal, kBoolean, kOrdinal };

/// Where the symbol may be assigned to.
enum class Access : uint8_t { kReadOnly, kReadWrite, kCtCommitOnly, kWriteOnly };

/// Write-only fields: they set words of the ICMP message being built.
enum class OvnField : uint8_t { kNone, kIcmp4FragMtu, kIcmp6FragMtu, kIcmp4InnerIp4Src };

struct Symbol {
    std::string name;
    SymbolKind kind = SymbolKind::kField;
    Level level = Level::kOrdinal;
    Access access = Access::kReadOnly;
    OvnField ovn_field = OvnField::kNone;
    bool is_string = false;     ///< holds a port name; compares and assigns with strings
    uint16_t width = 0;         ///< bits; 1 for predicates, 0 for strings
    FieldRef storage;           ///< unset for predicates and write-only fields
    std::string prerequisites;  ///< "" when there are none
    std::string expansion;      ///< predicates only
    std::shared_ptr<const Expr> prerequisite_expr;  ///< raw form of `prerequisites`; null when none
    std::shared_ptr<const Expr> expansion_expr;     ///< `expansion` as parsed; predicates only
    std::shared_ptr<const Expr> expansion_raw;      ///< raw form of it
};

/// Which branch of OVN wrote the flows. Only igmp, mldv1 and mldv2 expand differently.
enum class Dialect : uint8_t { k2303, kMain };

/// Who wrote the flows, from SB_Global.options:northd_internal_version ("26.03.3-21.8.0-82.14"):
/// all up to 23.03, and who does not say, are k2303.
Dialect dialect_of(std::string_view northd_version);

class SymbolTable {
public:
    /// The table for flows of `dialect`; built on first use, lives for ever.
    /// `by_connection`: tcp, udp, sctp and their ports mean those of the packet's connection, as in
    /// ACLs that northd has marked with the tag acl_ct_translation.
    static const SymbolTable& of(Dialect dialect, bool by_connection = false);

    /// The symbol called `name`, or nullptr.
    const Symbol* find(std::string_view name) const;
    const std::vector<std::unique_ptr<Symbol>>& all() const { return symbols_; }
    Dialect dialect() const { return dialect_; }

private:
    SymbolTable(Dialect dialect, bool by_connection);
    Symbol& add(std::string name, SymbolKind kind);
    void add_field(const char* name, FieldId id, unsigned width, Level level, Access access,
                   const char* prerequisites = "");
    void require(Symbol& symbol, const char* prerequisites);
    void add_string(const char* name, FieldId id, Access access);
    void add_subfield(const char* name, const char* parent, unsigned low, unsigned high,
                      const char* prerequisites = "");
    void add_predicate(const char* name, const char* expansion);
    void add_ovn_field(const char* name, OvnField field, unsigned width);
    void add_metadata();
    void add_registers();
    void add_flags();
    void add_conntrack();
    void add_link_layer();
    void add_ip();
    void add_ip6();
    void add_arp();
    void add_neighbour_discovery();
    void add_transport();

    Dialect dialect_;
    bool by_connection_;
    std::vector<std::unique_ptr<Symbol>> symbols_;
    std::unordered_map<std::string_view, const Symbol*> by_name_;  ///< keys live in symbols_
};

}  // namespace sluice::lang
