/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the steering program (steer.bpf.c) and its loader (pmd/xdp_program.h) share: the form of map
 * keys and the kinds that are counted. C, because clang compiles it for BPF as well.
 */
#pragma once

/* The program's name in the kernel: how a later start knows it as ours. */
#define STEER_PROGRAM_NAME "sluice_steer"
#define STEER_MAX_QUEUES 64
#define STEER_MAX_ADDRESSES 256
#define STEER_MAX_PORTS 16
#define STEER_VLANS 4096

/* Why a frame went where it went; one counter each, per CPU. */
enum steer_kind {
    STEER_GENEVE, /* to sluice: a tunnel packet for one of our addresses */
    STEER_VXLAN,
    STEER_STT,
    STEER_TAGGED,    /* to sluice: a VLAN of a localnet port */
    STEER_UNTAGGED,  /* to sluice: an untagged frame for a host behind a localnet port */
    STEER_KERNEL,    /* to the kernel: not ours */
    STEER_FRAGMENT,  /* to the kernel: a piece of a packet for one of our addresses */
    STEER_NO_SOCKET, /* to the kernel: ours, but its queue is not bound */
    STEER_KINDS
};

/* Destination of a tunnel packet: IP protocol and port, both as on the wire; value: a kind. */
struct steer_listen {
    unsigned short port;
    unsigned char protocol;
    unsigned char zero;
};

/* An address of ours; IPv4 as ::ffff:a.b.c.d. */
struct steer_address {
    unsigned char bytes[16];
};

/* What the program knows of the device. */
struct steer_device {
    unsigned char mac[6];
    unsigned char takes_untagged; /* a localnet port without a tag is served here */
    unsigned char zero;
};
