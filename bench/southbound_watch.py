# SPDX-License-Identifier: Apache-2.0
"""When the Southbound learns of things: a monitor session that stamps what it is told.

SB_Global.nb_cfg moves in northd's transaction, Chassis_Private.nb_cfg in the chassis': the time between
them is the chassis' own share of a change, whatever northd took.
"""
import json
import socket
import threading
import time

TABLES = {'SB_Global': ['nb_cfg'], 'Chassis_Private': ['name', 'nb_cfg'],
          'Port_Binding': ['logical_port', 'up', 'chassis']}


class SouthboundWatch(threading.Thread):
    def __init__(self, path, chassis='hv1'):
        super().__init__(daemon=True)
        self.chassis = chassis
        self.lock = threading.Condition()
        self.global_cfg, self.chassis_cfg = {}, {}      # number -> when it was first seen
        self.up_at, self.up = {}, set()                 # port -> when; which are up now
        self.names = {}                                 # row -> chassis or port
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        monitor = {table: {'columns': columns} for table, columns in TABLES.items()}
        self._send({'method': 'monitor', 'params': ['OVN_Southbound', None, monitor], 'id': 0})
        self.start()

    def _send(self, message):
        self.sock.sendall(json.dumps(message).encode())

    def run(self):
        decoder, text = json.JSONDecoder(), ''
        while True:
            try:
                data = self.sock.recv(1 << 20)
            except OSError:
                return
            if not data:
                return
            now, text = time.monotonic(), text + data.decode()
            while text:
                try:
                    message, end = decoder.raw_decode(text)
                except ValueError:
                    break
                text = text[end:].lstrip()
                self._take(message, now)

    def _take(self, message, now):
        if message.get('method') == 'echo':
            self._send({'result': message['params'], 'error': None, 'id': message['id']})
            return
        if message.get('id') == 0 and message.get('result') is not None:
            tables = message['result']
        elif message.get('method') == 'update':
            tables = message['params'][1]
        else:
            return
        with self.lock:
            for table, rows in tables.items():
                for uuid, row in rows.items():
                    self._row(table, uuid, row.get('new'), now)
            self.lock.notify_all()

    def _row(self, table, uuid, new, now):
        if new is None:
            self.up.discard(self.names.pop(uuid, None))
        elif table == 'SB_Global':
            self.global_cfg.setdefault(new['nb_cfg'], now)
        elif table == 'Chassis_Private':
            if new['name'] == self.chassis:
                self.chassis_cfg.setdefault(new['nb_cfg'], now)
        else:
            port = self.names[uuid] = new['logical_port']
            if new['up'] is True:
                self.up_at.setdefault(port, now)
                self.up.add(port)
            else:
                self.up_at.pop(port, None)
                self.up.discard(port)

    def forget(self):
        """Times of before do not count for what is waited for next."""
        with self.lock:
            self.chassis_cfg.clear()

    def wait(self, condition, what, timeout=120):
        with self.lock:
            if not self.lock.wait_for(condition, timeout):
                raise RuntimeError('timeout: ' + what)

    def newest(self):
        with self.lock:
            return max(self.global_cfg, default=0)

    def acknowledged(self, number):
        """When the chassis said that it has caught up with `number` or more."""
        times = [at for cfg, at in self.chassis_cfg.items() if cfg >= number]
        return min(times) if times else None

    def close(self):
        self.sock.close()
