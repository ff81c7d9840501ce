// SPDX-License-Identifier: Apache-2.0
#include "control/compile/ast_equal.h"
#include "control/compile/expr.h"

namespace sluice::lang {

bool same(const Integer& a, const Integer& b) {
    return a.value == b.value && a.masked == b.masked && (!a.masked || a.mask == b.mask);
}
bool same(const String& a, const String& b) {
    return a.text == b.text;
}
bool same(const AddressSetName& a, const AddressSetName& b) {
    return a.name == b.name;
}
bool same(const PortGroupName& a, const PortGroupName& b) {
    return a.name == b.name;
}
bool same(const TemplateName& a, const TemplateName& b) {
    return a.name == b.name;
}

bool same(const Constant& a, const Constant& b) {
    return a.index() == b.index() &&
           std::visit(
               [&b](const auto& x) { return same(x, std::get<std::decay_t<decltype(x)>>(b)); }, a);
}

bool same(const ConstantSet& a, const ConstantSet& b) {
    return a.in_curlies == b.in_curlies && same_list(a.values, b.values);
}

bool same(const FieldUse& a, const FieldUse& b) {
    return a.symbol == b.symbol && a.ofs == b.ofs && a.width == b.width;
}

namespace {

bool same(const Bool& a, const Bool& b) {
    return a.value == b.value;
}
bool same(const Compare& a, const Compare& b) {
    return lang::same(a.field, b.field) && a.op == b.op && a.implicit == b.implicit &&
           lang::same(a.set, b.set);
}
bool same(const IsResident& a, const IsResident& b) {
    return a.port.text == b.port.text && a.negated == b.negated;
}
template <typename Junction>
bool same(const Junction& a, const Junction& b) {
    if (a.terms.size() != b.terms.size()) {
        return false;
    }
    for (size_t i = 0; i < a.terms.size(); ++i) {
        if (!equal(a.terms[i], b.terms[i])) {
            return false;
        }
    }
    return true;
}

}  // namespace

bool equal(const Expr& a, const Expr& b) {
    return a.node.index() == b.node.index() &&
           std::visit(
               [&b](const auto& x) { return same(x, std::get<std::decay_t<decltype(x)>>(b.node)); },
               a.node);
}

}  // namespace sluice::lang
