# SPDX-License-Identifier: Apache-2.0
"""Scenarios of the benchmarks: scn/NAME.if says streams and ports, this makes the packets.

Every 5-tuple is distinct, random with a fixed seed, one packet per flow per loop: the worst
locality a cache can meet. All checksums are right.
"""
import ipaddress
import os
import random
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
SCN = os.path.join(HERE, "scn")
FRAME = int(os.environ.get("FRAME", "64"))  # bytes handed to the driver (no FCS)


# ------------------------------------------------------------ packets

def _mac(s):
    return bytes.fromhex(s.replace(":", ""))


def _ip(s):
    return int(ipaddress.ip_address(s))


def _range(s, ip=False):
    """'5', '1-9,20-30', '10.0.0.1', '100.64.0.0/12' -> list of inclusive (lo, hi)."""
    out = []
    for part in s.split(","):
        if ip:
            n = ipaddress.ip_network(part)
            lo, hi = int(n[0]), int(n[-1])
            if n.num_addresses > 2:
                lo, hi = lo + 1, hi - 1
        elif "-" in part:
            lo, hi = map(int, part.split("-"))
        else:
            lo = hi = int(part)
        out.append((lo, hi))
    return out


def _picker(rng, ranges):
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        v = ranges[0][0]
        return lambda: v
    if len(ranges) == 1:
        lo, hi = ranges[0]
        return lambda: lo + int(rng.random() * (hi - lo + 1))
    flat = [v for lo, hi in ranges for v in range(lo, hi + 1)]
    return lambda: flat[int(rng.random() * len(flat))]


def make_flows(st, n):
    """n distinct (sip, dip, sport, dport), random, fixed seed."""
    rng = random.Random(int(st.get("seed", "20231121")))
    p = [_picker(rng, _range(st["sip"], True)), _picker(rng, _range(st["dip"], True)),
         _picker(rng, _range(st["sport"])), _picker(rng, _range(st["dport"]))]
    seen = set()
    out = []
    while len(out) < n:
        f = (p[0](), p[1](), p[2](), p[3]())
        if f not in seen:
            seen.add(f)
            out.append(f)
    return out


def reply_flows(st, flows):
    """Reverse of flows; sip/dip/sport override; 'sip=A+N' = one reply from each of N addresses."""
    base, cnt = None, 1
    if "sip" in st:
        a, _, c = st["sip"].partition("+")
        base, cnt = _ip(a), int(c or 1)
    dip = _ip(st["dip"]) if "dip" in st else None
    sport = int(st["sport"]) if "sport" in st else None
    for (s, d, sp, dp) in flows:
        for k in range(cnt):
            yield (d if base is None else base + k, s if dip is None else dip,
                   dp if sport is None else sport, sp)


