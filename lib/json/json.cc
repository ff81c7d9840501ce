// SPDX-License-Identifier: Apache-2.0
#include "lib/json/json.h"

#define SIMDJSON_EXCEPTIONS 0  // results are asked, never converted

#include <emmintrin.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

#include "lib/json/locate.h"
#include "lib/json/writer.h"

namespace sluice::json {

static_assert(Document::kPadding >= simdjson::SIMDJSON_PADDING);
static_assert(sizeof(Node) == 16);

struct Document::Storage {
    std::string text;
    std::vector<Node> nodes;
    std::vector<std::unique_ptr<char[]>> unescaped;
    size_t unescaped_bytes = 0;
    size_t root = 0;

    static Result<Document> build(std::string text);
};

namespace {

namespace od = simdjson::ondemand;

constexpr size_t kKeepParserBelow = size_t{1} << 20;

// Text of the string whose opening quote is before `p`, if it has no escape: simdjson has found
// its end already and checked its bytes. The padding allows reading in blocks.
bool plain_string(const char* p, std::string_view* out) {
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    for (size_t length = 0;; length += 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + length));
        const auto quotes = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, quote)));
        const auto escapes =
            static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, backslash)));
        if ((quotes | escapes) == 0) {
            continue;
        }
        const int first = __builtin_ctz(quotes | escapes);
        *out = std::string_view(p, length + static_cast<size_t>(first));
        return (escapes >> first & 1) == 0;
    }
}

class Converter {
public:
    Converter(std::vector<Node>* nodes, std::vector<std::unique_ptr<char[]>>* unescaped,
              size_t chunk_bytes)
        : nodes_(*nodes), unescaped_(*unescaped), chunk_bytes_(chunk_bytes) {}

    // T: ondemand::document or ondemand::value
    template <typename T>
    bool convert(T& value, unsigned depth) {
        od::json_type type{};
        if (value.type().get(type)) {
            return false;
        }
        switch (type) {
        case od::json_type::object: return depth < kMaxDepth && object(value, depth);
        case od::json_type::array: return depth < kMaxDepth && array(value, depth);
        case od::json_type::string: return string(value);
        case od::json_type::number: return number(value);
        case od::json_type::boolean: {
            bool boolean = false;
            if (value.get_bool().get(boolean)) {
                return false;
            }
            push(Type::kBool)->boolean = boolean;
            return true;
        }
        case od::json_type::null: {
            bool null = false;
            push(Type::kNull);
            return !value.is_null().get(null) && null;
        }
        }
        return false;
    }

    size_t unescaped_bytes() const { return total_; }

private:
    Node* push(Type type) {
        Node& node = nodes_.emplace_back();
        node.type = type;
        node.count = 0;
        node.skip = 0;
        return &node;
    }

    void push_string(std::string_view text) {
        Node* const node = push(Type::kString);
        node->count = static_cast<uint32_t>(text.size());
        node->text = text.data();
    }

    std::string_view keep(std::string_view text) {
        if (left_ < text.size()) {
            left_ = std::max(chunk_bytes_, text.size());
            unescaped_.push_back(std::make_unique<char[]>(left_));
            next_ = unescaped_.back().get();
            total_ += left_;
        }
        std::memcpy(next_, text.data(), text.size());
        const std::string_view kept(next_, text.size());
        next_ += text.size();
        left_ -= text.size();
        return kept;
    }

    void close(size_t at, uint32_t count) {
        nodes_[at].count = count;
        nodes_[at].skip = nodes_.size() - at;
    }

    template <typename T>
    bool array(T& value, unsigned depth) {
        od::array array;
        if (value.get_array().get(array)) {
            return false;
        }
        const size_t at = nodes_.size();
        push(Type::kArray);
        uint32_t count = 0;
        for (auto item : array) {
            od::value element;
            // NOLINTNEXTLINE(performance-move-const-arg): get() wants an rvalue
            if (std::move(item).get(element) || !convert(element, depth + 1)) {
                return false;
            }
            ++count;
        }
        close(at, count);
        return true;
    }

    template <typename T>
    bool object(T& value, unsigned depth) {
        od::object object;
        if (value.get_object().get(object)) {
            return false;
        }
        const size_t at = nodes_.size();
        push(Type::kObject);
        uint32_t count = 0;
        for (auto item : object) {
            od::field field;
            if (std::move(item).get(field)) {
                return false;
            }
            std::string_view name;
            if (!plain_string(field.key().raw(), &name)) {
                if (field.unescaped_key().get(name)) {
                    return false;
                }
                name = keep(name);
            }
            push_string(name);
            if (!convert(field.value(), depth + 1)) {
                return false;
            }
            ++count;
        }
        close(at, count);
        return true;
    }

