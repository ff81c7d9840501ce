# SPDX-License-Identifier: Apache-2.0
"""A numbered UDP stream between two VMs: what was sent and did not arrive is known exactly."""
import subprocess
import sys
import time

_RECEIVER = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind(("0.0.0.0", 9999)); s.settimeout(10)
print("ready", flush=True)
seen = set()
try:
    while True:
        n = int(s.recv(100).split()[0])
        if n < 0: break
        seen.add(n)
except TimeoutError: pass
print(len(seen), *[n for n in range(max(seen, default=0)) if n not in seen][:50])
'''

_SENDER = '''
import select, socket, sys, time
flows = []
for i in range(int(sys.argv[3])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 20000 + i)); s.connect((sys.argv[1], 9999)); flows.append(s)
n, due = 0, time.monotonic()
while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
    try: flows[n % len(flows)].send(b"%d " % n + b"x" * 60)
    except OSError: pass
    n += 1; due = max(due + float(sys.argv[2]), time.monotonic() - 0.2)
time.sleep(1.5)
for _ in range(5):
    try: flows[0].send(b"-1")
    except OSError: pass
print(n)
'''


class UdpStream:
    """Starts at once, over so many flows in turn; `finish` returns (sent, received, some of the missing
    numbers)."""

    def __init__(self, source, target, per_second=200, flows=1):
        pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
        self.receiver = target.ns.popen(sys.executable, '-c', _RECEIVER, **pipes)
        self.receiver.stdout.readline()
        self.sender = source.ns.popen(sys.executable, '-c', _SENDER, target.ip,
                                      str(1.0 / per_second), str(flows), **pipes)
        source.ns.lab.helpers += [self.receiver, self.sender]
        time.sleep(0.5)

    def finish(self):
        sent = int(self.sender.communicate('stop\n', timeout=30)[0])
        words = [int(word) for word in self.receiver.communicate(timeout=30)[0].split()]
        return sent, words[0], words[1:]
