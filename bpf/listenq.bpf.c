/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The iterators that read listeners. None is attached to anything that happens in the kernel: each
 * runs only while user space reads from its file descriptor, and all end with the process.
 * A struct sock is read through a tcp_sock that begins with it: SK() in compat.bpf.h says why.
 *
 *   iter__tcp        the listeners of one network namespace, from the kernel's listening hash
 *   iter__task_file  every descriptor of every process: which of them are listeners, and whose
 *   iter__sk_storage the listeners that the two above have marked, of all namespaces at once
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "compat.bpf.h"
#include "listenq/abi.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Set by user space between reads. Where iter/tcp alone reads a namespace its marks would never be
 * looked for, and where all listeners were read already only their owners are missing.
 */
__u32 listenq_skip_marks = 0;
__u32 listenq_owners_only = 0;

#ifdef LISTENQ_ONCE
/* The object for a single sample: it starts faster without what only the next one would use. */
#define mark(tp) ((void)(tp))
#else
/*
 * The mark. A listener in this map is found again without walking a hash table: the established
 * hash is shared by all namespaces, and in one that holds few connections iter/tcp would walk most
 * of it before it finds one to stop at. The value says nothing; the kernel frees it with the
 * socket.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} marked SEC(".maps");

/* Set by user space after trying: bpf_sk_storage_get() in iterators came with 5.11 (8e4597c627fb).
 */
const volatile __u8 listenq_mark = 1;

/* Marks that the kernel refused (its memory limit for socket options, or no memory). */
__u64 listenq_marks_refused = 0;

static __always_inline void mark(struct tcp_sock *tp)
{
	__u32 value = 1;

	if (listenq_mark && !listenq_skip_marks &&
	    !bpf_sk_storage_get(&marked, tp, &value, BPF_SK_STORAGE_GET_F_CREATE))
		__sync_fetch_and_add(&listenq_marks_refused, 1);
}
#endif

SEC("iter/tcp")
int iter__tcp(struct bpf_iter__tcp *ctx)
{
	struct listenq_listener_record record = {};
	struct sock_common *skc = ctx->sk_common;

	if (!skc)
		return 0;
	/*
	 * All listeners come first (tcp_get_idx(), bpf_iter_tcp_*()), so the first other socket
	 * ends the walk: 1 becomes -EAGAIN for the reader, who has had all there is.
	 */
	if (skc->skc_state != TCP_LISTEN)
		return 1;

	struct tcp_sock *tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;

	fill(&record, tp);
	mark(tp);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

SEC("iter/task_file")
int iter__task_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	/* Read the context once: for 6.1's verifier a second read may be NULL again. */
	if (!task || !file)
		return 0;

	/*
	 * inet_listen() and mptcp_listen() take only an unconnected stream socket, and it stays
	 * one. Asking here spares the cache line of every connection's struct sock.
	 */
	struct socket *socket = bpf_sock_from_file(file);
	if (!socket || socket->state != SS_UNCONNECTED || socket->type != SOCK_STREAM)
		return 0;
	struct tcp_sock *sk = (struct tcp_sock *)socket->sk;
	if (!sk || SK(sk).__sk_common.skc_state != TCP_LISTEN)
		return 0;

	struct listenq_owner_record record = {};

	if (listenq_owners_only &&
	    (SK(sk).sk_protocol == IPPROTO_TCP || SK(sk).sk_protocol == IPPROTO_MPTCP)) {
		record.listener.inode = listener_inode(sk);
	} else if (SK(sk).sk_protocol == IPPROTO_TCP) {
		struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

		if (!tp)
			return 0;
		fill(&record.listener, tp);
		mark(tp);
		record.is_tcp = 1;
	} else if (SK(sk).sk_protocol == IPPROTO_MPTCP) {
		/* The listener is the first subflow, inside the kernel; it bears the same inode. */
		record.listener.inode = listener_inode(sk);
	} else {
		return 0;
	}

	record.tgid = (__u32)task->tgid;
	bpf_probe_read_kernel_str(record.comm, sizeof(record.comm), task->group_leader->comm);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

#ifndef LISTENQ_ONCE
SEC("iter/bpf_sk_storage_map")
int iter__sk_storage(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct listenq_listener_record record = {};
	struct tcp_sock *sk = (struct tcp_sock *)ctx->sk;

	/* A listener that was closed is still marked until its last reference is gone. */
	if (!sk || SK(sk).__sk_common.skc_state != TCP_LISTEN)
		return 0;

	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	fill(&record, tp);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}
#endif
