# SPDX-License-Identifier: Apache-2.0
"""Results into README.md: each command owns the text between its two markers, and its plot.

    <!-- compare begins -->  ...written by the command...  <!-- compare ends -->
"""
import datetime
import os
import re

from rig import tsc_hz
from scenarios import HERE

README = os.path.join(HERE, 'README.md')
COLOURS = ['#8a8f98', '#1f77b4', '#2ca02c', '#d62728', '#9467bd']

TITLES = {
    's1': 'L2 switch', 's2': 'L2 to Geneve, no outer checksum', 's2c': 'L2 to Geneve, checksum',
    's3': 'Geneve to VIF', 's4': 'routed', 's5': '100 stateful ACLs, established TCP',
    's5b': 'same, both ways', 's6a': 'gateway SNAT, established',
    's6b': 'load balancer, 10 backends, established', 's6c': 'load balancer, new connections',
    's6d': 'SNAT, new connections'}
# Mpps of sluice over Mpps of Debian's build: what the project has set itself, at 1 k and 100 k.
TARGETS = {
    ('s1', 1000): 1.7, ('s1', 100000): 2.1, ('s2', 1000): 1.7, ('s2', 100000): 2,
    ('s2c', 1000): 1.7, ('s2c', 100000): 2, ('s3', 1000): 3, ('s3', 100000): 3, ('s4', 1000): 1.7,
    ('s4', 100000): 2, ('s5', 1000): 6, ('s5', 100000): 11, ('s5b', 1000): 6, ('s5b', 100000): 11,
    ('s6a', 1000): 5, ('s6a', 100000): 8, ('s6b', 1000): 5, ('s6b', 100000): 8,
    ('s6c', 1000000): 5, ('s6d', 1000000): 5}


def count_of(n):
    """1000 -> 1 k"""
    for unit, word in ((1000000, ' M'), (1000, ' k')):
        if n >= unit and n % unit == 0:
            return '%d%s' % (n // unit, word)
    return str(n)


def put(name, text, path=README):
    """Replaces what is between the markers of `name`; new markers go to the end."""
    begin, end = '<!-- %s begins -->' % name, '<!-- %s ends -->' % name
    with open(path) as file:
        old = file.read()
    block = '%s\n%s\n%s' % (begin, text.strip('\n'), end)
    pattern = re.compile(re.escape(begin) + '.*?' + re.escape(end), re.S)
    new = pattern.sub(lambda _: block, old) if pattern.search(old) else old + '\n' + block + '\n'
    with open(path + '.new', 'w') as file:
        file.write(new)
    os.replace(path + '.new', path)


def table(heads, rows):
    lines = ['| ' + ' | '.join(heads) + ' |', '| ' + ' | '.join('---' for _ in heads) + ' |']
    return '\n'.join(lines + ['| ' + ' | '.join(str(c) for c in row) + ' |' for row in rows])


def machine():
    """What the numbers were taken on."""
    with open('/proc/cpuinfo') as file:
        text = file.read()
    model = re.search(r'model name\s*: (.*)', text)
    return '%s, %d cores, TSC %.2f GHz, %s' % (
        model[1] if model else 'unknown processor', os.cpu_count(), tsc_hz() / 1e9,
        datetime.date.today())


def cell(result):
    return '%.0f (%.2f)' % (result.cycles, result.mpps)


def write_compare(done, path=README):
    rows = []
    for results, ratios in done:
        by_label = {r.impl: r for r in results}
        ours = by_label.pop('sluice', None)
        theirs = next(iter(by_label.values()), None)
        any_result = ours or theirs
        target = TARGETS.get((any_result.scenario, any_result.flows))
        rows.append([
            '%s %s' % (any_result.scenario, TITLES.get(any_result.scenario, '')),
            count_of(any_result.flows), cell(ours) if ours else '', cell(theirs) if theirs else '',
            '%.2f' % ratios[1] if ratios else '',
            '%.2f..%.2f' % (ratios[0], ratios[2]) if ratios else '', target or ''])
    labels = [r.impl for results, _ in done for r in results if r.impl != 'sluice']
    text = 'Taken on: %s. Cycles per packet (Mpps), medians; the ratio is the median over pairs of ' \
        'windows.\n\n' % machine()
    text += table(['scenario', 'flows', 'sluice', labels[0] if labels else 'incumbent', 'ratio',
                   'pairs', 'wanted'], rows)
    text += '\n\n![cycles per packet](compare.svg)'
    put('compare', text, path)
    bars = [('%s %s' % (r[0].scenario, count_of(r[0].flows)), [(x.impl, x.cycles) for x in r])
            for r, _ in done]
    with open(os.path.join(os.path.dirname(path), 'compare.svg'), 'w') as file:
        file.write(bar_chart('cycles per packet (less is better, logarithmic)', bars))


def _svg(width, height, parts):
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
            'font-family="sans-serif" font-size="12">\n<rect width="100%%" height="100%%" '
            'fill="white"/>\n%s\n</svg>\n' % (width, height, '\n'.join(parts)))


