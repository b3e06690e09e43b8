/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Counting without tracing any function: for kernels that have neither trampolines nor kprobes, or
 * forbid them. The socket filter of the root cgroup runs right before TCP handles a packet, with
 * the listener as its socket; so what the MIB gained on this CPU between two packets for listeners
 * is what became of the first. That packet is settled when the next comes, or when user space asks.
 *
 * It costs every packet of every socket an empty run of `packet`, every change of a socket's state
 * one of `state_changed`: so this is the last choice.
 */
#include "count.bpf.h"

#include <bpf/bpf_endian.h>

#define ALL_MIB		(LOSSES | SYN_QUEUE | COOKIES | FASTOPEN | DEFER)
#define MOST_PER_PACKET 4
#define MAX_CPUS	8192

enum {
	ETH_P_IP = 0x0800,
	ETH_P_IPV6 = 0x86dd,
	IPPROTO_HOPOPTS = 0,
	IPPROTO_ROUTING = 43,
	IPPROTO_FRAGMENT = 44,
	IPPROTO_AH = 51,
	IPPROTO_DSTOPTS = 60,
	MAX_EXTENSIONS = 6,
	BPF_F_CURRENT_NETNS = -1,
};

/* Of a system call, in the registers that the thread entered the kernel with. */
#if defined(__TARGET_ARCH_x86)
#define SYSCALL_ARGUMENT_1(regs) ((regs)->di)
#define SYSCALL_ARGUMENT_2(regs) ((regs)->si)
#elif defined(__TARGET_ARCH_arm64)
/* The result replaced the first: the kernel keeps a copy behind the user's registers. */
#define SYSCALL_ARGUMENT_1(regs) LOAD_PROBED(((__u64 *)(regs))[34])
#define SYSCALL_ARGUMENT_2(regs) ((regs)->user_regs.regs[1])
#endif

/*
 * reqsk_timer_handler(), learned from the first request whose SYN-ACK is repeated: that happens
 * before a request expires, but for tcp_synack_retries = 0, and reading all of /proc/kallsyms takes
 * 0.1 s.
 */
static volatile __u64 request_timer_function = 0;

struct tcp_header {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack_seq;
	__u8 offset;
	__u8 flags;
};

/* What is remembered of a packet until it is settled. */
struct pending {
	__u64 number;
	__u64 listener;
	__u64 mib;
	__u64 since_ns;
	__u32 netns;
	__u32 seen;
	__u32 syn_queue_len;
	__u32 padding;
	struct losses before;
};

static __always_inline void copy_pending(struct pending *p, const struct moment *m)
{
	p->number = *(volatile const __u64 *)&m->packet;
	p->listener = m->listener;
	p->mib = m->mib;
	p->since_ns = m->since_ns;
	p->netns = m->netns;
	p->seen = m->seen;
	p->syn_queue_len = m->syn_queue_len;
	p->before = p->number & SETTLED_ONCE ? m->before_rest : m->before;
}

/*
 * Each packet has a number, and who takes it away settles the packet: its own CPU at the next one
 * or before user space reads, or the CPU on which its listener closes. A copy made before belongs
 * to the packet if its number was still there to be taken.
 */
static __always_inline int take_packet(struct moment *m, __u64 number)
{
	return number && __sync_val_compare_and_swap(&m->packet, number, 0) == number;
}

/* The counts of the listener that a packet came to, if that entry is still there. */
static __always_inline struct listenq_counts *counts_of_packet(const struct pending *p)
{
	__u64 key = p->listener;
	struct listenq_counts *c = bpf_map_lookup_elem(&listeners, &key);

	return c && c->since_ns == p->since_ns ? c : 0;
}

