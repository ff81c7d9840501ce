// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <type_traits>

#include "control/compile/compile_parse.h"

namespace sluice::compile {

namespace {

class Collector {
public:
    References take() {
        for (auto* list : {&out_.address_sets, &out_.port_groups, &out_.ports, &out_.resident_ports,
                           &out_.template_vars}) {
            std::sort(list->begin(), list->end());
            list->erase(std::unique(list->begin(), list->end()), list->end());
        }
        return std::move(out_);
    }

    void expr(const lang::Expr& e) {
        std::visit([&](const auto& node) { visit(node); }, e.node);
    }
    void actions(const lang::ActionList& list) {
        for (const lang::Action& action : list.actions) {
            std::visit([&](const auto& node) { act(node); }, action.node);
        }
    }

private:
    void visit(const lang::Bool&) {}
    void visit(const lang::Compare& node) {
        for (const lang::Constant& constant : node.set.values) {
            name(constant);
        }
    }
    void visit(const lang::IsResident& node) { out_.resident_ports.push_back(node.port.text); }
    template <typename T>
    requires requires(const T& t) { t.terms; }
    void visit(const T& node) {
        for (const lang::Expr& term : node.terms) {
            expr(term);
        }
    }
    void name(const lang::Constant& constant) {
        if (const auto* set = std::get_if<lang::AddressSetName>(&constant)) {
            out_.address_sets.push_back(set->name);
        } else if (const auto* group = std::get_if<lang::PortGroupName>(&constant)) {
            out_.port_groups.push_back(group->name);
        } else if (const auto* port = std::get_if<lang::String>(&constant)) {
            out_.ports.push_back(port->text);
        } else if (const auto* variable = std::get_if<lang::TemplateName>(&constant)) {
            out_.template_vars.push_back(variable->name);
        }
    }
    template <typename T>
    void act(const T& node) {
        if constexpr (std::is_same_v<T, lang::Load>) {
            name(node.value);
        } else if constexpr (std::is_base_of_v<lang::Block, T>) {
            actions(node.body);
        }
    }

    References out_;
};

}  // namespace

References find_references(const lang::Expr* match, const lang::ActionList* actions) {
    Collector collector;
    if (match != nullptr) {
        collector.expr(*match);
    }
    if (actions != nullptr) {
        collector.actions(*actions);
    }
    return collector.take();
}

}  // namespace sluice::compile