def _sum16(b):
    if len(b) & 1:
        b += b"\0"
    return sum(struct.unpack("!%dH" % (len(b) // 2), b))


def _fold(x):
    while x >> 16:
        x = (x & 0xffff) + (x >> 16)
    return ~x & 0xffff


def unwanted_flows(shape, count, wanted):
    """Distinct 5-tuples that no allowing rule of s5 matches, beside the wanted ones.

    alike: one source, one destination, a port that nothing allows; only the source port differs.
    exploding: each agrees with a wanted packet down to another bit of both addresses and of the
    destination port, so a classifier that searches by masks needs another mask for each combination.
    """
    rng = random.Random(20231122)
    seen, out = set(wanted), []
    (sip, dip, _, _), port = wanted[0], 2000
    while len(out) < count:
        flow = (sip, dip, rng.randrange(1024, 65536), 9)
        if shape == "exploding":
            a, b, c = (1 << rng.randrange(24) for _ in range(2)), 1 << rng.randrange(16), rng
            src, dst = ((x ^ bit) & ~(bit - 1) | c.randrange(bit) for x, bit in zip((sip, dip), a))
            flow = (src, dst, flow[2], (port ^ b) & ~(b - 1) | rng.randrange(b))
        if flow not in seen:
            seen.add(flow)
            out.append(flow)
    return out


def mixed(wanted, unwanted):
    """One wanted flow, one unwanted, until all of both have come."""
    for i in range(max(len(wanted), len(unwanted))):
        yield wanted[i % len(wanted)]
        yield unwanted[i % len(unwanted)]


FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


def frames(st, flows):
    """Frames of FRAME bytes with correct IPv4 and L4 checksums, optionally Geneve-wrapped."""
    tcp = st["proto"] == "tcp"
    l4len = 20 if tcp else 8
    pay = bytes((i * 7 + 1) & 0xff for i in range(FRAME - 34 - l4len))
    eth = _mac(st["dmac"]) + _mac(st["smac"]) + b"\x08\0"
    iplen = 20 + l4len + len(pay)
    ip0 = struct.pack("!BBHHHBB", 0x45, 0, iplen, 0, 0x4000, 64, 6 if tcp else 17)
    ipsum = _sum16(ip0)
    l4sum = (6 if tcp else 17) + l4len + len(pay) + _sum16(pay)
    if tcp:
        fl = sum(FLAGS[c] for c in st["flags"])
        mid = struct.pack("!IIBBH", int(st["seq"]), int(st["ack"]), 0x50, fl, 65535)
        l4sum += _sum16(mid)
    else:
        mid = struct.pack("!H", 8 + len(pay))
        l4sum += 8 + len(pay)
    outer = None
    if "geneve" in st:
        sm, dm, si, di, vni, ik, ek = st["geneve"].split(",")
        gen = struct.pack("!BBHIHBBI", 0x02, 0x40, 0x6558, int(vni) << 8, 0x0102, 0x80, 1,
                          int(ik) << 16 | int(ek))
        udplen = 8 + len(gen) + FRAME
        oip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + udplen, 0, 0x4000, 64, 17, 0, _ip(si), _ip(di))
        oip = oip[:10] + struct.pack("!H", _fold(_sum16(oip))) + oip[12:]
        outer = _mac(dm) + _mac(sm) + b"\x08\0" + oip
    pack = struct.pack
    for (s, d, sp, dp) in flows:
        a = (s >> 16) + (s & 0xffff) + (d >> 16) + (d & 0xffff)
        ck = _fold(l4sum + a + sp + dp)
        if tcp:
            l4 = pack("!HH", sp, dp) + mid + pack("!HH", ck, 0)
        else:
            l4 = pack("!HH", sp, dp) + mid + pack("!H", ck or 0xffff)
        f = b"".join((eth, ip0, pack("!HII", _fold(ipsum + a), s, d), l4, pay))
        if outer:
            h = 32768 + ((sp * 31 + dp * 17) & 0x7fff)
            f = outer + pack("!HHHH", h, 6081, udplen, 0) + gen + f
        yield f


def write_pcap(path, it):
    n = 0
    with open(path + ".tmp", "wb", buffering=1 << 20) as fp:
        fp.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for f in it:
            fp.write(struct.pack("<IIII", n // 1000000, n % 1000000, len(f), len(f)))
            fp.write(f)
            n += 1
    os.rename(path + ".tmp", path)
    return n


# ------------------------------------------------------------ scenarios

class Scenario:
    """Parsed scn/NAME.if."""

    def __init__(self, name):
        self.name = self.sb = name
        self.nb, self.mode, self.remote, self.neigh = None, "pps", [], []
        self.streams, self.ports, self.count = {}, [], []
        for line in open(os.path.join(SCN, name.lower() + ".if")):
            w = line.split("#")[0].split()
            if not w:
                continue
            k = w[0]
            if k == "nb":
                self.nb = os.path.join(SCN, w[1] + ".nb")
            elif k == "sb":
                self.sb = w[1]
            elif k == "mode":
                self.mode = w[1]
            elif k == "stream":
                self.streams[w[1]] = dict(x.split("=", 1) for x in w[2:])
            elif k == "remote":
                self.remote.append((w[1], w[2], w[3], w[4:]))
            elif k == "neigh":
                self.neigh.append((w[1], w[2]))
            elif k == "count":
                self.count = w[1:]
            elif k in ("vif", "phys", "late", "late-phys"):
                self.ports.append((k, w[1], w[2]))
            else:
                raise ValueError("%s: %s" % (name, line))

    def make_pcaps(self, n, d):
        """Writes d/STREAM.pcap; returns {stream: (path, packets)}."""
        os.makedirs(d, exist_ok=True)
        out, flows = {}, {}
        for nm, st in self.streams.items():
            src = st.get("reply")
            if src:
                o = self.streams[src]
                st = {**o, "smac": o["dmac"], "dmac": o["smac"], **st}
                fl = reply_flows(self.streams[nm], flows[src])
            else:
                flows[nm] = fl = make_flows(st, n)
                if "unwanted" in st:
                    shape, _, times = st["unwanted"].partition("*")
                    fl = list(mixed(fl, unwanted_flows(shape, n * int(times or 1), fl)))
            path = os.path.join(d, nm + ".pcap")
            out[nm] = (path, write_pcap(path, frames(st, fl)))
        return out
