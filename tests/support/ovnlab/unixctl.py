# SPDX-License-Identifier: Apache-2.0
"""unixctl, the control protocol of every Open vSwitch daemon: JSON-RPC 1.0 on a unix socket."""
import json
import socket


class UnixctlError(RuntimeError):
    """The daemon answered with an error, or closed the connection."""


def unixctl(path, command, *args, timeout=20):
    """One exchange, as ovs-appctl does it. Returns the text of the reply."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout)
        sock.connect(path)
        request = {'id': 0, 'method': command, 'params': [str(a) for a in args]}
        sock.sendall(json.dumps(request).encode())
        decoder, text = json.JSONDecoder(), b''
        while True:
            data = sock.recv(65536)
            if not data:
                raise UnixctlError('%s: connection closed' % command)
            text += data
            try:
                reply, _ = decoder.raw_decode(text.decode())
            except ValueError:
                continue
            if reply.get('error') is not None:
                raise UnixctlError('%s: %s' % (command, reply['error']))
            return reply['result']
