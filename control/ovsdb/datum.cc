// SPDX-License-Identifier: Apache-2.0
#include "control/ovsdb/datum.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "control/ovsdb/schema.h"
#include "lib/json/json.h"
#include "lib/json/writer.h"

namespace sluice::ovsdb {

namespace {

const std::shared_ptr<const std::string>& shared_empty() {
    static const auto empty = std::make_shared<const std::string>();
    return empty;
}

std::shared_ptr<const std::string> share(std::string text) {
    return text.empty() ? shared_empty() : std::make_shared<const std::string>(std::move(text));
}

/// Strings off the wire: few are said over and over ("ingress", names of stages, keys of maps), so
/// those of late are one object.
std::shared_ptr<const std::string> recent(std::string_view text) {
    constexpr size_t kLongest = 40;
    if (text.empty() || text.size() > kLongest) {
        return share(std::string(text));
    }
    static thread_local std::array<std::shared_ptr<const std::string>, 1024> known;
    auto& place = known[std::hash<std::string_view>()(text) % known.size()];
    if (!place || *place != text) {
        place = std::make_shared<const std::string>(text);
    }
    return place;
}

Error mismatch(json::Value value, const char* expected) {
    std::string text = value.to_string();
    if (text.size() > 80) {
        text = text.substr(0, 80) + "...";
    }
    return Error{"expected " + std::string(expected) + ", got " + text};
}

Result<Atom> atom_from_json(json::Value value, AtomType type) {
    switch (type) {
    case AtomType::kInteger:
        if (value.is_number() && std::trunc(value.real()) == value.real()) {
            return Atom(value.integer());
        }
        return mismatch(value, "an integer");
    case AtomType::kReal:
        return value.is_number() ? Result<Atom>(Atom(value.real())) : mismatch(value, "a real");
    case AtomType::kBoolean:
        if (value.type() == json::Type::kBool) {
            return Atom(value.boolean());
        }
        return mismatch(value, "a boolean");
    case AtomType::kString:
        return value.is_string() ? Result<Atom>(Atom(recent(value.string())))
                                 : mismatch(value, "a string");
    case AtomType::kUuid: {
        const bool tagged = value.size() == 2 && value.at(0).string() == "uuid";
        const auto uuid = tagged ? parse_uuid(value.at(1).string()) : std::nullopt;
        return uuid ? Result<Atom>(Atom(*uuid)) : mismatch(value, "[\"uuid\", ...]");
    }
    case AtomType::kVoid: break;
    }
    return mismatch(value, "nothing");
}

void write_atom(json::Writer& writer, const Atom& atom) {
    switch (atom.type()) {
    case AtomType::kInteger: writer.value(atom.integer()); break;
    case AtomType::kReal: writer.value(atom.real()); break;
    case AtomType::kBoolean: writer.value(atom.boolean()); break;
    case AtomType::kString: writer.value(atom.string()); break;
    case AtomType::kUuid:
        writer.begin_array().value("uuid").value(to_string(atom.uuid())).end_array();
        break;
    case AtomType::kVoid: writer.null(); break;
    }
}

Atom default_atom(AtomType type) {
    switch (type) {
    case AtomType::kReal: return Atom(0.0);
    case AtomType::kBoolean: return Atom(false);
    case AtomType::kString: return Atom(std::string());
    case AtomType::kUuid: return Atom(Uuid{});
    default: return Atom(int64_t{0});
    }
}

}  // namespace

Atom::Atom(std::string value) : value_(share(std::move(value))) {}

int64_t Atom::integer() const {
    const auto* value = std::get_if<int64_t>(&value_);
    return value != nullptr ? *value : 0;
}

double Atom::real() const {
    const auto* value = std::get_if<double>(&value_);
    return value != nullptr ? *value : static_cast<double>(integer());
}

bool Atom::boolean() const {
    const auto* value = std::get_if<bool>(&value_);
    return value != nullptr && *value;
}

const std::string& Atom::string() const {
    const auto* value = std::get_if<std::shared_ptr<const std::string>>(&value_);
    return value != nullptr ? **value : *shared_empty();
}

std::shared_ptr<const std::string> Atom::shared_string() const {
    const auto* value = std::get_if<std::shared_ptr<const std::string>>(&value_);
    return value != nullptr ? *value : nullptr;
}

Uuid Atom::uuid() const {
    const auto* value = std::get_if<Uuid>(&value_);
    return value != nullptr ? *value : Uuid{};
}

int Atom::compare(const Atom& other) const {
    if (type() != other.type()) {
        return type() < other.type() ? -1 : 1;
    }
    const auto order = [](const auto& a, const auto& b) { return a < b ? -1 : (b < a ? 1 : 0); };
    switch (type()) {
    case AtomType::kInteger: return order(integer(), other.integer());
    case AtomType::kReal: return order(real(), other.real());
    case AtomType::kBoolean: return order(boolean(), other.boolean());
    case AtomType::kString: return string().compare(other.string());
    case AtomType::kUuid: return order(uuid(), other.uuid());
    case AtomType::kVoid: break;
    }
    return 0;
}

Datum Datum::set(std::vector<Atom> atoms) {
    std::sort(atoms.begin(), atoms.end());
    atoms.erase(std::unique(atoms.begin(), atoms.end()), atoms.end());
    Datum datum;
    datum.atoms_ = std::move(atoms);
    return datum;
}

Datum Datum::map(std::vector<Pair> pairs) {
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const Pair& a, const Pair& b) { return a.first < b.first; });
    Datum datum;
    datum.is_map_ = true;
    datum.atoms_.reserve(pairs.size() * 2);
    for (size_t i = 0; i < pairs.size(); ++i) {
        if (i + 1 < pairs.size() && pairs[i].first == pairs[i + 1].first) {
            continue;
        }
        datum.atoms_.push_back(std::move(pairs[i].first));
        datum.atoms_.push_back(std::move(pairs[i].second));
    }
    return datum;
}

