// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "lib/json/json.h"
#include "lib/json/writer.h"

namespace sluice::json {

namespace {

const Node* after(const Node* node) {
    const bool container = node->type == Type::kArray || node->type == Type::kObject;
    return node + (container ? node->skip : 1);
}

}  // namespace

const char* to_string(Type type) {
    switch (type) {
    case Type::kNull: return "null";
    case Type::kBool: return "boolean";
    case Type::kInteger: return "integer";
    case Type::kReal: return "real";
    case Type::kString: return "string";
    case Type::kArray: return "array";
    case Type::kObject: return "object";
    }
    return "?";
}

Array::Iterator& Array::Iterator::operator++() {
    node_ = after(node_);
    return *this;
}

Object::Iterator& Object::Iterator::operator++() {
    node_ = after(node_ + 1);
    return *this;
}

bool Value::boolean(bool otherwise) const {
    return type() == Type::kBool ? node_->boolean : otherwise;
}

int64_t Value::integer(int64_t otherwise) const {
    if (type() == Type::kInteger) {
        return node_->integer;
    }
    // 2^63 is the first real that an int64_t cannot hold.
    if (type() == Type::kReal && std::trunc(node_->real) == node_->real &&
        std::fabs(node_->real) < 9223372036854775808.0) {
        return static_cast<int64_t>(node_->real);
    }
    return otherwise;
}

double Value::real(double otherwise) const {
    if (type() == Type::kReal) {
        return node_->real;
    }
    return type() == Type::kInteger ? static_cast<double>(node_->integer) : otherwise;
}

std::string_view Value::string(std::string_view otherwise) const {
    return is_string() ? std::string_view(node_->text, node_->count) : otherwise;
}

size_t Value::size() const {
    return is_array() || is_object() ? node_->count : 0;
}

Array Value::array() const {
    return is_array() ? Array(node_ + 1, node_ + node_->skip) : Array(nullptr, nullptr);
}

Object Value::object() const {
    return is_object() ? Object(node_ + 1, node_ + node_->skip) : Object(nullptr, nullptr);
}

Value Value::at(size_t i) const {
    for (const Value element : array()) {
        if (i-- == 0) {
            return element;
        }
    }
    return {};
}

Value Value::find(std::string_view name) const {
    for (const Member member : object()) {
        if (member.name == name) {
            return member.value;
        }
    }
    return {};
}

bool Value::has(std::string_view name) const {
    for (const Member member : object()) {
        if (member.name == name) {
            return true;
        }
    }
    return false;
}

std::string Value::to_string() const {
    Writer writer;
    writer.value(*this);
    return writer.take();
}

}  // namespace sluice::json
