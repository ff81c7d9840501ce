/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steering on a NIC that sluice shares with the kernel: what is ours goes to our AF_XDP sockets, all
 * else goes on to the kernel as if we were not there.
 *
 * Ours is, in this order:
 *  - a frame with a VLAN tag of a localnet port (outermost tag, 802.1Q or 802.1ad);
 *  - untagged, or tagged with VID 0, for a unicast address that is not the NIC's, when an untagged
 *    localnet port is served: the kernel would drop it. Broadcast and multicast stay with the kernel,
 *    which needs them as well (ARP); sluice takes copies of those by a packet socket;
 *  - an untagged tunnel packet: destination address and (protocol, port) are in the maps.
 *
 * What is left to the kernel though it may look like ours: fragments (tunnels send none, and the
 * kernel's own traffic may), tunnel packets inside a VLAN tag (their address is the kernel's on
 * another device), packets with a routing or unknown extension header, and whatever is cut off
 * before the ports. IPv4 options, hop-by-hop and destination options are skipped. Length fields and
 * checksums are not looked at: the data path does.
 *
 * A queue without a socket falls back to the kernel and is counted. Maps are written while packets
 * pass: every value is one word, or is set before the first packet.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pmd/bpf/steer.h"

#define OUTER_VID_MASK 0x0fff
#define FRAGMENT_MASK 0x3fff /* offset, or more to come */
#define MAX_EXTENSIONS 4
#define NOT_OURS STEER_KERNEL

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, STEER_MAX_QUEUES);
    __type(key, __u32);
    __type(value, __u32);
} steer_xsks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, STEER_MAX_PORTS);
    __type(key, struct steer_listen);
    __type(value, __u32);
} steer_ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, STEER_MAX_ADDRESSES);
    __type(key, struct steer_address);
    __type(value, __u32);
} steer_addrs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, STEER_VLANS);
    __type(key, __u32);
    __type(value, __u32);
} steer_vlans SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct steer_device);
} steer_device SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STEER_KINDS);
    __type(key, __u32);
    __type(value, __u64);
} steer_counts SEC(".maps");

static __always_inline void count(__u32 kind) {
    __u64 *counter = bpf_map_lookup_elem(&steer_counts, &kind);
    if (counter)
        ++*counter;
}

static __always_inline int is_our_address(const struct steer_address *address) {
    return bpf_map_lookup_elem(&steer_addrs, address) != 0;
}

static __always_inline __u32 by_port(const __u16 *ports, void *end, __u8 protocol) {
    struct steer_listen key = {};
    __u32 *kind;

    if ((void *)(ports + 2) > end)
        return NOT_OURS;
    key.port = ports[1];
    key.protocol = protocol;
    kind = bpf_map_lookup_elem(&steer_ports, &key);
    return kind ? *kind : NOT_OURS;
}

static __always_inline __u32 classify_ip4(struct iphdr *ip, void *end) {
    struct steer_address address = {};
    __u32 header;

    if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
        return NOT_OURS;
    address.bytes[10] = 0xff;
    address.bytes[11] = 0xff;
    __builtin_memcpy(&address.bytes[12], &ip->daddr, 4);
    if ((ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP) || !is_our_address(&address))
        return NOT_OURS;
    if (ip->frag_off & bpf_htons(FRAGMENT_MASK))
        return STEER_FRAGMENT;
    header = ip->ihl * 4;
    return by_port((void *)ip + header, end, ip->protocol);
}

static __always_inline __u32 classify_ip6(struct ipv6hdr *ip, void *end) {
    struct steer_address address;
    void *next = ip + 1;
    __u8 protocol;
    int i;

    if ((void *)(ip + 1) > end || ip->version != 6)
        return NOT_OURS;
    __builtin_memcpy(address.bytes, &ip->daddr, 16);
    if (!is_our_address(&address))
        return NOT_OURS;
    protocol = ip->nexthdr;
#pragma unroll
    for (i = 0; i < MAX_EXTENSIONS; i++) {
        struct ipv6_opt_hdr *option = next;
        if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_DSTOPTS)
            break;
        if ((void *)(option + 1) > end)
            return NOT_OURS;
        protocol = option->nexthdr;
        next += (option->hdrlen + 1) * 8;
    }
    if (protocol == IPPROTO_FRAGMENT)
        return STEER_FRAGMENT;
    if (protocol != IPPROTO_UDP && protocol != IPPROTO_TCP)
        return NOT_OURS;
    return by_port(next, end, protocol);
}

static __always_inline int is_tag(__u16 type) {
    return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

/* memcmp() of six bytes would be a call to a library that is not there. */
static __always_inline int is_same_mac(const __u8 *a, const __u8 *b) {
    __u8 differs = 0;
    int i;
#pragma unroll
    for (i = 0; i < ETH_ALEN; i++)
        differs |= a[i] ^ b[i];
    return !differs;
}

static __always_inline __u32 classify(void *data, void *end) {
    struct ethhdr *eth = data;
    struct steer_device *device;
    const __u32 zero = 0;

    if ((void *)(eth + 1) > end)
        return NOT_OURS;
    if (is_tag(eth->h_proto)) {
        const __u16 *tci = (void *)(eth + 1);
        __u32 vid, *wanted;
        if ((void *)(tci + 2) > end)
            return NOT_OURS;
        vid = bpf_ntohs(*tci) & OUTER_VID_MASK;
        wanted = bpf_map_lookup_elem(&steer_vlans, &vid);
        if (wanted && *wanted)
            return STEER_TAGGED;
        if (vid)
            return NOT_OURS;
    }
    device = bpf_map_lookup_elem(&steer_device, &zero);
    if (device && device->takes_untagged && !(eth->h_dest[0] & 1) &&
        !is_same_mac(eth->h_dest, device->mac))
        return STEER_UNTAGGED;
    if (eth->h_proto == bpf_htons(ETH_P_IP))
        return classify_ip4((void *)(eth + 1), end);
    if (eth->h_proto == bpf_htons(ETH_P_IPV6))
        return classify_ip6((void *)(eth + 1), end);
    return NOT_OURS;
}

SEC("xdp.frags")
int sluice_steer(struct xdp_md *ctx) {
    __u32 kind = classify((void *)(long)ctx->data, (void *)(long)ctx->data_end);
    long verdict = XDP_PASS;

    if (kind < STEER_KERNEL) {
        verdict = bpf_redirect_map(&steer_xsks, ctx->rx_queue_index, XDP_PASS);
        if (verdict != XDP_REDIRECT)
            kind = STEER_NO_SOCKET;
    }
    count(kind);
    return verdict;
}

char _license[] SEC("license") = "Apache-2.0";
