// SPDX-License-Identifier: Apache-2.0
#include "control/slowpath/services/dns.h"

#include <algorithm>
#include <cctype>

#include "control/slowpath/services/names.h"

namespace sluice::services {
namespace {

using namespace wire;

constexpr size_t kHeaderLen = 12;
constexpr size_t kFlags = 2;
constexpr size_t kQuestions = 4;
constexpr size_t kAnswers = 6;
constexpr size_t kAdditional = 10;
constexpr uint8_t kIsResponse = 0x80;
constexpr uint16_t kClassIn = 1;
enum : uint16_t { kA = 1, kPtr = 12, kAaaa = 28, kAny = 255 };

struct Question {
    std::string name;  ///< lower case
    Bytes labels;      ///< as asked, with the root
    uint16_t type = 0;
    size_t length = 0;  ///< labels, type and class
};

std::optional<Question> parse_question(Bytes data) {
    Question out;
    size_t at = 0;
    while (at < data.size() && data[at] != 0) {
        const size_t label = data[at++];
        if (label > data.size() - at) {
            return std::nullopt;
        }
        out.name += out.name.empty() ? "" : ".";
        for (size_t i = 0; i < label; ++i) {
            out.name += static_cast<char>(std::tolower(data[at + i]));
        }
        at += label;
    }
    if (data.size() < at + 5) {
        return std::nullopt;
    }
    out.labels = data.first(at + 1);
    out.type = load16(data, at + 1);
    out.length = at + 5;
    return out;
}

/// The record and its zone.
std::pair<const std::string*, const DnsZone*> find_record(
    const std::vector<std::shared_ptr<const DnsZone>>& zones, const std::string& name) {
    for (const auto& zone : zones) {
        if (const auto found = zone->records.find(name); found != zone->records.end()) {
            return {&found->second, zone.get()};
        }
    }
    return {nullptr, nullptr};
}

void put_record(Bytes labels, uint16_t type, uint32_t ttl, Bytes data, Writer* out) {
    out->bytes(labels).u16(type).u16(kClassIn).u32(ttl);
    out->u16(static_cast<uint16_t>(data.size())).bytes(data);
}

// How many records were put.
uint16_t put_records(const Question& question, const std::string& record, uint32_t ttl,
                     Writer* out) {
    if (question.type == kPtr) {
        auto name = encode_name(record);
        if (name) {
            name->resize(std::max(name->size(), record.size() + 2));  // as long as OVN makes it
            put_record(question.labels, kPtr, ttl, *name, out);
        }
        return name ? 1 : 0;
    }
    const DnsAddresses addresses = parse_dns_addresses(record);
    uint16_t count = 0;
    if (question.type == kA || question.type == kAny) {
        for (const Ip4& ip : addresses.v4) {
            uint8_t bytes[4];
            put32(bytes, ip.value);
            put_record(question.labels, kA, ttl, bytes, out);
            ++count;
        }
    }
    if (question.type == kAaaa || question.type == kAny) {
        for (const Ip6& ip : addresses.v6) {
            put_record(question.labels, kAaaa, ttl, ip.bytes, out);
            ++count;
        }
    }
    return count;
}

bool is_query(Bytes dns, bool modern) {
    return (dns[kFlags] & kIsResponse) == 0 && load16(dns, kQuestions) != 0 &&
           (modern || load16(dns, kAdditional) == 0);
}

}  // namespace

DnsAddresses parse_dns_addresses(std::string_view text) {
    DnsAddresses out;
    for (const std::string& word : split(text, ' ')) {
        // What comes first of "10.0.0.1,10.0.0.2" counts, as in the reference.
        const std::string first = word.substr(0, word.find(','));
        if (const auto ip4 = parse_ip4_prefix(first)) {
            out.v4.push_back(ip4->address);
        } else if (const auto ip6 = parse_ip6_prefix(first)) {
            out.v6.push_back(ip6->address);
        } else {
            break;
        }
        if (first.size() != word.size()) {
            break;
        }
    }
    return out;
}

Answer answer_dns(Bytes query, const std::vector<std::shared_ptr<const DnsZone>>& zones,
                  bool modern) {
    const auto at = find_udp(query);
    if (!at || at->end - at->transport < kUdpLen + kHeaderLen) {
        return Answer::refused(Refusal::kMalformed, "too short for DNS");
    }
    const Bytes dns = udp_payload(query, *at);
    if (!is_query(dns, modern)) {
        return Answer::refused(Refusal::kNotForUs, "no query that is answered");
    }
    const size_t udp_length = load16(query, at->transport + 4);
    const size_t there = std::min(udp_length, at->end - at->transport);
    if (there < kUdpLen + kHeaderLen) {
        return Answer::refused(Refusal::kMalformed, "bad UDP length");
    }
    const auto question = parse_question(dns.subspan(kHeaderLen, there - kUdpLen - kHeaderLen));
    if (!question) {
        return Answer::refused(Refusal::kMalformed, "no question");
    }
    const uint16_t type = question->type;
    if (type != kA && type != kAaaa && type != kAny && type != kPtr) {
        return Answer::refused(Refusal::kNotForUs, "type not answered");
    }
    const auto [record, zone] = find_record(zones, question->name);
    if (!record) {
        return Answer::refused(Refusal::kNotForUs, "name not known");
    }
    const size_t kept = modern ? kHeaderLen + question->length : dns.size();
    Writer out = start_answer(query, *at, kUdpLen + kept);
    const size_t before = out.size();
    const uint16_t count = put_records(*question, *record, zone->ttl, &out);
    const bool is_no_data = modern && zone->owned && (type == kA || type == kAaaa);
    if (count == 0 && !is_no_data) {
        return Answer::refused(Refusal::kNotForUs, "no address of this family");
    }
    // A UDP length beyond the packet stays beyond it: the answer to a lie is dropped further on.
    const size_t length = (modern ? kUdpLen + kept : udp_length) + out.size() - before;
    std::vector<uint8_t> frame = out.take();
    uint8_t* answer = frame.data() + at->transport + kUdpLen;
    answer[kFlags] |= kIsResponse;
    put16(answer + kAnswers, count);
    put16(answer + kAdditional, 0);
    finish_udp(&frame, *at, length);
    return {Refusal::kNone, std::move(frame), "DNS answer"};
}

}  // namespace sluice::services
