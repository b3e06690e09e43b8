/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The records that the BPF programs write and user space reads: the only copy.
 * Fixed-width members, explicit padding, no bool, pointers or bitfields, so that both compilers
 * lay them out alike; the C++ side checks the sizes (src/probe/bpf_backend.cpp).
 *
 * The includer brings __u8..__u64: <linux/types.h> in user space, the reduced vmlinux.h in BPF.
 */
#ifndef LISTENQ_ABI_H
#define LISTENQ_ABI_H

#define LISTENQ_COMM_LENGTH 16

/* Bits of listenq_listener_record.has: which members this kernel could give. */
#define LISTENQ_HAS_COOKIE 1u
#define LISTENQ_HAS_INODE  2u
#define LISTENQ_HAS_CGROUP 4u

/* One socket in TCP_LISTEN, as read from its struct tcp_sock. */
struct listenq_listener_record {
	__u64 cookie;	 /* sock_gen_cookie(); the identity, with netns */
	__u64 inode;	 /* of the socket in sockfs, as in /proc/PID/fd; 0: no file */
	__u64 cgroup_id; /* of the cgroup v2 that the socket was created in */
	__u32 netns;	 /* inode number of the network namespace */
	__u32 uid;	 /* sk_uid, as the initial user namespace sees it */
	__u32 accept_queue_len;
	__u32 accept_queue_limit;
	__u32 syn_queue_len;
	__u32 syn_queue_young;
	__u32 fastopen_queue_len;
	__u32 fastopen_queue_limit;
	__u32 sk_drops;
	__u32 ifindex; /* SO_BINDTODEVICE; 0: any */
	__u32 has;     /* LISTENQ_HAS_* */
	__u16 port;    /* host byte order */
	__u8 family;   /* AF_INET 2, AF_INET6 10 */
	__u8 ipv6only;
	__u8 address[16]; /* network byte order; IPv4 in the first four */
};

/* One descriptor that refers to a listener; followed by nothing, one per (process, descriptor). */
struct listenq_owner_record {
	struct listenq_listener_record listener; /* all of it only if is_tcp */
	__u32 tgid;				 /* in the initial pid namespace */
	__u32 is_tcp; /* 1: listener is filled; 0: an MPTCP socket, or owners only: just its inode
		       */
	char comm[LISTENQ_COMM_LENGTH]; /* of the thread group leader; NUL-terminated */
};

#endif /* LISTENQ_ABI_H */
