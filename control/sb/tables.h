// SPDX-License-Identifier: Apache-2.0
// Which Southbound tables and columns are read, and how a replica's row becomes a typed one.
//
// The enumerators are the indices of the specs; decode() is the only code that knows the order of
// a table's columns.
#pragma once

#include <vector>

#include "control/ovsdb/replica.h"
#include "control/sb/rows.h"

namespace sluice::sb {

enum Table : uint32_t {
    kSbGlobal,
    kChassis,
    kChassisPrivate,
    kEncap,
    kDatapathBinding,
    kPortBinding,
    kMulticastGroup,
    kLogicalFlow,
    kDpGroup,
    kAddressSet,
    kPortGroup,
    kMacBinding,
    kStaticMacBinding,
    kFdb,
    kHaChassisGroup,
    kHaChassis,
    kGatewayChassis,
    kTemplateVar,
    kLoadBalancer,
    kMeter,
    kMeterBand,
    kMirror,
    kDhcpOptions,
    kDhcp6Options,
    kDns,
    kIpMulticast,
    kIgmpGroup,
    kServiceMonitor,
    kControllerEvent,
    kBfd,
    kTableCount,
};

std::vector<ovsdb::TableSpec> table_specs();

void decode(const ovsdb::Row& row, SbGlobal* out);
void decode(const ovsdb::Row& row, Chassis* out);
void decode(const ovsdb::Row& row, ChassisPrivate* out);
void decode(const ovsdb::Row& row, Encap* out);
void decode(const ovsdb::Row& row, DatapathBinding* out);
void decode(const ovsdb::Row& row, PortBinding* out);
void decode(const ovsdb::Row& row, MulticastGroup* out);
void decode(const ovsdb::Row& row, LogicalFlow* out);
void decode(const ovsdb::Row& row, DpGroup* out);
void decode(const ovsdb::Row& row, AddressSet* out);
void decode(const ovsdb::Row& row, PortGroup* out);
void decode(const ovsdb::Row& row, MacBinding* out);
void decode(const ovsdb::Row& row, StaticMacBinding* out);
void decode(const ovsdb::Row& row, Fdb* out);
void decode(const ovsdb::Row& row, HaChassisGroup* out);
void decode(const ovsdb::Row& row, HaChassis* out);
void decode(const ovsdb::Row& row, GatewayChassis* out);
void decode(const ovsdb::Row& row, TemplateVar* out);
void decode(const ovsdb::Row& row, LoadBalancer* out);
void decode(const ovsdb::Row& row, Meter* out);
void decode(const ovsdb::Row& row, MeterBand* out);
void decode(const ovsdb::Row& row, MirrorRow* out);
void decode(const ovsdb::Row& row, DhcpOption* out);
void decode(const ovsdb::Row& row, Dns* out);
void decode(const ovsdb::Row& row, IpMulticast* out);
void decode(const ovsdb::Row& row, IgmpGroup* out);
void decode(const ovsdb::Row& row, ServiceMonitor* out);
void decode(const ovsdb::Row& row, ControllerEvent* out);
void decode(const ovsdb::Row& row, Bfd* out);

}  // namespace sluice::sb
