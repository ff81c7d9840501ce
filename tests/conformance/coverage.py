#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which case exercises which row of the list of features, and a check that none is left out.

coverage.py the check: every row has a case, which exists and says what the row is about
coverage.py --record [CASE...] plays cases on the reference and writes coverage.tsv anew

coverage.tsv has a line per row of tests/data/features.tsv: kind, name, cases. --record finds
the cases of matches, actions and port types by looking which logical flows packets really hit:
the counters of the OpenFlow flows that ovn-controller made from each of them. Lines of duties
are written by hand and kept.

For what no case reaches, a line names something weaker, and the summary counts those rows
apart: main:NETWORK a network of tests/data/modern whose database contains it (whether one of
its packets meets it is not known: nothing was counted when it was recorded) unit:FILE#WORD a
unit test that says WORD parse:FILE#WORD only a test of the language: it is understood, what it
does is not tested here
"""
import argparse
import gzip
import os
import re
import sys

from run import case_names, load_spec

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
TABLE = HERE + '/coverage.tsv'
MOST = 4        # cases named per row

# Actions whose written form alone does not tell: a pattern for them.
ACTIONS = {
    'OUTPUT': r'\boutput;', 'NEXT': r'\bnext(\(|;)', 'LOAD': r'[^<=!>]= *[0-9"{]',
    'MOVE': r'[^<=!>]= *[a-z][a-z0-9.]*(\[[0-9.]*\])?;', 'PUSH': r'\bpush\(', 'POP': r'\bpop\(',
    'EXCHANGE': '<->', 'DEC_TTL': r'ip\.ttl *--', 'CT_NEXT': r'\bct_next\b',
    'CT_COMMIT_V1': r'\bct_commit\(',
    'CT_COMMIT_V2': r'\bct_commit *[{;]', 'OVNFIELD_LOAD': r'frag_mtu *=',
    'CT_DNAT': r'\bct_dnat\b', 'CT_SNAT': r'\bct_snat\b',
    'CT_LB': r'\bct_lb\b', 'CT_LB_MARK': r'\bct_lb_mark\b', 'CLONE': r'\bclone *{',
    'ARP': r'\barp *{',
    'ICMP4': r'\bicmp4 *{', 'ICMP6': r'\bicmp6 *{', 'REJECT': r'\breject *{', 'LOG': r'\blog\(',
    'IGMP': r'\bigmp;', 'ND_NA': r'\bnd_na *{',
    'ND_NS': r'\bnd_ns *{',
}


def features():
    """(kind, name, is in 23.03) of every row."""
    with open(TESTS + '/data/features.tsv') as file:
        for line in file:
            if not line.startswith('#'):
                kind, name, old, _ = line.rstrip('\n').split('\t')
                yield kind, name, old == 'yes'


def pattern(kind, name, written):
    """What a logical flow (or a scenario, for ports) that has to do with a row contains."""
    if kind == 'action':
        return ACTIONS.get(name) or r'\b%s\b' % re.escape(written.get(name, name.lower()))
    return r'(?<![a-z0-9_.])%s(?![a-z0-9_.])' % re.escape(name)


def written_forms():
    """Written form of each action, where it is not its name in lower case."""
    return {'PUT_DHCPV4_OPTS': 'put_dhcp_opts', 'DHCPV4_RELAY_REQ_CHK': 'dhcp_relay_req_chk',
            'DHCPV4_RELAY_RESP_CHK': 'dhcp_relay_resp_chk', 'DHCP6_REPLY': 'handle_dhcpv6_reply',
            'BFD_MSG': 'handle_bfd_msg', 'CHK_ECMP_NH_MAC': 'check_ecmp_nh_mac',
            'CHK_ECMP_NH': 'check_ecmp_nh',
            'CT_ORIG_NW_DST': 'ct_nw_dst', 'CT_ORIG_IP6_DST': 'ct_ip6_dst',
            'CT_ORIG_TP_DST': 'ct_tp_dst',
            'CT_ORIG_PROTO': 'ct_proto'}


def read_table():
    table = {}
    if os.path.exists(TABLE):
        with open(TABLE) as file:
            for line in file:
                if not line.startswith('#'):
                    kind, name, cases = line.rstrip('\n').split('\t')
                    table[kind, name] = cases.split()
    return table


def recorder():
    """A reference that remembers which logical flows were hit. Imported late: it needs the daemons."""
    from hypervisor import Reference

    class Recorder(Reference):
        keep_on_failure = False

        def complaints(self):
            hit = set()
            for name in self.switch:
                self.control(name, 'revalidator/wait')
                text = self.run(name, 'ovs-ofctl', '-O', 'OpenFlow15', 'dump-flows',
                                'unix:%s/br-int.mgmt' % self.home(name))
                hit |= {int(c, 16) for c,
                    n in re.findall(r'cookie=0x([0-9a-f]+),.*?n_packets=(\d+)', text)
                        if n != '0'}
            text = self.sbctl('--format=csv', '--no-headings', '--columns=_uuid,match,actions',
                'list',
                              'Logical_Flow')
            self.flows = [line for line in text.splitlines() if int(line[:8], 16) in hit]
            text = self.sbctl('--format=csv', '--no-headings', '--columns=type,parent_port', 'list',
                              'Port_Binding')
            self.ports = {('container' if not line.endswith('[]')
                else line.split(',')[0].strip('"') or 'vif')
                          for line in text.splitlines()}
            return super().complaints()

    return Recorder


def record(names):
    table, written = read_table(), written_forms()
    patterns = {(k, n): re.compile(pattern(k, n, written)) for k, n, old in features()
                if k in ('match', 'action') and old}
    for name in names:
        lab = recorder()(load_spec(name))
        try:
            lab.go()
        except RuntimeError as error:
            print('%-24s %s' % (name, error), flush=True)
            continue
        halves = [line.split(',', 1)[1] for line in lab.flows]
        found = {('port', port) for port in lab.ports}
        for key, expression in patterns.items():
            if any(expression.search(text) for text in halves):
                found.add(key)
        for key in [k for k, _n, _o in [((k, n), n, o) for k, n, o in features()]
            if k[0] != 'duty']:
            cases = [c for c in table.get(key, []) if c != name]
            table[key] = cases + [name] if key in found and len(cases) < MOST else cases
        print('%-24s %d rows' % (name, len(found)), flush=True)
        write_table(table)


def write_table(table):
    with open(TABLE, 'w') as file:
        file.write(
            '# Row of tests/data/features.tsv, and the cases that exercise it; see coverage.py.\n')
        for kind, name, _ in features():
            file.write('%s\t%s\t%s\n' % (kind, name, ' '.join(table.get((kind, name), []))))


def modern_text(name, cache={}):
    if name not in cache:
        with gzip.open('%s/data/modern/%s.sb.db.gz' % (TESTS, name), 'rt') as file:
            cache[name] = file.read()
    return cache[name]


def problem_with(kind, name, place, expression):
    """Why a case that the table names does not serve, or None."""
    if place.startswith('main:'):
        path = '%s/data/modern/%s.sb.db.gz' % (TESTS, place[5:])
        if not os.path.exists(path):
            return 'there is no network ' + place[5:]
        if kind != 'duty' and not re.search(expression, modern_text(place[5:])):
            return '%s does not contain it' % place
        return None
    if place.startswith(('unit:', 'parse:')):
        path, _, word = place.partition(':')[2].partition('#')
        try:
            with open(TESTS + '/' + path) as file:
                return None if word.replace('_', ' ') in file.read().replace('_', ' ') else (
                    '%s does not mention %s' % (path, word))
        except OSError:
            return 'there is no ' + path
    if place not in case_names():
        return 'there is no case ' + place
    if kind == 'port' and name not in ('vif', 'container', 'patch', 'chassisredirect', 'l3gateway'):
        if name not in str(load_spec(place)['nb']):
            return '%s has no port of type %s' % (place, name)
    return None


def strength(table):
    """How many rows rest on what, at best."""
    counts = dict.fromkeys(('case', 'main', 'unit', 'parse', 'old'), 0)
    for kind, name, old in features():
        places = table.get((kind, name), [])
        kinds = {place.partition(':')[0] if ':' in place else 'case' for place in places}
        best = next((k for k in ('case', 'main', 'unit', 'parse') if k in kinds), None)
        if best:
            counts[best] += 1
            counts['old'] += best == 'parse' and old
    return counts


def check():
    table, written, bad = read_table(), written_forms(), []
    for kind, name, old in features():
        places = table.get((kind, name), [])
        if not places:
            bad.append('%s %s: no case' % (kind, name))
        for place in places:
            reason = problem_with(kind, name, place, pattern(kind, name, written))
            if reason:
                bad.append('%s %s: %s' % (kind, name, reason))
    known = {(k, n) for k, n, _ in features()}
    bad += ['%s %s: not a row of the list' % key for key in table if key not in known]
    used = {place for places in table.values() for place in places}
    for line in bad:
        print(line)
    print('%d rows, %d cases of which %d named, %d problems' % (
        len(known), len(case_names()), len(used & set(case_names())), len(bad)))
    print('by cases %(case)d, by recorded networks only %(main)d, by unit tests only %(unit)d, '
          'only parsed %(parse)d (of those, known to 23.03: %(old)d)' % strength(table))
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--record', action='store_true')
    parser.add_argument('cases', nargs='*')
    args = parser.parse_args()
    if args.record:
        record(args.cases or case_names())
    return check()


if __name__ == '__main__':
    sys.exit(main())