def _text(x, y, text, anchor='start'):
    return '<text x="%d" y="%d" text-anchor="%s">%s</text>' % (x, y, anchor, text)


def bar_chart(title, groups):
    """[(name, [(label, value)])] as horizontal bars on a logarithmic axis."""
    from math import log10
    values = [v for _, bars in groups for _, v in bars if v > 0]
    low, high = (min(values) / 1.5, max(values)) if values else (1, 10)
    left, width, bar = 110, 620, 14
    labels = sorted({label for _, bars in groups for label, _ in bars})
    colour = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)}
    parts, y = [_text(left, 18, title)], 30
    for i, label in enumerate(labels):
        parts.append('<rect x="%d" y="%d" width="10" height="10" fill="%s"/>' % (
            left + i * 140, y, colour[label]))
        parts.append(_text(left + 14 + i * 140, y + 10, label))
    y += 22
    for name, bars in groups:
        parts.append(_text(left - 6, y + bar, name, 'end'))
        for label, value in bars:
            length = width * log10(value / low) / log10(high / low) if value > 0 else 0
            parts.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (
                left, y, length, bar - 2, colour[label]))
            parts.append(_text(int(left + length + 4), y + bar - 4, '%.0f' % value))
            y += bar
        y += 8
    return _svg(left + width + 70, y + 8, parts)


def curves(title, x_title, lines):
    """{name: [(x, fraction of samples above x)]}: tails on logarithmic axes, one line a name."""
    from math import log10
    points = [(x, f) for line in lines.values() for x, f in line if x > 0 and f > 0]
    if not points:
        return _svg(100, 30, [_text(4, 18, 'nothing')])
    lo, hi = log10(min(x for x, _ in points)), log10(max(x for x, _ in points))
    deepest = min(log10(f) for _, f in points)
    left, width, height = 70, 600, 320
    top = 50 + 14 * ((len(lines) + 2) // 3)     # below the legend

    def at(x, f):
        return (left + width * (log10(x) - lo) / max(hi - lo, 1e-9),
                top + height * log10(f) / min(deepest, -1e-9))
    parts = [_text(left, 18, title), _text(left + width // 2, top + height + 34, x_title, 'middle')]
    for power in range(int(deepest), 1):
        y = at(10 ** lo, 10 ** power)[1]
        parts.append('<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/>' % (
            left, y, left + width, y))
        parts.append(_text(left - 6, int(y) + 4, '%g' % 10 ** power, 'end'))
    for power in range(int(lo), int(hi) + 1):
        if power >= lo:
            parts.append(_text(int(at(10 ** power, 1)[0]), top + height + 16, '%g' % 10 ** power,
                               'middle'))
    for i, (name, line) in enumerate(lines.items()):
        colour = 'hsl(%d,75%%,42%%)' % (360 * i // len(lines))
        path = ' '.join('%.1f,%.1f' % at(x, f) for x, f in line if x > 0 and f > 0)
        parts.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>' % (
            path, colour))
        parts.append('<text x="%d" y="%d" fill="%s">%s</text>' % (
            left + 10 + i % 3 * 200, 34 + i // 3 * 14, colour, name))
    return _svg(left + width + 20, top + height + 44, parts)
