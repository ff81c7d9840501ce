// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::rpc {
namespace {

std::string printable(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        // U+0080 to U+009f, two bytes, are control characters too.
        const bool c1 = c == 0xc2 && i + 1 < text.size() &&
                        (static_cast<unsigned char>(text[i + 1]) & 0xe0) == 0x80;
        if (c1) {
            ++i;
        }
        out += c < 0x20 || c == 0x7f || c1 ? '?' : text[i];
    }
    return out;
}

size_t width(std::string_view text) {
    return static_cast<size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

const char* code(Colour colour) {
    switch (colour) {
    case Colour::kNone: return "";
    case Colour::kGood: return "\033[32m";
    case Colour::kWarn: return "\033[33m";
    case Colour::kBad: return "\033[31m";
    case Colour::kDim: return "\033[2m";
    }
    return "";
}

}  // namespace

std::string paint(std::string_view text, Colour colour, bool on) {
    const std::string clean = printable(text);
    return on && colour != Colour::kNone ? code(colour) + clean + "\033[0m" : clean;
}

std::string bold(std::string_view text, bool on) {
    return on ? "\033[1m" + printable(text) + "\033[0m" : printable(text);
}

std::string TextTable::text() const {
    std::vector<size_t> widths;
    for (const Column& column : columns_) {
        widths.push_back(width(column.title));
    }
    for (const auto& cells : rows_) {
        for (size_t i = 0; i < cells.size(); ++i) {
            widths[i] = std::max(widths[i], width(cells[i].text));
        }
    }
    std::string out;
    const auto put = [&](size_t i, const std::string& plain, const std::string& painted) {
        const size_t fill = widths[i] - width(plain);
        const bool last = i + 1 == columns_.size();
        out += columns_[i].align == Align::kRight ? std::string(fill, ' ') + painted
                                                  : painted + std::string(last ? 0 : fill, ' ');
        out += last ? "\n" : "  ";
    };
    out += std::string(indent_, ' ');
    for (size_t i = 0; i < columns_.size(); ++i) {
        put(i, columns_[i].title, bold(columns_[i].title, colour_));
    }
    for (const auto& cells : rows_) {
        out += std::string(indent_, ' ');
        for (size_t i = 0; i < cells.size(); ++i) {
            const std::string shown = cells[i].text.empty() ? "-" : printable(cells[i].text);
            put(i, shown, paint(shown, cells[i].colour, colour_));
        }
    }
    return out;
}

std::string bytes_text(uint64_t bytes) {
    static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
        value /= 1000;
        ++unit;
    }
    return unit > 0 && value < 9.95 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                                    : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string duration_text(int64_t seconds) {
    const int64_t minutes = seconds / 60;
    const int64_t hours = minutes / 60;
    if (hours >= 24) {
        return fmt::format("{}d {:02}h", hours / 24, hours % 24);
    }
    if (hours > 0) {
        return fmt::format("{}h {:02}m", hours, minutes % 60);
    }
    return minutes > 0 ? fmt::format("{}m {:02}s", minutes, seconds % 60)
                       : fmt::format("{}s", seconds);
}

std::string percent_text(uint64_t part, uint64_t whole) {
    return whole == 0 ? "-"
                      : fmt::format("{:.1f}%",
                                    100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace sluice::rpc