    template <typename T>
    bool string(T& value) {
        std::string_view token;
        if (simdjson::simdjson_result<std::string_view>(value.raw_json_token()).get(token)) {
            return false;
        }
        std::string_view text;
        if (plain_string(token.data() + 1, &text)) {
            od::raw_json_string consumed;
            if (value.get_raw_json_string().get(consumed)) {
                return false;
            }
            push_string(text);
            return true;
        }
        if (value.get_string().get(text)) {
            return false;
        }
        push_string(keep(text));
        return true;
    }

    template <typename T>
    bool number(T& value) {
        // Not get_number(): simdjson 3.0.1 reads reals of many digits as 0 with it.
        od::number_type type{};
        std::string_view token;
        double real = 0;
        if (value.get_number_type().get(type) ||
            simdjson::simdjson_result<std::string_view>(value.raw_json_token()).get(token) ||
            value.get_double().get(real)) {
            return false;
        }
        if (type == od::number_type::floating_point_number) {
            push(Type::kReal)->real = real;
            return true;
        }
        const char* const end = token.data() + token.size();
        int64_t integer = 0;
        if (std::from_chars(token.data(), end, integer).ec == std::errc{}) {
            push(Type::kInteger)->integer = integer;
            return true;
        }
        uint64_t large = 0;
        if (std::from_chars(token.data(), end, large).ec != std::errc{}) {
            return false;
        }
        push(Type::kReal)->real = static_cast<double>(large);
        return true;
    }

    std::vector<Node>& nodes_;
    std::vector<std::unique_ptr<char[]>>& unescaped_;
    size_t chunk_bytes_;
    char* next_ = nullptr;
    size_t left_ = 0;
    size_t total_ = 0;
};

Error describe(std::string_view text) {
    const Fault fault = locate_fault(text, kMaxDepth);
    if (fault.reason == nullptr) {
        return Error{"not JSON"};
    }
    const std::string_view before = text.substr(0, fault.offset);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
    return Error{"not JSON: " + std::string(fault.reason) + " at line " + std::to_string(line) +
                 ", column " + std::to_string(fault.offset - start + 1) + " (byte " +
                 std::to_string(fault.offset) + ")"};
}

bool parse_into(od::parser* parser, std::string_view text, Converter* converter) {
    od::document document;
    const simdjson::padded_string_view padded(text.data(), text.size(),
                                              text.size() + Document::kPadding);
    return !parser->iterate(padded).get(document) && converter->convert(document, 0) &&
           document.current_location().error() == simdjson::OUT_OF_BOUNDS;
}

}  // namespace

Result<Document> Document::Storage::build(std::string text) {
    if (text.size() >= UINT32_MAX - kPadding) {
        return Error{"not JSON: longer than 4 GiB"};
    }
    // simdjson 3.0.1 checks a scalar at the root loosely ("falsee" passes): as an array's only
    // element it is checked well.
    const size_t first = text.find_first_not_of(" \t\n\r");
    const bool scalar = first != text.npos && text[first] != '{' && text[first] != '[';
    auto storage = std::make_shared<Storage>();
    storage->text = scalar ? "[" + text + "]" : std::move(text);
    const size_t size = storage->text.size();
    // The parser reads past the end: the padding must exist, and be zero for sanitizers' sake.
    storage->text.resize(size + kPadding, '\0');
    const std::string_view view(storage->text.data(), size);
    storage->nodes.reserve(size / 8 + 4);
    Converter converter(&storage->nodes, &storage->unescaped,
                        std::clamp<size_t>(size / 8, 256, size_t{1} << 20));
    bool parsed = false;
    if (size <= kKeepParserBelow) {
        thread_local od::parser parser;
        parsed = parse_into(&parser, view, &converter);
    } else {
        od::parser parser;
        parsed = parse_into(&parser, view, &converter);
    }
    if (scalar && parsed) {
        parsed = storage->nodes[0].count == 1;
        storage->root = 1;
    }
    if (!parsed) {
        return describe(scalar ? view.substr(1, size - 2) : view);
    }
    storage->unescaped_bytes = converter.unescaped_bytes();
    return Document(std::shared_ptr<const Storage>(std::move(storage)));
}

Result<Document> Document::parse(std::string text) {
    return Storage::build(std::move(text));
}

Value Document::root() const {
    return storage_ == nullptr ? Value() : Value(storage_->nodes.data() + storage_->root);
}

size_t Document::memory() const {
    return storage_ == nullptr ? 0
                               : storage_->text.capacity() + storage_->unescaped_bytes +
                                     storage_->nodes.size() * sizeof(Node);
}

}  // namespace sluice::json
