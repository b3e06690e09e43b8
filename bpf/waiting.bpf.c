/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Who waits in the accept queue of a listener. Iterators, as in listenq.bpf.c, but in an object of
 * their own, which is loaded when somebody first asks: nobody else shall pay for it.
 *
 *   iter__waiting_marked the listeners that listenq.bpf.c has marked, of all namespaces at once
 *   iter__waiting_tcp    those of one network namespace, from the kernel's listening hash
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "compat.bpf.h"
#include "listenq/abi.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Cookie of a listener, or its inode with LISTENQ_ASKED_BY_INODE -> its number in user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LISTENQ_ASKED_MAX);
	__type(key, __u64);
	__type(value, __u32);
} asked SEC(".maps");

/* Set by user space between reads: a key in the map is that of an inode. */
__u32 listenq_inodes_asked = 0;

static __always_inline __u32 *number_of(struct tcp_sock *tp)
{
	__u64 key = listener_cookie(tp);
	__u32 *number = bpf_map_lookup_elem(&asked, &key);

	if (number || !listenq_inodes_asked)
		return number;
	key = listener_inode(tp) | LISTENQ_ASKED_BY_INODE;
	return bpf_map_lookup_elem(&asked, &key);
}

/*
 * A connection that nobody has accepted has read nothing, so what it received is all there to read.
 * The kernel counts the FIN as a byte, and subtracts it where it tells how much there is
 * (tcp_inq()).
 */
static __always_inline void fill_waiting(struct listenq_waiting_record *r, struct tcp_sock *child)
{
	__u64 since = LOAD_PROBED(child->rcvq_space.time) * 1000;
	__u64 bytes = LOAD_PROBED(child->bytes_received);
	__u64 done = (LOAD_PROBED(SK(child).__sk_common.skc_flags) >> SOCK_DONE) & 1;
	__u64 now = bpf_ktime_get_ns();

	r->received_bytes = bytes >= done ? bytes - done : 0;
	r->has = LISTENQ_WAITING_HAS_BYTES;
	if (since && since <= now) {
		r->wait_ns = now - since;
		r->has |= LISTENQ_WAITING_HAS_WAIT;
	}
	r->family = (__u8)LOAD_PROBED(SK(child).__sk_common.skc_family);
	r->port = bpf_ntohs(LOAD_PROBED(SK(child).__sk_common.skc_dport));
	if (r->family == AF_INET6)
		bpf_probe_read_kernel(r->address, sizeof(r->address),
				      &SK(child).__sk_common.skc_v6_daddr);
	else
		bpf_probe_read_kernel(r->address, 4, &SK(child).__sk_common.skc_daddr);
}

/*
 * The queue is walked without its lock, while connections are accepted from its head. Request
 * sockets are of one slab that keeps them request sockets while we look (SLAB_TYPESAFE_BY_RCU): the
 * worst is one that was accepted in this moment, or that serves another listener by now, which ends
 * the walk. Those of SYN cookies name no listener.
 */
static __always_inline int look(struct seq_file *seq, struct tcp_sock *tp)
{
	struct listenq_waiting_record record = {};
	__u32 *number = number_of(tp);

	if (!number)
		return 0;
	record.index = *number;
	record.has = LISTENQ_WAITING_BEGIN;
	bpf_seq_write(seq, &record, sizeof(record));

	struct request_sock *request = tp->inet_conn.icsk_accept_queue.rskq_accept_head;

	for (int i = 0; i < LISTENQ_WAITING_MAX; i++) {
		if (!request)
			break;
		struct sock *listener = LOAD_PROBED(request->__req_common.skc_listener);
		struct tcp_sock *child = (struct tcp_sock *)LOAD_PROBED(request->sk);

		if (!child || (listener && listener != (struct sock *)tp))
			break;
		__builtin_memset(record.address, 0, sizeof(record.address));
		record.wait_ns = 0;
		fill_waiting(&record, child);
		bpf_seq_write(seq, &record, sizeof(record));
		request = LOAD_PROBED(request->dl_next);
	}
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int iter__waiting_marked(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct tcp_sock *sk = (struct tcp_sock *)ctx->sk;

	if (!sk || SK(sk).__sk_common.skc_state != TCP_LISTEN)
		return 0;

	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	return tp ? look(ctx->meta->seq, tp) : 0;
}

SEC("iter/tcp")
int iter__waiting_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;

	if (!skc)
		return 0;
	/* All listeners come first: see iter__tcp in listenq.bpf.c. */
	if (skc->skc_state != TCP_LISTEN)
		return 1;

	struct tcp_sock *tp = bpf_skc_to_tcp_sock(skc);
	return tp ? look(ctx->meta->seq, tp) : 0;
}
