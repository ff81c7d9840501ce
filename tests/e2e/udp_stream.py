# SPDX-License-Identifier: Apache-2.0
"""A numbered UDP stream between two VMs: what was sent and did not arrive is known exactly."""
import subprocess
import sys
import time

_RECEIVER = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind(("0.0.0.0", 9999)); s.settimeout(5)
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
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((sys.argv[1], 9999))
n, due = 0, time.monotonic()
while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
    try: s.send(b"%d " % n + b"x" * 60)
    except OSError: pass
    n += 1; due += float(sys.argv[2])
time.sleep(1)
s.send(b"-1")
print(n)
'''


class UdpStream:
    """Starts at once; `finish` returns (sent, received, some of the missing numbers)."""

    def __init__(self, source, target, per_second=200):
        pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
        self.receiver = target.ns.popen(sys.executable, '-c', _RECEIVER, **pipes)
        self.receiver.stdout.readline()
        self.sender = source.ns.popen(sys.executable, '-c', _SENDER, target.ip,
                                      str(1.0 / per_second), **pipes)
        source.ns.lab.helpers += [self.receiver, self.sender]
        time.sleep(0.5)

    def finish(self):
        sent = int(self.sender.communicate('stop\n', timeout=30)[0])
        words = [int(word) for word in self.receiver.communicate(timeout=30)[0].split()]
        return sent, words[0], words[1:]
