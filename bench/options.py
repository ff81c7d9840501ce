# SPDX-License-Identifier: Apache-2.0
"""The command line of bench/run: one function a command, which imports what it needs."""
import os


def add_sides(parser):
    """Options of everything that starts whole hypervisors."""
    add = parser.add_argument
    add('--vswitchd', metavar='PATH', help="ovs-vswitchd on DPDK (default: $OVS_VSWITCHD, Debian's)")
    add('--incumbent-label', default=os.environ.get('IMPL', 'ovs-stock'), metavar='WORD')
    add('--sluiced', metavar='PATH', help='(default: $SLUICE_BUILD, build)')
    add('--only', choices=('incumbent', 'sluice'), help='one side alone')
    add('--core', type=int, default=1, help='core of the polling thread (default 1)')
    add('--rest-core', type=int, default=0, help='core of everything else (default 0)')
    add('--memory-mb', type=int, default=1024, help='DPDK memory of each side (default 1024)')
    add('--no-huge', action='store_true', help='no hugepages on either side')
    add('--cache-entries', type=int, default=262144, help="sluice's flow cache (default 262144)")
    add('--connections', type=int, default=2500000, help="sluice's connection table")
    add('--setting', metavar='NAME', help="incumbent's setting, e.g. noemc+smc (default: try all)")
    add('--window', type=float, default=2, help='seconds of one window (default 2)')
    add('--rounds', type=int, default=5, help='windows of each side (default 5)')
    add('--keep', action='store_true', help='leave logs and databases behind')


def add_compare(commands):
    parser = commands.add_parser('compare', help='incumbent and sluice in turn')
    parser.add_argument('points', nargs='*', metavar='SCENARIO[:FLOWS,...]')
    add_sides(parser)
    parser.add_argument('--log', metavar='FILE', help='the lines once more, in a file')
    parser.add_argument('--write', action='store_true', help='table and plot into README.md')

    def run(args):
        import compare
        import report
        points = compare.points_of(args.points or compare.DEFAULT_POINTS)
        done = compare.compare(args, points, compare.log_to(args.log))
        if args.write:
            report.write_compare(done)
        return 0 if len(done) == len(points) else 1
    parser.set_defaults(run=run)


def add_check(commands):
    parser = commands.add_parser('check', help='frames of both sides compared')
    parser.add_argument('scenarios', nargs='*', metavar='SCENARIO')
    parser.add_argument('--live', action='store_true',
                        help='start both now (default: against recorded frames)')
    parser.add_argument('--sluice-replay', metavar='PATH')
    add_sides(parser)

    def run(args):
        import check
        return check.run(args)
    parser.set_defaults(run=run)


def add_offline(parser, seconds=2, repeat=5):
    """Options of what runs sluice-bench."""
    add = parser.add_argument
    add('--sluice-bench', metavar='PATH', help='(default: $SLUICE_BUILD, build)')
    add('--seconds', type=int, default=seconds, help='of a window (default %d)' % seconds)
    add('--repeat', type=int, default=repeat, help='windows (default %d)' % repeat)
    add('--core', type=int, default=1, help='core of the worker (default 1)')


def add_forward(commands):
    parser = commands.add_parser('forward', help='sluice alone, from a Southbound file')
    parser.add_argument('points', nargs='+', metavar='SCENARIO[:FLOWS,...]')
    parser.add_argument('--no-cache', action='store_true', help='walk every packet')
    parser.add_argument('--capture', metavar='FILTER',
                        help='in turn with and without a capture of what FILTER takes ("": all)')
    add_offline(parser)

    def run(args):
        import forward
        return forward.run(args)
    parser.set_defaults(run=run)


def add_steps(commands):
    parser = commands.add_parser('steps', help='cycles of every step')
    parser.add_argument('points', nargs='*', metavar='SCENARIO[:FLOWS,...]')
    parser.add_argument('--step-bench', metavar='PATH')
    parser.add_argument('--core', type=int, default=1, help='(default 1)')
    parser.add_argument('--rounds', type=int, default=15, help='over all flows (default 15)')
    parser.add_argument('--write', action='store_true', help='the table into README.md')

    def run(args):
        import steps
        return steps.run(args)
    parser.set_defaults(run=run)


def add_cliff(commands):
    parser = commands.add_parser('cliff', help='misses, exploding tuple spaces, latency')
    parser.add_argument('parts', nargs='*', choices=['misses', 'explosion', 'latency', []],
                        metavar='PART', help='misses, explosion, latency (default: all)')
    add_sides(parser)
    add = parser.add_argument
    add('--sluice-bench', metavar='PATH', help='(default: $SLUICE_BUILD, build)')
    add('--latency-bench', metavar='PATH')
    add('--seconds', type=int, default=2, help='of a window or a load (default 2)')
    add('--repeat', type=int, default=5, help='windows (default 5)')
    add('--latency-scenarios', nargs='+', default=['s1', 's4', 's5'], metavar='SCENARIO')
    add('--write', action='store_true', help='tables and plot into README.md')

    def run(args):
        import cliff
        return cliff.run(args)
    parser.set_defaults(run=run)


def add_scaling(commands):
    parser = commands.add_parser('scaling', help='1 to N workers')
    add_offline(parser)
    parser.add_argument('--cores', type=lambda text: [int(c) for c in text.split(',')],
                        metavar='LIST', help='of the workers, in this order (default: all)')
    parser.add_argument('--flows', type=int, default=4096, help='in all (default 4096)')
    parser.add_argument('--write', action='store_true', help='the table into README.md')

    def run(args):
        import scaling
        return scaling.run(args)
    parser.set_defaults(run=run)


def add_southbound(commands):
    parser = commands.add_parser('southbound', help='make databases of data/ again, by OVN')
    parser.add_argument('scenarios', nargs='+', metavar='SCENARIO')
    parser.add_argument('--output', metavar='FILE', help='(default: data/SCENARIO.sb.db.gz)')

    def run(args):
        import topology
        return topology.run(args)
    parser.set_defaults(run=run)


def add_control(commands):
    parser = commands.add_parser('control', help='start, changes and memory of both control planes')
    add_sides(parser)
    parser.add_argument('--starts', type=int, default=3, help='(default 3)')
    parser.add_argument('--log', metavar='FILE', help='the lines once more, in a file')
    parser.add_argument('--write', action='store_true', help='the table into README.md')

    def run(args):
        import control
        return control.run(args)
    parser.set_defaults(run=run)


def add_memory(commands):
    parser = commands.add_parser('memory', help='bytes per connection and cached program')
    parser.add_argument('--memory-bench', metavar='PATH')
    parser.add_argument('--connections', type=int, default=4000000, help='(default 4000000)')
    parser.add_argument('--write', action='store_true', help='the table into README.md')

    def run(args):
        import memory
        return memory.run(args)
    parser.set_defaults(run=run)


def add_tso(commands):
    parser = commands.add_parser('tso', help='TCP of guests with TSO over Geneve, both ways')
    add_sides(parser)
    parser.add_argument('--tso-guest', metavar='PATH', help='(default: $SLUICE_BUILD, build)')
    parser.add_argument('--payload', type=int, default=64000, help='bytes of a large frame')
    parser.add_argument('--write', action='store_true', help='the table into README.md')

    def run(args):
        import tso
        return tso.run(args)
    parser.set_defaults(run=run)


def add_all(commands):
    for add in (add_compare, add_check, add_forward, add_steps, add_cliff, add_scaling,
                add_southbound, add_control, add_memory, add_tso):
        add(commands)
