# SPDX-License-Identifier: Apache-2.0
"""Logical flows written by hand in the place of northd's, for what no northd writes.

"flows" of a SPEC: [DATAPATH, "ingress" or "egress", table, priority, match, actions]. The network is
configured as ever; then northd pauses, all its flows go, and these come, with what the ovn-sbctl
command lines under "sb" make.
"""
import json
import shlex

from ovnlab.unixctl import unixctl

DONE = 1_000_000    # an nb_cfg that northd has not given out


def text_of(value):
    """A string as ovn-sbctl takes it, whatever is in it."""
    return json.dumps(value)


def replace_flows(lab, flows, lines):
    for daemon in lab.daemons:
        if daemon.name == 'ovn-northd':
            unixctl(daemon.ctl, 'pause')
    uuids, words = {}, ['--', '--all', 'destroy', 'Logical_Flow']
    for name, pipeline, table, priority, match, actions in flows:
        if name not in uuids:
            uuids[name] = lab.sbctl('--bare', '--columns=_uuid', 'find', 'Datapath_Binding',
                                    'external_ids:name=' + name).strip()
        words += ['--', 'create', 'Logical_Flow', 'logical_datapath=' + uuids[name],
                  'pipeline=' + pipeline, 'table_id=%d' % table, 'priority=%d' % priority,
                  'match=' + text_of(match), 'actions=' + text_of(actions)]
    lab.sbctl(*words[1:])
    for line in lines:
        lab.sbctl(*shlex.split(line))
    lab.sbctl('set', 'SB_Global', '.', 'nb_cfg=%d' % DONE)
    names = [c['name'] for c in lab.chassis]

    def is_done():
        return all(lab.sbctl('--bare', '--columns=nb_cfg', 'find', 'Chassis_Private',
                             'name=' + name).strip() == str(DONE) for name in names)
    lab.wait(is_done, 'the flows to be in place')
