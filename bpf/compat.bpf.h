/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Every difference between kernels that reading a listener meets, one accessor each, with the
 * kernel that made the difference and what is lost on the other side. Feature by feature, never by
 * version: CO-RE asks the running kernel's BTF, and the verifier drops the branch that does not
 * apply.
 */
#ifndef LISTENQ_COMPAT_BPF_H
#define LISTENQ_COMPAT_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>

#include "listenq/abi.h"

/*
 * The struct sock inside a tcp_sock, in one expression, so that every relocation starts at
 * tcp_sock. The kernel's own relocation keeps candidates per type name in a small hash, and there
 * "sock" and "kernfs_node" share a slot (vmlinux_cand_cache): with both as starting points each
 * program would make it scan all of BTF again, which doubles the time to load.
 */
#define SK(tp) ((tp)->inet_conn.icsk_inet.sk)

/*
 * Since 6.2 (a35b9af4ec2c) any address can be read through as a pointer to a given type: a load
 * that faults yields 0, at the price of a few instructions, where bpf_probe_read_kernel() is a call
 * of some sixty. Set by user space where the kernel's BTF has the function; where it has not the
 * verifier drops that branch.
 */
const volatile __u8 listenq_typed_reads = 0;

extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

#define TYPED(p) ((typeof(p))bpf_rdonly_cast((p), bpf_core_type_id_kernel(typeof(*(p)))))

/*
 * How the kernel's memory is read. LOAD follows a pointer whose type the kernel vouches for, as
 * that of LISTENER(); programs whose pointers are mere numbers (kprobes) define LISTENQ_PROBED, and
 * read by helper where there are no typed reads. READ follows any pointer. LOAD_PROBED is for what
 * is seldom read and not covered by the kernel's type.
 */
#define LOAD_PROBED(e)                                                                             \
	({                                                                                         \
		typeof(e) __value;                                                                 \
		bpf_probe_read_kernel((void *)&__value, sizeof(__value), (const void *)&(e));      \
		__value;                                                                           \
	})

#define READ(p, member)                                                                            \
	({                                                                                         \
		typeof((p)->member) __read;                                                        \
		if (listenq_typed_reads)                                                           \
			__read = TYPED(p)->member;                                                 \
		else                                                                               \
			__read = LOAD_PROBED((p)->member);                                         \
		__read;                                                                            \
	})

#ifdef LISTENQ_PROBED
#define LOAD(e)                                                                                    \
	({                                                                                         \
		typeof(e) __load;                                                                  \
		if (listenq_typed_reads)                                                           \
			__load = (e);                                                              \
		else                                                                               \
			__load = LOAD_PROBED(e);                                                   \
		__load;                                                                            \
	})
#define LISTENER(sk)                                                                               \
	(listenq_typed_reads ? TYPED((struct tcp_sock *)(sk)) : (struct tcp_sock *)(sk))
#else
#define LISTENQ_DIRECT
#define LOAD(e) (e)
#define LISTENER(sk)                                                                               \
	(listenq_typed_reads ? TYPED((struct tcp_sock *)(sk)) : bpf_skc_to_tcp_sock(sk))
#endif

/*
 * Set by user space after trying: bpf_get_socket_cookie() in tracing programs came with 5.12
 * (c5dbb89fc2ac). Without it a cookie is known only once somebody asked for it through sock_diag.
 */
const volatile __u8 listenq_cookie_helper = 1;

/*
 * Set by user space after trying: a kernel locked down for confidentiality refuses programs that
 * read its memory by helper. Then the inode (before 6.18) and the oldest wait stay absent.
 */
const volatile __u8 listenq_probe_read = 1;

static __always_inline __u64 listener_cookie(struct tcp_sock *tp)
{
#ifdef LISTENQ_DIRECT
	if (listenq_cookie_helper)
		return bpf_get_socket_cookie(tp);
#endif
	return (__u64)LOAD(SK(tp).__sk_common.skc_cookie.counter);
}

/*
 * 6.18 keeps the inode number in the socket; before, it is in the inode next to the struct socket,
 * which only bpf_probe_read_kernel() reaches (refused under lockdown=confidentiality).
 */
static __always_inline __u64 listener_inode(struct tcp_sock *tp)
{
	if (bpf_core_field_exists(SK(tp).sk_ino))
		return LOAD(SK(tp).sk_ino);

	if (!listenq_probe_read)
		return 0;

	struct socket_alloc *alloc = (struct socket_alloc *)LOAD(SK(tp).sk_socket);
	return alloc ? BPF_CORE_READ(alloc, vfs_inode.i_ino) : 0;
}

/*
 * Listener drops go to sk_drops; since 6.18 a socket may have two counters, one a NUMA half,
 * instead (6.18, "net: add sk_drop_counters"). sk_drops_read() adds them in the same way.
 */
static __always_inline __u32 listener_drops(struct tcp_sock *tp)
{
	if (bpf_core_field_exists(SK(tp).sk_drop_counters)) {
		struct numa_drop_counters *numa = LOAD(SK(tp).sk_drop_counters);

		if (numa)
			return (__u32)LOAD(numa->drops0.counter) +
			       (__u32)LOAD(numa->drops1.counter);
	}
	return (__u32)LOAD(SK(tp).sk_drops.counter);
}

