// SPDX-License-Identifier: Apache-2.0
// Atom and Datum: the values of OVSDB (RFC 7047, 5.1), typed and comparable.
//
// A Datum is what one column of one row holds: a set of atoms (a scalar is a set of one, an unset
// optional a set of none) or a map. Its atoms are kept sorted, so equal contents compare equal,
// and lookups in maps and sets are binary searches.
//
// The accessors answer what a reader of a row wants to know and never fail: a column that is
// empty, or that the server does not have at all, gives the default. Strings are shared between
// copies (immutable), so copying a Datum copies no text.
//
// Threads: values; a Datum that nobody changes may be read from any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/result.h"
#include "lib/net/addr.h"

namespace sluice::json {
class Value;
class Writer;
}  // namespace sluice::json

namespace sluice::ovsdb {

struct ColumnType;

enum class AtomType : uint8_t { kVoid, kInteger, kReal, kBoolean, kString, kUuid };

class Atom {
public:
    Atom() : value_(int64_t{0}) {}
    Atom(int64_t value) : value_(value) {}
    Atom(int value) : value_(int64_t{value}) {}
    Atom(double value) : value_(value) {}
    Atom(bool value) : value_(value) {}
    Atom(const Uuid& value) : value_(value) {}
    Atom(std::string value);
    Atom(std::shared_ptr<const std::string> value) : value_(std::move(value)) {}
    Atom(std::string_view value) : Atom(std::string(value)) {}
    Atom(const char* value) : Atom(std::string(value)) {}

    AtomType type() const { return static_cast<AtomType>(value_.index() + 1); }
    // Each gives the default of its type when the atom is of another type.
    int64_t integer() const;
    double real() const;
    bool boolean() const;
    const std::string& string() const;
    /// The same, to be kept; null when the atom is of another type.
    std::shared_ptr<const std::string> shared_string() const;
    Uuid uuid() const;

    bool operator==(const Atom& other) const { return compare(other) == 0; }
    bool operator<(const Atom& other) const { return compare(other) < 0; }
    int compare(const Atom& other) const;

private:
    std::variant<int64_t, double, bool, std::shared_ptr<const std::string>, Uuid> value_;
};

class Datum {
public:
    using Pair = std::pair<Atom, Atom>;

    Datum() = default;  ///< the empty set
    Datum(Atom atom) { atoms_.push_back(std::move(atom)); }
    /// Sorts and removes duplicates.
    static Datum set(std::vector<Atom> atoms);
    /// Sorts; of equal keys the last wins.
    static Datum map(std::vector<Pair> pairs);
    static Datum string_map(std::initializer_list<std::pair<std::string_view, std::string_view>> l);

    bool is_map() const { return is_map_; }
    /// Elements of the set, or pairs of the map.
    size_t size() const { return is_map_ ? atoms_.size() / 2 : atoms_.size(); }
    bool empty() const { return atoms_.empty(); }
    /// Element or key `i` / value `i` of a map.
    const Atom& key(size_t i) const { return atoms_[is_map_ ? 2 * i : i]; }
    const Atom& value(size_t i) const { return atoms_[2 * i + 1]; }

    // Scalars and optional scalars: the first element, or the default.
    int64_t integer(int64_t otherwise = 0) const { return empty() ? otherwise : key(0).integer(); }
    double real(double otherwise = 0) const { return empty() ? otherwise : key(0).real(); }
    bool boolean(bool otherwise = false) const { return empty() ? otherwise : key(0).boolean(); }
    const std::string& string() const;
    Uuid uuid() const { return empty() ? Uuid{} : key(0).uuid(); }

    /// Set membership, or presence of a map key.
    bool contains(const Atom& atom) const { return find(atom) != nullptr; }
    /// Value of a map with string keys and values; nullptr when absent.
    const std::string* get(std::string_view map_key) const;
    /// Value of any map; nullptr when absent.
    const Atom* find_value(const Atom& map_key) const;

    bool operator==(const Datum& other) const = default;

    /// From the wire, checked against `type`.
    static Result<Datum> from_json(json::Value value, const ColumnType& type);
    void write(json::Writer& writer) const;
    /// The wire form as text, for messages and tests.
    std::string to_string() const;
    /// What a column holds that was never set: 0, "", all-zero UUID; empty where it may be.
    static Datum default_of(const ColumnType& type);
    /// This value with a difference of update2 or of a database file applied (ovsdb-server(7)):
    /// scalars are replaced, of sets and maps the difference is symmetric.
    Datum with_diff(const Datum& diff, const ColumnType& type) const;

private:
    const Atom* find(const Atom& atom) const;

    std::vector<Atom> atoms_;  ///< sorted; a map's are key, value, key, value, ...
    bool is_map_ = false;
};

/// Builds a set of strings or UUIDs in one line.
Datum string_set(const std::vector<std::string>& strings);
Datum uuid_set(const std::vector<Uuid>& uuids);

}  // namespace sluice::ovsdb
