# SPDX-License-Identifier: Apache-2.0
"""The physical network of a lab without devices, and readers of what its ports sent.

Every uplink connects to the hub with the stream framing of Open vSwitch's netdev-dummy: two bytes of
length, big-endian, then the Ethernet frame. The hub repeats each frame to all other uplinks and keeps
it; it can put frames of its own on the wire.
"""
import os
import select
import socket
import struct
import threading


class Hub(threading.Thread):
    """A dumb repeater with memory."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder = folder
        self.lock = threading.Lock()    # guards peers and log: hub thread and caller
        self.peers = {}                 # connected socket -> name of the uplink
        self.log = []                   # (name of the sender, frame in hex)
        self.stopping = False           # written by the caller, read by the hub thread
        self.listeners = {}

    def listen(self, name):
        """Opens the socket of one uplink and returns its path."""
        sock = socket.socket(socket.AF_UNIX)
        path = '%s/%s.sock' % (self.folder, name)
        sock.bind(path)
        sock.listen(4)
        self.listeners[name] = sock
        return path

    def run(self):
        pending = {}
        while not self.stopping:
            sockets = list(self.listeners.values()) + list(self.peers)
            ready, _, _ = select.select(sockets, [], [], 0.05)
            for sock in ready:
                name = next((n for n, s in self.listeners.items() if s is sock), None)
                if name is not None:
                    peer, _ = sock.accept()
                    with self.lock:
                        self.peers[peer] = name
                    pending[peer] = b''
                else:
                    self._read(sock, pending)

    def _read(self, sock, pending):
        try:
            data = sock.recv(65536)
        except OSError:
            data = b''
        if not data:
            with self.lock:
                self.peers.pop(sock, None)
            sock.close()
            return
        buffer = pending[sock] + data
        while len(buffer) >= 2:
            size = struct.unpack('>H', buffer[:2])[0]
            if len(buffer) < size + 2:
                break
            self.forward(self.peers.get(sock, '?'), buffer[2:2 + size], sock)
            buffer = buffer[2 + size:]
        pending[sock] = buffer

    def forward(self, sender, frame, origin=None):
        with self.lock:
            self.log.append((sender, frame.hex()))
            for peer in list(self.peers):
                if peer is not origin:
                    try:
                        peer.sendall(struct.pack('>H', len(frame)) + frame)
                    except OSError:
                        pass    # it went away; its own read notices

    def take(self):
        """What went over the wire since the last call."""
        with self.lock:
            taken, self.log = self.log, []
        return taken


class GrowingPcap:
    """Reads the packets that were appended to a pcap file since the last look."""

    def __init__(self, path):
        self.path = path
        self.offset = 24    # past the file header

    def new(self):
        try:
            with open(self.path, 'rb') as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        frames, at = [], 0
        while len(data) - at >= 16:
            size = struct.unpack_from('=IIII', data, at)[2]
            if len(data) - at - 16 < size:
                break
            frames.append(data[at + 16:at + 16 + size].hex())
            at += 16 + size
        self.offset += at
        return frames

    def pending(self):
        try:
            return os.path.getsize(self.path) > self.offset
        except OSError:
            return False


def write_pcap(path, frames):
    """Writes frames (hex or bytes) as a pcap file of Ethernet packets, one microsecond apart."""
    with open(path, 'wb') as file:
        file.write(struct.pack('=IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(frames):
            data = bytes.fromhex(frame) if isinstance(frame, str) else bytes(frame)
            file.write(struct.pack('=IIII', 0, number, len(data), len(data)) + data)