static __always_inline void settle_syn(struct listenq_counts *c, const struct pending *p,
				       const struct losses *gained)
{
	const int again = p->seen & SEEN_AGAIN;
	const int first = !(p->number & SETTLED_ONCE);

	if (first)
		count(c, LISTENQ_SYNS, 1);
	if (gained->drops) {
		count_syn_drops(c, gained,
				p->seen & SEEN_CROWDED ? LISTENQ_DROPS_MAX_SYN_BACKLOG
						       : LISTENQ_DROPS_OTHER);
		/* It looked answered the first time. */
		if (!first && !again)
			count(c, LISTENQ_SYNACKS, -gained->drops);
	} else if (first && !again) {
		count(c, LISTENQ_SYNACKS, 1);
		if (!gained->cookies[0])
			raise_peak(c->syn_queue_peak, p->syn_queue_len + 1);
	}
	if (gained->cookies[0])
		count(c, LISTENQ_COOKIES_SENT, gained->cookies[0]);
	if (gained->fastopen_overflows)
		count(c, LISTENQ_FASTOPEN_OVERFLOWS, gained->fastopen_overflows);
}

static __always_inline void settle_ack(struct listenq_counts *c, const struct losses *gained)
{
	count_cookie_acks(c, gained);
	if (gained->defer_accept)
		count(c, LISTENQ_DROPS_DEFER_ACCEPT, gained->defer_accept);
	count_ack_drops(c, gained);
}

/* More than one packet can cause: the namespace is gone, and its memory is another's. */
static __always_inline int is_too_much(const struct losses *gained)
{
	return gained->drops > MOST_PER_PACKET || gained->overflows > MOST_PER_PACKET ||
	       gained->syn_queue_full > MOST_PER_PACKET || gained->cookies[0] > MOST_PER_PACKET ||
	       gained->cookies[1] > MOST_PER_PACKET || gained->cookies[2] > MOST_PER_PACKET ||
	       gained->fastopen_overflows > MOST_PER_PACKET ||
	       gained->defer_accept > MOST_PER_PACKET;
}

/* What became of a packet. Returns its listener's counts when they are still there. */
static __always_inline struct listenq_counts *give_out(const struct pending *p,
						       const struct losses *now)
{
	struct losses gained = *now;
	struct listenq_counts *own = counts_of_packet(p);
	struct listenq_counts *c = own ? own : leftover_of(p->netns);

	take_away(&gained, &p->before, ALL_MIB);
	if (is_too_much(&gained)) {
		lose(LISTENQ_LOST_UNSETTLED);
	} else if (!c) {
		lose(LISTENQ_LOST_NAMESPACE_TABLE);
	} else if (p->seen & SEEN_SYN) {
		settle_syn(c, p, &gained);
	} else {
		settle_ack(c, &gained);
	}
	return own;
}

/*
 * Settles the packet that this CPU handled last, by what the MIB has now: at once what it has
 * before the next one, for `tp`, unless that counts elsewhere. Returns the counts of `tp`.
 */
static __always_inline struct listenq_counts *settle(struct moment *m, struct tcp_sock *tp)
{
	struct net *net = SK(tp).__sk_common.skc_net.net;
	const __u64 mib = mib_of(m, (__u64)net->mib.net_statistics);
	struct listenq_counts *c = 0;
	struct losses now = {};
	struct pending p;

	copy_pending(&p, m);
	if (p.mib)
		read_losses(&now, p.mib, ALL_MIB);
	if (take_packet(m, p.number))
		c = give_out(&p, &now);
	if (p.mib != mib) {
		read_losses(&now, mib, ALL_MIB);
		m->mib = mib;
	}
	m->before = now;
	return c && p.listener == (__u64)tp ? c : counts_of(tp);
}

struct closing {
	__u64 listener;
};

static long settle_of_cpu(__u32 cpu, struct closing *closing)
{
	__u32 zero = 0;
	struct moment *m = bpf_map_lookup_percpu_elem(&moments, &zero, cpu);
	struct losses now = {};
	struct pending p;

	if (!m)
		return 1;
	copy_pending(&p, m);
	if (p.listener != closing->listener || !p.number)
		return 0;
	read_losses(&now, p.mib, ALL_MIB);
	if (take_packet(m, p.number))
		give_out(&p, &now);
	return 0;
}

/* Before a listener's counts are closed: its packets that are not settled, on whatever CPU. */
static __always_inline void settle_everywhere(struct tcp_sock *tp)
{
	struct closing closing = {.listener = (__u64)tp};

	bpf_loop(MAX_CPUS, settle_of_cpu, &closing, 0);
}

/*
 * Finds the TCP header behind the IP header at the start of the data; its offset, or 0. The usual
 * headers are short, and in the packet's first piece.
 */
