/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Counting by kprobes and kretprobes, where the kernel has no BPF trampolines for these functions.
 * The same events as fentry.bpf.c but for accept(): a kretprobe keeps a place for every call under
 * way, and a server may have hundreds of processes asleep in inet_csk_accept(), so their returns
 * would be missed. What leaves the accept queue is seen when its request is freed.
 *
 * A return has no arguments: those of its entry are in the `moment` of the CPU, which is not left
 * in between, because all of these run with bottom halves off.
 */
#define LISTENQ_PROBED
#include "count.bpf.h"

SEC("kprobe/tcp_conn_request")
int syn_in(struct pt_regs *ctx)
{
	syn_enters(LISTENER(PT_REGS_PARM3(ctx)));
	return 0;
}

SEC("kretprobe/tcp_conn_request")
int syn_out(struct pt_regs *ctx)
{
	struct moment *m = this_moment();

	if (m && m->listener)
		syn_leaves(LISTENER(m->listener));
	return 0;
}

SEC("kretprobe/tcp_v4_route_req")
int route_v4(struct pt_regs *ctx)
{
	route_leaves(PT_REGS_RC(ctx) != 0);
	return 0;
}

SEC("kretprobe/tcp_v6_route_req")
int route_v6(struct pt_regs *ctx)
{
	route_leaves(PT_REGS_RC(ctx) != 0);
	return 0;
}

/* libbpf's headers name five. */
#if defined(__TARGET_ARCH_x86)
#define SIXTH_ARGUMENT(ctx) ((ctx)->r9)
#elif defined(__TARGET_ARCH_arm64)
#define SIXTH_ARGUMENT(ctx) ((ctx)->user_regs.regs[5])
#endif

SEC("kprobe/tcp_make_synack")
int synack(struct pt_regs *ctx)
{
	synack_made(SIXTH_ARGUMENT(ctx));
	return 0;
}

SEC("kprobe/tcp_check_req")
int ack_in(struct pt_regs *ctx)
{
	const bool fastopen = PT_REGS_PARM4(ctx) & 0xff;

	if (!fastopen)
		ack_enters(LISTENER(PT_REGS_PARM1(ctx)),
			   tcp_flags((struct sk_buff *)PT_REGS_PARM2(ctx)));
	return 0;
}

SEC("kretprobe/tcp_check_req")
int ack_out(struct pt_regs *ctx)
{
	struct moment *m = this_moment();

	if (m && m->listener)
		ack_leaves(LISTENER(m->listener));
	return 0;
}

SEC("kprobe/cookie_v4_check")
int cookie_v4_in(struct pt_regs *ctx)
{
	cookie_enters(LISTENER(PT_REGS_PARM1(ctx)));
	return 0;
}

SEC("kretprobe/cookie_v4_check")
int cookie_v4_out(struct pt_regs *ctx)
{
	struct moment *m = this_moment();

	if (m && m->listener)
		cookie_leaves(LISTENER(m->listener));
	return 0;
}

SEC("kprobe/cookie_v6_check")
int cookie_v6_in(struct pt_regs *ctx)
{
	cookie_enters(LISTENER(PT_REGS_PARM1(ctx)));
	return 0;
}

SEC("kretprobe/cookie_v6_check")
int cookie_v6_out(struct pt_regs *ctx)
{
	struct moment *m = this_moment();

	if (m && m->listener)
		cookie_leaves(LISTENER(m->listener));
	return 0;
}

SEC("kprobe/tcp_req_err")
int error_in(struct pt_regs *ctx)
{
	error_enters((struct request_sock *)PT_REGS_PARM1(ctx));
	return 0;
}

SEC("kretprobe/tcp_req_err")
int error_out(struct pt_regs *ctx)
{
	struct moment *m = this_moment();

	if (m && m->listener)
		error_leaves(m->listener);
	return 0;
}

SEC("kprobe/inet_csk_reqsk_queue_add")
int queue_in(struct pt_regs *ctx)
{
	struct moment *m = this_moment();
	struct sock *child = (struct sock *)PT_REGS_PARM3(ctx);

	if (!m)
		return 0;
	m->queued_on = PT_REGS_PARM1(ctx);
	m->queued_request = PT_REGS_PARM2(ctx);
	m->queued_state = READ(child, __sk_common.skc_state);
	return 0;
}

