// SPDX-License-Identifier: Apache-2.0
// Equality of operands, positions and spelling (decimal or hex) ignored: what equal() is made of.
#pragma once

#include <optional>
#include <vector>

#include "control/compile/ast.h"

namespace sluice::lang {

bool same(const Integer& a, const Integer& b);
bool same(const String& a, const String& b);
bool same(const AddressSetName& a, const AddressSetName& b);
bool same(const PortGroupName& a, const PortGroupName& b);
bool same(const TemplateName& a, const TemplateName& b);
bool same(const Constant& a, const Constant& b);
bool same(const ConstantSet& a, const ConstantSet& b);
bool same(const FieldUse& a, const FieldUse& b);

template <typename T>
bool same_list(const std::vector<T>& a, const std::vector<T>& b) {
    if (a.size() != b.size()) {
        return false;
    }
    for (size_t i = 0; i < a.size(); ++i) {
        if (!same(a[i], b[i])) {
            return false;
        }
    }
    return true;
}

}  // namespace sluice::lang