static __always_inline __u32 transport_offset(struct __sk_buff *skb)
{
	__u8 *data = (__u8 *)(long)skb->data;
	__u8 next = 0;
	__u32 offset = 40;

	if (data + 20 > (__u8 *)(long)skb->data_end)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return (data[0] & 15u) * 4;
	if (skb->protocol != bpf_htons(ETH_P_IPV6))
		return 0;
	next = data[6];
#pragma unroll
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		__u8 head[2] = {};

		if (next == IPPROTO_TCP)
			return offset;
		if (bpf_skb_load_bytes(skb, offset, head, 2))
			return 0;
		if (next == IPPROTO_FRAGMENT)
			offset += 8;
		else if (next == IPPROTO_AH)
			offset += (head[1] + 2u) * 4;
		else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
			 next == IPPROTO_DSTOPTS)
			offset += (head[1] + 1u) * 8;
		else
			return 0;
		next = head[0];
	}
	return next == IPPROTO_TCP ? offset : 0;
}

/* Whether the SYN queue holds a request of this peer: then this SYN is a repetition. */
static __always_inline int is_repetition(struct __sk_buff *skb, const __be16 *ports)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *found;
	int repeated;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 12, &tuple.ipv4.saddr, 8))
			return 0;
		tuple.ipv4.sport = ports[0];
		tuple.ipv4.dport = ports[1];
		found = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		if (bpf_skb_load_bytes(skb, 8, &tuple.ipv6.saddr, 32))
			return 0;
		tuple.ipv6.sport = ports[0];
		tuple.ipv6.dport = ports[1];
		found = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!found)
		return 0;
	repeated = found->state == TCP_NEW_SYN_RECV;
	bpf_sk_release(found);
	return repeated;
}

static __always_inline __u32 kind_of(struct __sk_buff *skb, __u32 syn_queue_len)
{
	struct tcp_header tcp = {};
	__u32 offset = transport_offset(skb);

	if (!offset || bpf_skb_load_bytes(skb, offset, &tcp, sizeof(tcp)))
		return 0;
	if ((tcp.flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) != TCPHDR_SYN)
		return 0;
	return syn_queue_len && is_repetition(skb, &tcp.source) ? SEEN_SYN | SEEN_AGAIN : SEEN_SYN;
}

static __always_inline void begin(struct moment *m, struct __sk_buff *skb, struct tcp_sock *tp,
				  struct listenq_counts *c)
{
	struct net *net = SK(tp).__sk_common.skc_net.net;

	m->syn_queue_len = (__u32)tp->inet_conn.icsk_accept_queue.qlen.counter;
	m->seen = kind_of(skb, m->syn_queue_len);
	m->netns = net->ns.inum;
	m->since_ns = c ? c->since_ns : 0;
	if (m->seen & SEEN_SYN) {
		if (is_crowded(tp, m->syn_queue_len))
			m->seen |= SEEN_CROWDED;
		if (c)
			raise_peak(c->syn_queue_peak, m->syn_queue_len);
	}
	m->listener = (__u64)tp;
	*(volatile __u64 *)&m->packet = ++m->packets;
}

SEC("cgroup_skb/ingress")
int packet(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk || sk->state != TCP_LISTEN)
		return 1;

	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct moment *m = this_moment();

	if (!tp || !m)
		return 1;
	/* `settle_now` may interrupt this, and must find nothing half done. */
	*(volatile __u32 *)&m->busy = 1;
	begin(m, skb, tp, settle(m, tp));
	*(volatile __u32 *)&m->busy = 0;
	return 1;
}

/*
 * Attached to nothing: user space runs it on each CPU before it reads. On its own CPU packets may
 * come in between, which then find nothing to settle. On the others it comes as an interrupt, and
 * the packet may be under way still: what it does from now on is its rest, and waits to be settled
 * again, unless another packet came.
 */
SEC("raw_tp")
int settle_now(void *ctx)
{
	struct moment *m = this_moment();
	struct losses now = {};
	struct pending p;
	__u64 packets;

	/* `packet` is interrupted, and not done with what is read here. */
	if (!m || *(volatile __u32 *)&m->busy)
		return 0;

	packets = *(volatile __u64 *)&m->packets;
	copy_pending(&p, m);
	read_losses(&now, p.mib, ALL_MIB);
	if (!take_packet(m, p.number))
		return 0;
	give_out(&p, &now);
	m->before_rest = now;
	if (*(volatile __u64 *)&m->packets == packets)
		__sync_val_compare_and_swap(&m->packet, 0, p.number | SETTLED_ONCE);
	return 0;
}

