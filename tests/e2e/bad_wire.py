#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A bad wire: passes frames between two interfaces and loses, doubles and reorders some of them.

    bad_wire.py LEFT RIGHT SEED LOSS DUPLICATION REORDERING     (parts of 1)

Says "ready" once both interfaces are open and counts what it did when it is told to end (SIGTERM).
"""
import collections
import random
import selectors
import signal
import socket
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4
HOLD = 3            # a frame that is late lets so many others pass


class Wire:
    def __init__(self, names, seed, loss, duplication, reordering):
        self.sockets = []
        for name in names:
            one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            one.bind((name, 0))
            one.setblocking(False)
            self.sockets.append(one)
        self.random = random.Random(seed)
        self.loss, self.duplication, self.reordering = loss, duplication, reordering
        self.late = [collections.deque(), collections.deque()]  # [frames to wait for, frame]
        self.counts = collections.Counter()

    def send(self, to, frame):
        try:
            self.sockets[to].send(frame)
        except OSError:
            self.counts['refused'] += 1

    def carry(self, to, frame):
        self.counts['carried'] += 1
        if self.random.random() < self.loss:
            self.counts['lost'] += 1
            return
        if self.random.random() < self.reordering:
            self.counts['late'] += 1
            self.late[to].append([HOLD, frame])
            return
        self.send(to, frame)
        if self.random.random() < self.duplication:
            self.counts['doubled'] += 1
            self.send(to, frame)
        for entry in self.late[to]:
            entry[0] -= 1
        while self.late[to] and self.late[to][0][0] <= 0:
            self.send(to, self.late[to].popleft()[1])

    def receive(self, side):
        for _ in range(64):
            try:
                frame, address = self.sockets[side].recvfrom(65535)
            except BlockingIOError:
                return
            if address[2] != PACKET_OUTGOING:
                self.carry(1 - side, frame)

    def release(self):
        """Nothing came for a while: what is late need not wait."""
        for to in (0, 1):
            while self.late[to]:
                self.send(to, self.late[to].popleft()[1])

    def run(self):
        selector = selectors.DefaultSelector()
        for side, one in enumerate(self.sockets):
            selector.register(one, selectors.EVENT_READ, side)
        print('ready', flush=True)
        while True:
            events = selector.select(0.005)
            for key, _ in events:
                self.receive(key.data)
            if not events:
                self.release()


def main():
    left, right, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    wire = Wire((left, right), seed, *[float(part) for part in sys.argv[4:7]])

    def end(*_):
        print(' '.join('%s=%d' % entry for entry in sorted(wire.counts.items())), flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    wire.run()


if __name__ == '__main__':
    main()
