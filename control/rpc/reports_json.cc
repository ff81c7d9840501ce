// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "control/rpc/report_fields.h"
#include "control/rpc/reports.h"
#include "lib/json/json.h"
#include "lib/json/writer.h"

namespace sluice::rpc {
namespace {

class Write {
public:
    template <typename T>
    void operator()(const char* name, const T& member) {
        writer_.member(name);
        put(member);
    }
    template <typename T>
    std::string report(const T& report) {
        object(report);
        return writer_.take();
    }

private:
    template <typename T>
    void put(const std::vector<T>& list) {
        writer_.begin_array();
        for (const T& item : list) {
            put(item);
        }
        writer_.end_array();
    }
    template <typename T>
    void put(const T& item) {
        if constexpr (std::is_class_v<T> && !std::is_same_v<T, std::string>) {
            object(item);
        } else {
            writer_.value(item);
        }
    }
    template <typename T>
    void object(const T& item) {
        writer_.begin_object();
        fields(*this, item);
        writer_.end_object();
    }

    json::Writer writer_;
};

class Read {
public:
    template <typename T>
    void operator()(const char* name, T& member) {
        if (value_.has(name)) {
            const std::string outer = path_;
            path_ += path_.empty() ? name : std::string(".") + name;
            get(value_.find(name), member);
            path_ = outer;
        }
    }
    template <typename T>
    Result<void> report(std::string_view text, T* report) {
        const Result<json::Document> document = json::Document::parse(std::string(text));
        if (!document) {
            return document.error();
        }
        get(document->root(), *report);
        return problem_.empty() ? Result<void>() : Result<void>(Error{problem_});
    }

private:
    void expect(bool right, json::Value value, const char* what) {
        if (!right && problem_.empty()) {
            problem_ = fmt::format("{}: expected {}, found {}", path_.empty() ? "report" : path_,
                                   what, json::to_string(value.type()));
        }
    }
    void get(json::Value value, std::string& out) {
        expect(value.is_string(), value, "a string");
        out = value.str();
    }
    void get(json::Value value, bool& out) {
        expect(value.type() == json::Type::kBool, value, "true or false");
        out = value.boolean();
    }
    void get(json::Value value, double& out) {
        expect(value.is_number(), value, "a number");
        out = value.real();
    }
    void get(json::Value value, int64_t& out) {
        expect(value.is_number(), value, "a number");
        out = value.integer();
    }
    void get(json::Value value, uint64_t& out) {
        expect(value.is_number(), value, "a number");
        out = static_cast<uint64_t>(value.integer());
    }
    template <typename T>
    void get(json::Value value, std::vector<T>& out) {
        expect(value.is_array(), value, "an array");
        const std::string outer = path_;
        for (const json::Value item : value.array()) {
            path_ = fmt::format("{}[{}]", outer, out.size());
            get(item, out.emplace_back());
        }
        path_ = outer;
    }
    template <typename T>
    void get(json::Value value, T& out) {
        expect(value.is_object(), value, "an object");
        const json::Value outer = value_;
        value_ = value;
        fields(*this, out);
        value_ = outer;
    }

    json::Value value_;
    std::string path_;
    std::string problem_;
};

}  // namespace

#define SLUICE_REPORT_JSON(Type)                                       \
    std::string to_json(const Type& report) {                          \
        return Write().report(report);                                 \
    }                                                                  \
    Result<void> from_json(std::string_view json_text, Type* report) { \
        return Read().report(json_text, report);                       \
    }
SLUICE_REPORT_JSON(StatusReport)
SLUICE_REPORT_JSON(PortReport)
SLUICE_REPORT_JSON(TunnelReport)
SLUICE_REPORT_JSON(MirrorReport)
SLUICE_REPORT_JSON(DatapathReport)
SLUICE_REPORT_JSON(FlowReport)
SLUICE_REPORT_JSON(DropReport)
SLUICE_REPORT_JSON(CacheReport)
SLUICE_REPORT_JSON(CounterReport)
SLUICE_REPORT_JSON(ConntrackReport)
SLUICE_REPORT_JSON(ConntrackStatsReport)
SLUICE_REPORT_JSON(ZoneReport)
SLUICE_REPORT_JSON(BondsReport)
#undef SLUICE_REPORT_JSON

}  // namespace sluice::rpc
