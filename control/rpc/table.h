// SPDX-License-Identifier: Apache-2.0
// TextTable: aligned columns for people.
//
// Titles are bold and cells coloured only when asked. Widths count UTF-8 characters, and control
// characters (names come from a database) are shown as '?', so that no cell can move the cursor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::rpc {

enum class Align : uint8_t { kLeft, kRight };
enum class Colour : uint8_t { kNone, kGood, kWarn, kBad, kDim };

struct Cell {
    Cell(std::string cell_text, Colour cell_colour = Colour::kNone)
        : text(std::move(cell_text)), colour(cell_colour) {}
    Cell(const char* cell_text) : text(cell_text) {}
    std::string text;
    Colour colour = Colour::kNone;
};

struct Column {
    std::string title;
    Align align = Align::kLeft;
};

class TextTable {
public:
    TextTable(std::vector<Column> columns, bool colour, unsigned indent = 0)
        : columns_(std::move(columns)), colour_(colour), indent_(indent) {}
    /// One cell per column; an empty one is shown as '-'.
    void row(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.empty(); }
    /// Titles and rows, each line without spaces at its end.
    std::string text() const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
    bool colour_;
    unsigned indent_;
};

/// `text` without control characters and, if `on`, in colour.
std::string paint(std::string_view text, Colour colour, bool on);
std::string bold(std::string_view text, bool on);
/// 999 B, 1.5 kB, 23 MB, ... (powers of 1000).
std::string bytes_text(uint64_t bytes);
/// 3d 04h, 1h 02m, 2m 03s, 5s.
std::string duration_text(int64_t seconds);
/// Part of a whole: "12.5%", "-" of nothing.
std::string percent_text(uint64_t part, uint64_t whole);

}  // namespace sluice::rpc
