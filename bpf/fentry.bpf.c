/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Counting by fentry and fexit: the cheapest way, where the kernel has BPF trampolines. What is
 * done at each event is in count.bpf.h; here is where each is seen. Arguments are taken by
 * position, and only those that all kernels agree on (docs/internals.md).
 */
#include "count.bpf.h"

/* The arguments of tcp_v4_route_req() and tcp_v6_route_req(), which grew from 3 to 5. */
const volatile __u32 listenq_route_arguments = 3;

SEC("fentry/tcp_conn_request")
int BPF_PROG(syn_in, void *ops, void *af_ops, struct sock *sk)
{
	struct tcp_sock *tp = LISTENER(sk);

	if (tp)
		syn_enters(tp);
	return 0;
}

SEC("fexit/tcp_conn_request")
int BPF_PROG(syn_out, void *ops, void *af_ops, struct sock *sk)
{
	struct tcp_sock *tp = LISTENER(sk);

	if (tp)
		syn_leaves(tp);
	return 0;
}

/*
 * An argument, or behind the last one what the function returned. In assembler, because the
 * compiler would merge the places that a value may have into one with a computed address, which the
 * verifier refuses in the context.
 */
#define SLOT(ctx, n)                                                                               \
	({                                                                                         \
		__u64 __slot;                                                                      \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(__slot) : "r"(ctx), "i"((n)*8));      \
		__slot;                                                                            \
	})

static __always_inline int route_found(__u64 *ctx)
{
	if (listenq_route_arguments == 3)
		return SLOT(ctx, 3) != 0;
	if (listenq_route_arguments == 4)
		return SLOT(ctx, 4) != 0;
	return SLOT(ctx, 5) != 0;
}

SEC("fexit/tcp_v4_route_req")
int route_v4(__u64 *ctx)
{
	route_leaves(route_found(ctx));
	return 0;
}

SEC("fexit/tcp_v6_route_req")
int route_v6(__u64 *ctx)
{
	route_leaves(route_found(ctx));
	return 0;
}

SEC("fentry/tcp_make_synack")
int synack(__u64 *ctx)
{
	synack_made(ctx[5]);
	return 0;
}

/* Of a register that holds a bool only the lowest byte is defined. */
#define IS_TRUE(argument) (((argument)&0xff) != 0)

SEC("fentry/tcp_check_req")
int BPF_PROG(ack_in, struct sock *sk, struct sk_buff *skb, void *req, __u64 fastopen)
{
	struct tcp_sock *tp = IS_TRUE(fastopen) ? 0 : LISTENER(sk);

	if (tp)
		ack_enters(tp, tcp_flags(skb));
	return 0;
}

SEC("fexit/tcp_check_req")
int BPF_PROG(ack_out, struct sock *sk, struct sk_buff *skb, void *req, __u64 fastopen)
{
	struct tcp_sock *tp = IS_TRUE(fastopen) ? 0 : LISTENER(sk);

	if (tp)
		ack_leaves(tp);
	return 0;
}

SEC("fentry/cookie_v4_check")
int BPF_PROG(cookie_v4_in, struct sock *sk)
{
	struct tcp_sock *tp = LISTENER(sk);

	if (tp)
		cookie_enters(tp);
	return 0;
}

SEC("fexit/cookie_v4_check")
int BPF_PROG(cookie_v4_out, struct sock *sk)
{
	struct tcp_sock *tp = LISTENER(sk);

	if (tp)
		cookie_leaves(tp);
	return 0;
}

SEC("fentry/cookie_v6_check")
int BPF_PROG(cookie_v6_in, struct sock *sk)
{
	struct tcp_sock *tp = LISTENER(sk);

	if (tp)
		cookie_enters(tp);
	return 0;
}

SEC("fexit/cookie_v6_check")
int BPF_PROG(cookie_v6_out, struct sock *sk)
{
	struct tcp_sock *tp = LISTENER(sk);

	if (tp)
		cookie_leaves(tp);
	return 0;
}

SEC("fentry/tcp_req_err")
int error_in(__u64 *ctx)
{
	error_enters((struct request_sock *)ctx[0]);
	return 0;
}

SEC("fexit/tcp_req_err")
int error_out(__u64 *ctx)
{
	error_leaves((__u64)listener_of((struct request_sock *)ctx[0]));
	return 0;
}

SEC("fexit/inet_csk_reqsk_queue_add")
int BPF_PROG(queued, struct sock *sk, struct request_sock *req, struct sock *child,
	     struct sock *added)
{
	struct tcp_sock *tp = added ? LISTENER(sk) : 0;

	if (tp)
		count_queued(tp, req, ends_handshake(tp, child->__sk_common.skc_state));
	return 0;
}

SEC("fentry/inet_csk_complete_hashdance")
int complete_in(__u64 *ctx)
{
	completion_enters();
	return 0;
}

SEC("fexit/inet_csk_complete_hashdance")
int BPF_PROG(complete_out, struct sock *sk, struct sock *child, struct request_sock *req, __u64 own,
	     struct sock *completed)
{
	struct tcp_sock *tp = completed ? LISTENER(sk) : 0;

	if (tp)
		completion_leaves(tp, req);
	return 0;
}

SEC("fexit/inet_csk_accept")
int accepted(__u64 *ctx)
{
	struct tcp_sock *tp = (struct tcp_sock *)ctx[0];
	__u64 child;

	if (bpf_core_type_exists(struct proto_accept_arg))
		child = SLOT(ctx, 2);
	else
		child = SLOT(ctx, 4);
	if (!child)
		return 0;

	struct listenq_counts *c = counts_of(tp);
	if (c)
		count_left(c, (struct tcp_sock *)child);
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(synack_again, struct sock *sk, struct request_sock *req)
{
	count_synack_again(req);
	return 0;
}

SEC("fentry/reqsk_timer_handler")
int request_timer_in(__u64 *ctx)
{
	timer_begins(ctx[0]);
	return 0;
}

SEC("fexit/reqsk_timer_handler")
int request_timer_out(__u64 *ctx)
{
	timer_ends(ctx[0]);
	return 0;
}

SEC("fentry/inet_csk_listen_stop")
int BPF_PROG(listener_closes, struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (tp)
		count_closed(tp);
	return 0;
}

SEC("fexit/__sys_listen")
int BPF_PROG(listen_called, int fd, int backlog, int error)
{
	struct tcp_sock *tp = error ? 0 : socket_of((__u32)fd);

	if (tp)
		note_listen(tp, backlog);
	return 0;
}