Datum Datum::string_map(
    std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
    std::vector<Pair> out;
    for (const auto& [name, text] : pairs) {
        out.emplace_back(Atom(name), Atom(text));
    }
    return map(std::move(out));
}

const std::string& Datum::string() const {
    return empty() ? *shared_empty() : key(0).string();
}

const Atom* Datum::find(const Atom& atom) const {
    size_t low = 0;
    size_t high = size();
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = key(middle).compare(atom);
        if (order == 0) {
            return &key(middle);
        }
        (order < 0 ? low : high) = order < 0 ? middle + 1 : middle;
    }
    return nullptr;
}

const Atom* Datum::find_value(const Atom& map_key) const {
    const Atom* const found = is_map_ ? find(map_key) : nullptr;
    return found != nullptr ? found + 1 : nullptr;
}

const std::string* Datum::get(std::string_view map_key) const {
    if (!is_map_) {
        return nullptr;
    }
    size_t low = 0;
    size_t high = size();
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = std::string_view(key(middle).string()).compare(map_key);
        if (order == 0) {
            return key(middle).type() == AtomType::kString ? &value(middle).string() : nullptr;
        }
        (order < 0 ? low : high) = order < 0 ? middle + 1 : middle;
    }
    return nullptr;
}

Result<Datum> Datum::from_json(json::Value value, const ColumnType& type) {
    const bool tagged = value.size() == 2 && value.at(1).is_array();
    const std::string_view tag = tagged ? value.at(0).string() : std::string_view();
    if (type.is_map()) {
        if (tag != "map" && !(tag == "set" && value.at(1).size() == 0)) {
            return mismatch(value, "[\"map\", ...]");
        }
        std::vector<Pair> pairs;
        pairs.reserve(value.at(1).size());
        for (const json::Value pair : value.at(1).array()) {
            Result<Atom> first = atom_from_json(pair.at(0), type.key);
            Result<Atom> second = atom_from_json(pair.at(1), type.value);
            if (!first || !second || pair.size() != 2) {
                return !first ? first.error() : !second ? second.error() : mismatch(pair, "a pair");
            }
            pairs.emplace_back(std::move(first).value(), std::move(second).value());
        }
        return map(std::move(pairs));
    }
    std::vector<Atom> atoms;
    if (tag == "set") {
        atoms.reserve(value.at(1).size());
        for (const json::Value element : value.at(1).array()) {
            Result<Atom> atom = atom_from_json(element, type.key);
            if (!atom) {
                return atom.error();
            }
            atoms.push_back(std::move(atom).value());
        }
        return set(std::move(atoms));
    }
    Result<Atom> atom = atom_from_json(value, type.key);
    return atom ? Result<Datum>(Datum(std::move(atom).value())) : atom.error();
}

void Datum::write(json::Writer& writer) const {
    if (is_map_) {
        writer.begin_array().value("map").begin_array();
        for (size_t i = 0; i < size(); ++i) {
            writer.begin_array();
            write_atom(writer, key(i));
            write_atom(writer, value(i));
            writer.end_array();
        }
        writer.end_array().end_array();
        return;
    }
    if (atoms_.size() == 1) {
        write_atom(writer, atoms_[0]);
        return;
    }
    writer.begin_array().value("set").begin_array();
    for (const Atom& atom : atoms_) {
        write_atom(writer, atom);
    }
    writer.end_array().end_array();
}

std::string Datum::to_string() const {
    json::Writer writer;
    write(writer);
    return writer.take();
}

Datum Datum::default_of(const ColumnType& type) {
    if (type.is_map()) {
        return map({});
    }
    return type.min == 0 ? Datum() : Datum(default_atom(type.key));
}

Datum Datum::with_diff(const Datum& diff, const ColumnType& type) const {
    if (!type.is_composite()) {
        return diff;
    }
    Datum out;
    out.is_map_ = type.is_map();
    const size_t step = out.is_map_ ? 2 : 1;
    size_t i = 0;
    size_t j = 0;
    const auto take = [&](const Datum& from, size_t at) {
        out.atoms_.insert(out.atoms_.end(), from.atoms_.begin() + static_cast<ptrdiff_t>(at),
                          from.atoms_.begin() + static_cast<ptrdiff_t>(at + step));
    };
    while (i < atoms_.size() || j < diff.atoms_.size()) {
        const int order = i == atoms_.size()        ? 1
                          : j == diff.atoms_.size() ? -1
                                                    : atoms_[i].compare(diff.atoms_[j]);
        if (order < 0) {
            take(*this, i);
            i += step;
        } else if (order > 0) {
            take(diff, j);
            j += step;
        } else {
            // In both: gone, unless it is a map's key with another value, which replaces.
            if (out.is_map_ && !(atoms_[i + 1] == diff.atoms_[j + 1])) {
                take(diff, j);
            }
            i += step;
            j += step;
        }
    }
    return out;
}

Datum string_set(const std::vector<std::string>& strings) {
    return Datum::set(std::vector<Atom>(strings.begin(), strings.end()));
}

Datum uuid_set(const std::vector<Uuid>& uuids) {
    return Datum::set(std::vector<Atom>(uuids.begin(), uuids.end()));
}

}  // namespace sluice::ovsdb
