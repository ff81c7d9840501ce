// SPDX-License-Identifier: Apache-2.0
// JSON: a thin seam over simdjson, so that its headers stay in one .cc.
//
// Document::parse() checks the whole text and turns it into a flat list of 16-byte nodes, in
// order of appearance; strings without escapes stay in the text (which the document owns), the
// others are unescaped to the side. Values are cursors into the document: copy them freely, keep
// the Document (or a copy of it: it is shared) as long as any is in use.
//
// Why on-demand and own nodes instead of simdjson's DOM: on a monitor reply of 43.7 MB both take
// 77 ms and about 100 MB beside the text, but these values live without the parser, take half
// the handle, and tell strings that need no copy. The price is bounded: 16 bytes a node, so never
// more than 8 times the text (a text of nothing but digits and commas), 1.5 times as measured.
//
// Numbers: an integer that fits int64_t is kInteger; all others are kReal. Objects keep their
// order; of members with the same name find() gives the first. Depth is limited (kMaxDepth).
//
// Threads: documents are immutable and may be read from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace sluice::json {

enum class Type : uint8_t { kNull, kBool, kInteger, kReal, kString, kArray, kObject };
const char* to_string(Type type);

inline constexpr unsigned kMaxDepth = 256;

struct Node {
    Type type;
    uint32_t count;  ///< elements, members, or bytes of a string
    union {
        int64_t integer;
        double real;
        bool boolean;
        const char* text;
        uint64_t skip;  ///< containers: nodes to the one after the last child
    };
};

class Array;
class Object;

/// A cursor. A default-made one is null. Every accessor is total: of another type it gives the
/// default, so shape errors are found by asking type() where it matters.
class Value {
public:
    Value() = default;
    explicit Value(const Node* node) : node_(node) {}

    Type type() const { return node_ == nullptr ? Type::kNull : node_->type; }
    bool is_null() const { return type() == Type::kNull; }
    bool is_string() const { return type() == Type::kString; }
    bool is_array() const { return type() == Type::kArray; }
    bool is_object() const { return type() == Type::kObject; }
    bool is_number() const { return type() == Type::kInteger || type() == Type::kReal; }

    bool boolean(bool otherwise = false) const;
    int64_t integer(int64_t otherwise = 0) const;  ///< a real without fraction too
    double real(double otherwise = 0) const;       ///< an integer too
    std::string_view string(std::string_view otherwise = {}) const;
    std::string str() const { return std::string(string()); }

    /// Elements of an array or members of an object; 0 for the rest.
    size_t size() const;
    /// Ranges; empty for other types.
    Array array() const;
    Object object() const;
    /// Element `i` (linear); null when there is none.
    Value at(size_t i) const;
    /// Member `name` (linear); null when there is none. has() tells null from absent.
    Value find(std::string_view name) const;
    bool has(std::string_view name) const;

    /// The value as JSON text.
    std::string to_string() const;

private:
    const Node* node_ = nullptr;
};

/// for (Value v : value.array())
class Array {
public:
    class Iterator {
    public:
        explicit Iterator(const Node* node) : node_(node) {}
        Value operator*() const { return Value(node_); }
        Iterator& operator++();
        bool operator!=(const Iterator& other) const { return node_ != other.node_; }

    private:
        const Node* node_;
    };
    Array(const Node* first, const Node* last) : first_(first), last_(last) {}
    Iterator begin() const { return Iterator(first_); }
    Iterator end() const { return Iterator(last_); }

private:
    const Node* first_;
    const Node* last_;
};

struct Member {
    std::string_view name;
    Value value;
};

/// for (auto [name, v] : value.object())
class Object {
public:
    class Iterator {
    public:
        explicit Iterator(const Node* node) : node_(node) {}
        Member operator*() const {
            return {std::string_view(node_->text, node_->count), Value(node_ + 1)};
        }
        Iterator& operator++();
        bool operator!=(const Iterator& other) const { return node_ != other.node_; }

    private:
        const Node* node_;  ///< the name; the value follows
    };
    Object(const Node* first, const Node* last) : first_(first), last_(last) {}
    Iterator begin() const { return Iterator(first_); }
    Iterator end() const { return Iterator(last_); }

private:
    const Node* first_;
    const Node* last_;
};

class Document {
public:
    Document() = default;  ///< null
    /// Parses exactly one value. The error tells line, column and byte offset. Give the text away
    /// (std::move) with kPadding bytes of spare capacity and nothing is copied.
    static Result<Document> parse(std::string text);

    Value root() const;
    /// Bytes held, text included.
    size_t memory() const;

    static constexpr size_t kPadding = 64;

private:
    struct Storage;
    explicit Document(std::shared_ptr<const Storage> storage) : storage_(std::move(storage)) {}
    std::shared_ptr<const Storage> storage_;
};

}  // namespace sluice::json
