# SPDX-License-Identifier: Apache-2.0
"""Words for scenarios about physical networks: tags, localnet ports, chassis that are bridged."""


def tagged(step, vid, pcp=0, kind=0x8100):
    """The same frame behind a tag."""
    frame = bytes.fromhex(step[1])
    tag = (kind << 16 | pcp << 13 | vid).to_bytes(4, 'big')
    return [step[0], (frame[:12] + tag + frame[12:]).hex(), *step[2:]]


def localnet(switch, port, network, tag=None, kind='localnet', **options):
    """nb lines for a port that joins a switch to a physical network."""
    words = ' '.join('%s=%s' % (k.replace('_', '-'), v) for k, v in options.items())
    return ['lsp-add %s %s -- lsp-set-type %s %s -- lsp-set-addresses %s unknown '
            '-- lsp-set-options %s network_name=%s %s' % (switch, port, port, kind, port, port,
                                                          network, words)
            + ('' if tag is None else ' -- set logical_switch_port %s tag=%d' % (port, tag))]


def mapped(name, number, network_mac=None, network='phys'):
    """A chassis with a bridge to a physical network, and perhaps a MAC of its own there."""
    chassis = {'name': name, 'encap_ip': '192.168.0.%d' % number,
               'bridge_mappings': '%s:br-phys' % network}
    if network_mac:
        chassis['external_ids'] = {'ovn-chassis-mac-mappings': '%s:%s' % (network, network_mac)}
    return chassis