static __always_inline int is_fastopen(struct request_sock *req)
{
	return READ((struct tcp_request_sock *)req, tfo_listener);
}

/* A connection entered the queue: this is how the listener wakes who sleeps in accept(). */
SEC("tp_btf/sk_data_ready")
int BPF_PROG(data_ready, struct sock *sk)
{
	if (sk->__sk_common.skc_state != TCP_LISTEN || sk->sk_protocol != IPPROTO_TCP)
		return 0;

	struct tcp_sock *tp = LISTENER(sk);
	struct moment *m = this_moment();

	if (!tp || !m)
		return 0;

	/*
	 * The newest request is this one, or one that another CPU queued within the same moment;
	 * there is none when accept() was as quick, and then it is not sure either that the packet
	 * before was this connection's.
	 */
	struct request_sock *tail = tp->inet_conn.icsk_accept_queue.rskq_accept_tail;
	int fastopen = 0;

	if (takes_fastopen(tp))
		fastopen =
			tail ? is_fastopen(tail) : m->listener == (__u64)tp && (m->seen & SEEN_SYN);
	count_queued(tp, tail, !fastopen);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed, struct sock *sk, int before, int after)
{
	/* A new connection begins as a copy of its listener, so it leaves LISTEN too. */
	if (after != TCP_LISTEN && (before != TCP_LISTEN || after != TCP_CLOSE))
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (before == TCP_LISTEN) {
		struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

		if (tp) {
			settle_everywhere(tp);
			count_closed(tp);
		}
	} else {
		new_counts((__u64)sk, LISTENQ_FROM_BIRTH);
	}
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(synack_again, struct sock *sk, struct request_sock *req)
{
	/* A Fast Open request has no timer set up: its connection's repeats the SYN-ACK. */
	if (!is_fastopen(req))
		request_timer_function = (__u64)LOAD_PROBED(req->rsk_timer.function);
	count_synack_again(req);
	return 0;
}

SEC("tp_btf/timer_expire_entry")
int BPF_PROG(request_timer_in, struct timer_list *timer)
{
	if (request_timer_function && (__u64)timer->function == request_timer_function)
		timer_begins((__u64)timer);
	return 0;
}

SEC("tp_btf/timer_expire_exit")
int request_timer_out(__u64 *ctx)
{
	timer_ends(ctx[0]);
	return 0;
}

/* The arguments of the system call that the current thread is in. */
static __always_inline struct pt_regs *arguments(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

static __always_inline int call_returns_connection(struct trace_event_raw_sys_exit *ctx)
{
	if (ctx->ret < 0)
		return 0;

	struct pt_regs *regs = arguments();
	struct tcp_sock *tp = socket_of((__u32)SYSCALL_ARGUMENT_1(regs));
	struct tcp_sock *child = socket_of((__u32)ctx->ret);

	if (!tp || !child || LOAD_PROBED(SK(tp).__sk_common.skc_state) != TCP_LISTEN)
		return 0;

	struct listenq_counts *c = counts_of_address((__u64)tp);
	if (c)
		count_left(c, child);
	return 0;
}

SEC("tp/syscalls/sys_exit_accept")
int accept_returns(struct trace_event_raw_sys_exit *ctx)
{
	return call_returns_connection(ctx);
}

SEC("tp/syscalls/sys_exit_accept4")
int accept4_returns(struct trace_event_raw_sys_exit *ctx)
{
	return call_returns_connection(ctx);
}

SEC("tp/syscalls/sys_exit_listen")
int listen_returns(struct trace_event_raw_sys_exit *ctx)
{
	struct pt_regs *regs = arguments();
	struct tcp_sock *tp = ctx->ret ? 0 : socket_of((__u32)SYSCALL_ARGUMENT_1(regs));

	if (tp)
		note_listen(tp, (__s32)SYSCALL_ARGUMENT_2(regs));
	return 0;
}
