// SPDX-License-Identifier: Apache-2.0
// Matches that name things, normalised but for the names.
//
// Most matches with names have the form `rest && inport == @pg && ip4.src == $as`: a conjunction in
// which names stand alone. The rest is brought into rows once; for each datapath (and each change
// of a name) only the sets are put in. That is exact when no condition of the rest is about bits
// that a name's set is about; every other match has no template and is normalised from the start.
#pragma once

#include <memory>
#include <vector>

#include "control/compile/ast.h"
#include "control/compile/bind.h"
#include "control/compile/ir.h"

namespace sluice::compile {

class PortsHere;

struct RowTemplate {
    struct Hole {
        FieldRef slice;
        lang::Compare names;  ///< `==`, to be looked up
    };
    std::vector<Row> rest;
    std::vector<Hole> holes;
    std::vector<lang::IsResident> residents;
};

/// Null when `raw` has another form.
std::unique_ptr<const RowTemplate> make_template(const lang::Expr& raw, Binder* binder);
/// What normalize() of the same match means, if not always in the same rows. With `here`, port
/// conditions are limited to it. *is_elsewhere: no packet of this chassis can match, whatever is in
/// the address sets.
lang::Parsed<std::vector<Row>> fill_template(const RowTemplate& form, Binder* binder,
                                             PortsHere* here, bool* is_elsewhere);

}  // namespace sluice::compile
