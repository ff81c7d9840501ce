// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/compile/language_corpus.h"

#include <zlib.h>

#include <algorithm>

#include "lib/base/check.h"
#include "lib/json/json.h"

namespace sluice::lang {

namespace {

bool is_raw_term(const Expr& expr, bool in_and, bool in_or) {
    const std::vector<Expr>* terms = nullptr;
    const bool all = std::holds_alternative<And>(expr.node);
    if (const auto* compare = std::get_if<Compare>(&expr.node)) {
        return compare->field.symbol->kind != SymbolKind::kPredicate && !compare->implicit;
    }
    if (std::holds_alternative<IsResident>(expr.node)) {
        return true;
    }
    if (all && !in_and) {
        terms = &std::get<And>(expr.node).terms;
    } else if (std::holds_alternative<Or>(expr.node) && !in_or) {
        terms = &std::get<Or>(expr.node).terms;
    }
    return terms != nullptr && terms->size() >= 2 &&
           std::all_of(terms->begin(), terms->end(),
                       [all](const Expr& term) { return is_raw_term(term, all, !all); });
}

}  // namespace

bool is_raw(const Expr& expr) {
    return std::holds_alternative<Bool>(expr.node) || is_raw_term(expr, false, false);
}

std::vector<CorpusFlow> load_corpus(const std::string& version) {
    const std::string path = std::string(SLUICE_TEST_DATA) + "/lflows_" + version + ".jsonl.gz";
    gzFile file = gzopen(path.c_str(), "rb");
    SLUICE_CHECK(file != nullptr);
    std::string text;
    char buffer[65536];
    for (int got; (got = gzread(file, buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<size_t>(got));
    }
    gzclose(file);
    std::vector<CorpusFlow> flows;
    for (size_t start = 0; start < text.size();) {
        const size_t end = text.find('\n', start);
        auto line = json::Document::parse(text.substr(start, end - start));
        SLUICE_CHECK(line.ok());
        const json::Value row = line->root();
        flows.push_back({row.at(0).string() == "ingress" ? Pipeline::kIngress : Pipeline::kEgress,
                         static_cast<unsigned>(row.at(1).integer()), row.at(2).str(),
                         row.at(3).str()});
        start = end + 1;
    }
    return flows;
}

}  // namespace sluice::lang