SEC("kretprobe/inet_csk_reqsk_queue_add")
int queue_out(struct pt_regs *ctx)
{
	struct moment *m = this_moment();
	struct tcp_sock *tp;

	if (!m || !m->queued_on)
		return 0;
	tp = LISTENER(m->queued_on);
	m->queued_on = 0;
	if (PT_REGS_RC(ctx))
		count_queued(tp, (struct request_sock *)m->queued_request,
			     ends_handshake(tp, (__u8)m->queued_state));
	return 0;
}

SEC("kprobe/inet_csk_complete_hashdance")
int complete_in(struct pt_regs *ctx)
{
	struct moment *m = this_moment();

	completion_enters();
	if (!m)
		return 0;
	m->completed_on = PT_REGS_PARM1(ctx);
	m->completed_request = PT_REGS_PARM3(ctx);
	return 0;
}

SEC("kretprobe/inet_csk_complete_hashdance")
int complete_out(struct pt_regs *ctx)
{
	struct moment *m = this_moment();

	if (m && m->completed_on && PT_REGS_RC(ctx))
		completion_leaves(LISTENER(m->completed_on),
				  (struct request_sock *)m->completed_request);
	return 0;
}

/*
 * A request is freed. One that went through the accept queue has its connection in `sk`; when its
 * listener still listens, accept() took it, and has not returned yet.
 */
static __always_inline void request_freed(struct request_sock *req)
{
	struct sock *child = READ(req, sk);
	struct tcp_sock *tp = listener_of(req);

	if (!child || !tp || READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_state) != TCP_LISTEN)
		return;

	struct listenq_counts *c = counts_of(tp);
	if (c)
		count_left(c, (struct tcp_sock *)child);
}

SEC("kprobe/tcp_v4_reqsk_destructor")
int left_v4(struct pt_regs *ctx)
{
	request_freed((struct request_sock *)PT_REGS_PARM1(ctx));
	return 0;
}

SEC("kprobe/tcp_v6_reqsk_destructor")
int left_v6(struct pt_regs *ctx)
{
	request_freed((struct request_sock *)PT_REGS_PARM1(ctx));
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(synack_again, struct sock *sk, struct request_sock *req)
{
	count_synack_again(req);
	return 0;
}

SEC("kprobe/reqsk_timer_handler")
int request_timer_in(struct pt_regs *ctx)
{
	timer_begins(PT_REGS_PARM1(ctx));
	return 0;
}

SEC("kretprobe/reqsk_timer_handler")
int request_timer_out(struct pt_regs *ctx)
{
	struct moment *m = this_moment();

	if (m && m->timer)
		timer_ends(m->timer);
	return 0;
}

SEC("kprobe/inet_csk_listen_stop")
int listener_closes(struct pt_regs *ctx)
{
	count_closed(LISTENER(PT_REGS_PARM1(ctx)));
	return 0;
}

/* listen() may sleep, so its arguments are kept by thread. LRU: a missed return must not fill it.
 */
struct listen_call {
	__u32 fd;
	__s32 backlog;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct listen_call);
} listen_calls SEC(".maps");

SEC("kprobe/__sys_listen")
int listen_in(struct pt_regs *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct listen_call call = {
		.fd = (__u32)PT_REGS_PARM1(ctx),
		.backlog = (__s32)PT_REGS_PARM2(ctx),
	};

	bpf_map_update_elem(&listen_calls, &thread, &call, 0);
	return 0;
}

SEC("kretprobe/__sys_listen")
int listen_out(struct pt_regs *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct listen_call *call = bpf_map_lookup_elem(&listen_calls, &thread);
	struct tcp_sock *tp;

	if (!call)
		return 0;
	tp = (int)PT_REGS_RC(ctx) ? 0 : socket_of(call->fd);
	if (tp)
		note_listen(tp, call->backlog);
	bpf_map_delete_elem(&listen_calls, &thread);
	return 0;
}
