/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The kernel types that listenq-top depends on, reduced by hand to the members it reads. Offsets
 * and sizes here mean nothing: every access is relocated by CO-RE against the running kernel's BTF.
 * Adding a member here is adding a dependency on the kernel: say in docs/internals.md what for.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef signed short __s16;
typedef unsigned int __u32;
typedef signed int __s32;
typedef unsigned long long __u64;
typedef signed long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_NOEXIST = 1,
	BPF_RB_NO_WAKEUP = 1U << 0,
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_SK_STORAGE_GET_F_CREATE = 1U << 0,
};

enum {
	TCP_SYN_RECV = 3,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12,
};

enum sock_flags {
	SOCK_DONE = 1, /* the peer has sent its FIN */
};

enum {
	AF_INET = 2,
	AF_INET6 = 10,
	SOCK_STREAM = 1,
	IPPROTO_TCP = 6,
	IPPROTO_MPTCP = 262,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic64_t;

typedef struct {
	unsigned int val;
} kuid_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct linux_mib {
	unsigned long mibs[1];
};

/* The members that say "percpu" in the kernel: an address is for one CPU after its offset is added.
 */
struct netns_mib {
	struct linux_mib *net_statistics;
};

struct netns_ipv4 {
	__u8 sysctl_tcp_syncookies;
	__u8 sysctl_tcp_migrate_req;
	int sysctl_max_syn_backlog;
};

struct net {
	struct ns_common ns;
	struct netns_mib mib;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup
		*cgroup; /* since 5.15 (8520e224f547); before, a tagged word: not read there */
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_reuseport : 1;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	unsigned long skc_flags; /* bits of enum sock_flags */
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	struct sock *skc_listener; /* in a request socket: rsk_listener */
};

struct numa_drop_counters {
	atomic_t drops0;
	atomic_t drops1;
};

struct socket;

struct sock {
	struct sock_common __sk_common;
	atomic_t sk_drops;
	struct numa_drop_counters *sk_drop_counters; /* since 6.18 */
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	kuid_t sk_uid;
	__u16 sk_protocol;
	struct socket *sk_socket;
	unsigned long sk_ino; /* since 6.18; u64 since 7.x, the same size on 64 bits */
	struct sock_cgroup_data sk_cgrp_data;
};

struct inode {
	unsigned long i_ino;
};

typedef enum {
	SS_FREE,
	SS_UNCONNECTED,
	SS_CONNECTING,
	SS_CONNECTED,
	SS_DISCONNECTING,
} socket_state;

struct socket {
	socket_state state;
	short type;
	struct sock *sk;
};

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct fastopen_queue {
	int qlen;
	int max_qlen;
};

struct timer_list {
	void (*function)(struct timer_list *timer);
};

struct request_sock {
	struct sock_common __req_common;
	struct request_sock *dl_next;
	__u8 num_timeout : 7;
	struct timer_list rsk_timer;
	struct sock *sk; /* the connection, once it is in the accept queue */
};

struct inet_request_sock {
	struct request_sock req;
};

struct tcp_request_sock {
	struct inet_request_sock req;
	__u64 snt_synack;
	_Bool tfo_listener;
};

struct request_sock_queue {
	__u8 rskq_defer_accept;
	atomic_t qlen;
	atomic_t young;
	struct request_sock *rskq_accept_head;
	struct request_sock *rskq_accept_tail;
	struct fastopen_queue fastopenq;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct request_sock_queue icsk_accept_queue;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_received;
	struct {
		__u64 time;
	} rcvq_space;
};

struct mptcp_sock {
	struct sock *first;
};

struct sk_buff {
	char cb[48];
};

struct tcp_skb_cb {
	__u8 tcp_flags; /* two bytes since 6.16: the lower has the flags that are asked for here */
};

/* inet_csk_accept() has two arguments where this exists (6.10), four before. */
struct proto_accept_arg {
	int flags;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct file {
	void *private_data;
};

struct task_struct {
	int tgid;
	struct task_struct *group_leader;
	struct files_struct *files;
	char comm[16];
};

struct seq_file;

struct bpf_map {
	__u32 id;
};

struct bpf_array {
	struct bpf_map map;
	void *pptrs[1]; /* of a per-CPU array: the per-CPU addresses of its elements */
};

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

/* What the portable way's tracepoints of system calls have as context. */
struct trace_event_raw_sys_exit {
	long id;
	long ret;
};

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

#pragma clang attribute pop

/* Contexts: user-visible, so their layout is fixed. */
struct bpf_sock {
	__u32 bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
	__be16 dst_port;
	__u32 dst_ip4, dst_ip6[4], state;
	__s32 rx_queue_mapping;
};

struct __sk_buff {
	__u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto,
		priority, ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data,
		data_end, napi_id, family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4],
		remote_port, local_port, data_meta;
	__u64 flow_keys __attribute__((aligned(8)));
	__u64 tstamp;
	__u32 wire_len, gso_segs;
	struct bpf_sock *sk __attribute__((aligned(8)));
};

struct xdp_md {
	__u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct bpf_sock_tuple {
	union {
		struct {
			__be32 saddr, daddr;
			__be16 sport, dport;
		} ipv4;
		struct {
			__be32 saddr[4], daddr[4];
			__be16 sport, dport;
		} ipv6;
	};
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip,
		cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};
struct pt_regs {
	struct user_pt_regs user_regs;
};
#endif

#endif /* __VMLINUX_H__ */
