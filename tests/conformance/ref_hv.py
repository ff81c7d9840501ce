#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reference hypervisor for differential tests: Open vSwitch and ovn-controller of this machine.

Runs, in a private temporary directory and without root, kernel modules or network access: * one
ovsdb-server holding OVN_Northbound + OVN_Southbound, one ovn-northd; * per chassis: ovsdb-
server (Open_vSwitch), ovs-vswitchd with dummy devices, ovn-controller; * a hub that plays the
physical network: it repeats frames between the uplinks of the chassis, records them, and can
inject frames of its own. Then injects packets one by one, attributes to each what came out of
every port, and prints JSON.

ref_hv.py run SPEC.json [-o OUT.json] [--keep] [--settle MS] ref_hv.py run --nb nb.txt --ifaces
vif1=lp1,vif2=lp2 --packets pkts.json -o OUT.json ref_hv.py compare A.json B.json [--any-order]
(exit 1 when they differ; tunnel noise is masked)

SPEC.json (all keys optional except interfaces, packets): chassis
[{"name":"hv1","encap_ip":"192.168.0.1","encap_type":"geneve", "bridge_mappings":"phys:br-
phys","mac":...,"prefix_len":24,"external_ids":{...}}] default: the first three keys as shown
remote [{"name":"hv2","ip":"192.168.0.2","mac":"02:00:00:00:00:02","encap":"geneve",
"ports":["lp3"]}] chassis that exist only in the SB; what is tunnelled to them shows up under
"wire" nb list of lines, each an ovn-nbctl command line ("ls-add ls0"); a line may start with
"sb " (ovn-sbctl), "vs[:CHASSIS] " (ovs-vsctl), "sync" (nbctl --wait=hv sync) or "#" interfaces
[{"name":"vif1","iface_id":"lp1","chassis":"hv1","mac":...}] or {"vif1":"lp1"}; "up":false for a
port that never gets up, as a localport packets [PORT, HEX] or [PORT, HEX, {"wait_ms":N}] or
{"nb":[lines]} or {"sleep_ms":N}; PORT is an interface name or "wire" (frame put on the physical
network); also {"answer": {"tcp":"SA","size":N,"error":"port","port":PORT}}: the receiver of the
last frame answers it (replies.py; all words optional); {"rows": [TABLE, COLUMN...],
"at_least":N, "until_ms":N}: rows of the SB, as output "sb:TABLE"; {"acl_log": true}: new lines
of the ACL log, as output "log:CHASSIS" has_bad_flows true if the hypervisor is meant to refuse
some flows; else that is an error flows logical flows in the place of northd's (flows.py)
barrier {"packet": [PORT, HEX]}: a packet that the controller
answers to the same port; what was sent before is done when the answer comes (faster than
waiting for silence); "wire": [PORT, HEX] in it is a packet that comes out at the wire, for
frames there; steer true: sluice tells what it chose by hash, for run --like OUT (choices.py)
compare, judged by compare.py: any_order, ignore, ignore_kinds, alternatives
OUT.json: {"startup": {PORT: [HEX...]}, "steps": [{"in": ..., "out": {PORT: [HEX...]}}...],
"timings_s": {...}}; under "wire" an output is [SENDER, HEX].
"""
import sys

import command_line
from hypervisor import Reference

if __name__ == '__main__':
    sys.exit(command_line.main(__doc__, Reference))
