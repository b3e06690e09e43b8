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
#define LISTENQ_HAS_WAIT   8u

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
	__u32 ifindex;	      /* SO_BINDTODEVICE; 0: any */
	__u64 oldest_wait_ns; /* of the head of the accept queue; only with LISTENQ_HAS_WAIT */
	__u32 has;	      /* LISTENQ_HAS_* */
	__u16 port;	      /* host byte order */
	__u8 family;	      /* AF_INET 2, AF_INET6 10 */
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

/* Bits of listenq_waiting_record.has. */
#define LISTENQ_WAITING_BEGIN	  1u /* no connection: the listener's list begins here, anew */
#define LISTENQ_WAITING_HAS_BYTES 2u
#define LISTENQ_WAITING_HAS_WAIT  4u

/* At most so many connections of one accept queue, the head first, and so many listeners a look. */
#define LISTENQ_WAITING_MAX 64
#define LISTENQ_ASKED_MAX   256

/* A listener that is asked about by its inode has this bit in its key; cookies do not get there. */
#define LISTENQ_ASKED_BY_INODE (1ULL << 63)

/* A connection in the accept queue of a listener that user space asked about. */
struct listenq_waiting_record {
	__u64 received_bytes;
	__u64 wait_ns;
	__u32 index;	  /* of the listener, as user space numbered it */
	__u16 port;	  /* of the peer, host byte order */
	__u8 family;	  /* AF_INET 2, AF_INET6 10: of the socket, so the peer may be mapped */
	__u8 has;	  /* LISTENQ_WAITING_* */
	__u8 address[16]; /* of the peer; network byte order; IPv4 in the first four */
};

/*
 * What is counted of a listener. The order up to LISTENQ_ABORTED_IN_QUEUE is that of Counter in
 * src/model/counts.h (checked there where they meet).
 */
enum listenq_counter {
	LISTENQ_SYNS,
	LISTENQ_SYNACKS,
	LISTENQ_SYNACK_RETRANSMITS,
	LISTENQ_HANDSHAKE_ACKS,
	LISTENQ_ACCEPTS,
	LISTENQ_OVERFLOWS_SYN,
	LISTENQ_OVERFLOWS_ACK,
	LISTENQ_DROPS,
	LISTENQ_DROPS_SYN_QUEUE_FULL,
	LISTENQ_DROPS_NO_MEMORY,
	LISTENQ_DROPS_NO_ROUTE,
	LISTENQ_DROPS_MAX_SYN_BACKLOG,
	LISTENQ_DROPS_DEFER_ACCEPT,
	LISTENQ_DROPS_OTHER,
	LISTENQ_COOKIES_SENT,
	LISTENQ_COOKIES_VALID,
	LISTENQ_COOKIES_INVALID,
	LISTENQ_REQUESTS_EXPIRED,
	LISTENQ_FASTOPEN_OVERFLOWS,
	LISTENQ_CLOSED_UNACCEPTED,
	LISTENQ_ABORTED_IN_QUEUE,
	LISTENQ_QUEUED, /* connections that entered the accept queue */
	LISTENQ_COUNTERS,
};

#define LISTENQ_BUCKETS 32

/* Bucket i: at most 2^i microseconds, too long for the one before; the last: all longer ones too.
 */
struct listenq_histogram {
	__u64 buckets[LISTENQ_BUCKETS];
	__u64 sum_ns;
	__u64 max_ns;
};

/*
 * Everything counted of one listener. A peak is the epoch it belongs to in the upper half (user
 * space counts epochs, one a sample) and the length in the lower; even and odd epochs have a place
 * each, so that one can be read while the other grows.
 */
struct listenq_counts {
	__u64 values[LISTENQ_COUNTERS];
	__u64 accept_queue_peak[2];
	__u64 syn_queue_peak[2];
	struct listenq_histogram accept_wait;
	struct listenq_histogram handshake_time;
	__u64 since_ns;		/* CLOCK_MONOTONIC, when the entry was made */
	__s32 listen_requested; /* argument of listen(); only with LISTENQ_LISTEN_SEEN */
	__u32 flags;		/* LISTENQ_LISTEN_*  */
};

#define LISTENQ_LISTEN_SEEN 1u /* listen_requested is known */
#define LISTENQ_FROM_BIRTH  2u /* counted from before the first connection */

/* Before the counts of each listener that has any, as iter__counts writes them. */
struct listenq_counted {
	__u64 cookie; /* 0: nobody asked for it yet */
	__u32 netns;
	__u32 accept_queue_len; /* read with the counts */
};

/* A listener that closed. */
struct listenq_closed_record {
	struct listenq_listener_record listener;
	__u64 closed_ns; /* CLOCK_MONOTONIC */
	struct listenq_counts counts;
};

/* What could not be kept, by cause: indexes of listenq_lost. */
enum listenq_lost_cause {
	LISTENQ_LOST_LISTENER_TABLE,  /* events of listeners that found no place in the table */
	LISTENQ_LOST_NAMESPACE_TABLE, /* events that not even their namespace could take */
	LISTENQ_LOST_CLOSED,	      /* closed listeners whose record found no room */
	LISTENQ_LOST_UNSETTLED,	      /* losses that could not be given to a packet */
	LISTENQ_LOST_CAUSES,
};

/* What a port is to the programs at an interface: four bits in listenq_nic_ports. */
#define LISTENQ_NIC_ANY4 1u /* a listener for every address of IPv4 */
#define LISTENQ_NIC_ANY6 2u
#define LISTENQ_NIC_GIVEN                                                                          \
	4u /* one for a given address or device: the kernel is asked whose it is */

/* The addresses of a namespace: a hash table, open addressing, half full at most. */
#define LISTENQ_NIC_ADDRESSES 256
#define LISTENQ_NIC_PROBES    16
/* Where the search begins. `words`: network byte order, IPv4 mapped into IPv6. */
#define LISTENQ_NIC_ADDRESS_HASH(words)                                                            \
	((((words)[0] ^ (words)[1] * 31u ^ (words)[2] * 131u ^ (words)[3]) * 0x9e3779b1u) >> 24)

struct listenq_nic_addresses {
	__u32 all; /* they can't be listed: every address counts as ours */
	__u32 padding;
	__u32 table[LISTENQ_NIC_ADDRESSES][4]; /* as `words` above; all 0: free */
};

/* Who loaded an object: whoever finds its filter on an interface can tell whether it still lives.
 */
struct listenq_nic_owner {
	__u64 start_ticks;   /* of the process since boot: field 22 of /proc/PID/stat */
	__u64 beat_ns;	     /* CLOCK_MONOTONIC of its last sample */
	__u32 pid;	     /* in its pid namespace */
	__u32 pid_namespace; /* inode number */
	__u32 made_qdisc;    /* the clsact qdisc was not there before */
	__u32 magic;	     /* LISTENQ_NIC_MAGIC: it is this structure, at this place */
};

#define LISTENQ_NIC_MAGIC 0x6c716e01u

struct listenq_nic_totals {
	__u64 passed; /* all frames that came in */
	__u64 malformed;
	__u64 fragments;
	__u64 evictions; /* open connections that another one pushed out of the table */
};

/* Of one port at one interface. */
struct listenq_nic_counts {
	__u64 syn_in;
	__u64 syn_known; /* of these, those of a request or a connection that is there already */
	__u64 synack_out;
	__u64 ack_in;
	__u64 rst_in;
	struct listenq_histogram handshake_time;
};

#endif /* LISTENQ_ABI_H */
