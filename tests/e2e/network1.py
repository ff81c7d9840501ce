# SPDX-License-Identifier: Apache-2.0
"""The smallest real network: switch network1, vm1 on hypervisor hv1, vm2 on hv2, Geneve between."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from ovnlab.netlab import NetLab  # noqa: E402,F401

# name, hypervisor, tunnel address, MAC, address
VMS = [('vm1', 'hv1', '192.168.50.100', '40:44:00:00:00:01', '192.168.0.11'),
       ('vm2', 'hv2', '192.168.50.101', '40:44:00:00:00:02', '192.168.0.12')]


def configure(lab):
    """Northbound: the switch and its two ports. northd gives them the tunnel keys 1, 1 and 2."""
    lab.start_central()
    lab.nbctl('ls-add', 'network1')
    for name, _, _, mac, ip in VMS:
        lab.nbctl('lsp-add', 'network1', name, '--', 'lsp-set-addresses', name,
                  '%s %s' % (mac, ip))
    lab.sync('sb')


def populate(lab, kinds=('sluice', 'sluice')):
    """Both hypervisors and VMs; returns the VMs once OVN says that their ports are up."""
    vms = []
    for (name, hypervisor, tunnel_ip, mac, ip), kind in zip(VMS, kinds):
        host = lab.hypervisor(hypervisor, tunnel_ip, kind)
        vms.append(lab.vm(name, host, mac, ip + '/24'))
    lab.wait_up([vm.name for vm in vms])
    lab.sync()
    return vms