/*
 * Since 5.15 (8520e224f547) the socket points at its cgroup. Before, the word is tagged and may
 * hold a net_cls id instead: there the id stays absent, and user space has the owner's cgroup.
 */
static __always_inline __u64 listener_cgroup(struct tcp_sock *tp)
{
	if (!bpf_core_field_exists(SK(tp).sk_cgrp_data.cgroup))
		return 0;

	struct cgroup *cgroup = LOAD(SK(tp).sk_cgrp_data.cgroup);
	if (!cgroup)
		return 0;
	struct kernfs_node *node = LOAD(cgroup->kn);
	return node ? LOAD(node->id) : 0;
}

static __always_inline __u8 listener_ipv6only(struct tcp_sock *tp)
{
#ifdef LISTENQ_DIRECT
	return (__u8)BPF_CORE_READ_BITFIELD(tp, inet_conn.icsk_inet.sk.__sk_common.skc_ipv6only);
#else
	return (__u8)BPF_CORE_READ_BITFIELD_PROBED(tp,
						   inet_conn.icsk_inet.sk.__sk_common.skc_ipv6only);
#endif
}

static __always_inline __u32 netns_of(struct tcp_sock *tp)
{
	struct net *net = LOAD(SK(tp).__sk_common.skc_net.net);

	return LOAD(net->ns.inum);
}

/*
 * How long the connection at the head of the accept queue has waited, 0 when there is none, ~0 when
 * the head went away under our eyes. A request leaves the queue as its connection is accepted; the
 * receive buffer's clock of that connection (tcp_init_buffer_space()) starts when the handshake is
 * complete and next moves when the application reads, so until accept() it says since when it
 * waits. The second look at the head tells whether all that was read in between belongs together.
 */
static __always_inline __u64 listener_oldest_wait(struct tcp_sock *tp)
{
	struct request_sock *head = LOAD(tp->inet_conn.icsk_accept_queue.rskq_accept_head);
	__u64 since = 0;
	struct sock *child = 0;

	if (!head)
		return 0;
	if (!listenq_probe_read)
		return ~0ULL;
	child = LOAD_PROBED(head->sk);
	if (child)
		since = LOAD_PROBED(((struct tcp_sock *)child)->rcvq_space.time);

	struct request_sock *again = LOAD_PROBED(tp->inet_conn.icsk_accept_queue.rskq_accept_head);
	__u64 now = bpf_ktime_get_ns();

	if (again != head || !since || since * 1000 > now)
		return ~0ULL;
	return now - since * 1000;
}

static __always_inline void fill(struct listenq_listener_record *r, struct tcp_sock *tp)
{
	r->cookie = listener_cookie(tp);
	r->inode = listener_inode(tp);
	r->cgroup_id = listener_cgroup(tp);
	r->netns = netns_of(tp);
	r->uid = LOAD(SK(tp).sk_uid.val);
	r->accept_queue_len = LOAD(SK(tp).sk_ack_backlog);
	r->accept_queue_limit = LOAD(SK(tp).sk_max_ack_backlog);
	r->syn_queue_len = (__u32)LOAD(tp->inet_conn.icsk_accept_queue.qlen.counter);
	r->syn_queue_young = (__u32)LOAD(tp->inet_conn.icsk_accept_queue.young.counter);
	r->fastopen_queue_len = (__u32)LOAD(tp->inet_conn.icsk_accept_queue.fastopenq.qlen);
	r->fastopen_queue_limit = (__u32)LOAD(tp->inet_conn.icsk_accept_queue.fastopenq.max_qlen);
	r->sk_drops = listener_drops(tp);
	r->ifindex = (__u32)LOAD(SK(tp).__sk_common.skc_bound_dev_if);
	r->oldest_wait_ns = listener_oldest_wait(tp);
	r->has = (r->cookie ? LISTENQ_HAS_COOKIE : 0) | (r->inode ? LISTENQ_HAS_INODE : 0) |
		 (r->cgroup_id ? LISTENQ_HAS_CGROUP : 0) |
		 (r->oldest_wait_ns != ~0ULL ? LISTENQ_HAS_WAIT : 0);
	r->port = LOAD(SK(tp).__sk_common.skc_num);
	r->family = (__u8)LOAD(SK(tp).__sk_common.skc_family);
	r->ipv6only = listener_ipv6only(tp);

	if (r->family == AF_INET6) {
		__u32 *words = (__u32 *)r->address;

		words[0] = LOAD(SK(tp).__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[0]);
		words[1] = LOAD(SK(tp).__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[1]);
		words[2] = LOAD(SK(tp).__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2]);
		words[3] = LOAD(SK(tp).__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3]);
	} else {
		*(__u32 *)r->address = LOAD(SK(tp).__sk_common.skc_rcv_saddr);
	}
}

#endif /* LISTENQ_COMPAT_BPF_H */
