/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Counting, shared by the three ways to see events (fentry, kprobe, portable): where the counts of
 * a listener live, how they are found, and what is done at each event. The includer says how kernel
 * memory is read (LISTENQ_PROBED in compat.bpf.h).
 *
 * The losses are not guessed. The kernel counts each of them in the MIB of the namespace, on the
 * CPU that handles the packet, with bottom halves off: what these counters gain between the entry
 * of a function and its exit is what the kernel did to this packet. So the sums over all listeners
 * equal the kernel's own, whatever rule a kernel version has for a full queue.
 */
#ifndef LISTENQ_COUNT_BPF_H
#define LISTENQ_COUNT_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "compat.bpf.h"
#include "histogram.bpf.h"
#include "listenq/abi.h"
#include "moment.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MAX_LISTENERS  8192
#define MAX_NAMESPACES 1024
#define CLOSED_BYTES   (1 << 20)

/*
 * Allocated whole at the start: programs must not wait for memory in a flood, and before 6.1 not
 * all of them may ask for it. Keyed by the address of the struct sock, which is what every hook
 * has; an entry leaves with its listener.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LISTENERS);
	__type(key, __u64);
	__type(value, struct listenq_counts);
} listeners SEC(".maps");

/* What belongs to no listener that we keep, by inode number of its network namespace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_NAMESPACES);
	__type(key, __u32);
	__type(value, struct listenq_counts);
} leftover SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, CLOSED_BYTES);
} closed SEC(".maps");

/* Set by user space once the programs are attached. */
__u32 listenq_sees_route = 0; /* the route hooks are attached */
__u32 listenq_epoch = 0;

__u64 listenq_lost[LISTENQ_LOST_CAUSES] = {};

static const struct listenq_counts nothing_counted = {};

static __always_inline void lose(enum listenq_lost_cause cause)
{
	__sync_fetch_and_add(&listenq_lost[cause], 1);
}

static __always_inline void count(struct listenq_counts *c, enum listenq_counter which, __u64 by)
{
	__sync_fetch_and_add(&c->values[which], by);
}

static __always_inline struct listenq_counts *leftover_of(__u32 netns)
{
	struct listenq_counts *c = bpf_map_lookup_elem(&leftover, &netns);

	if (c)
		return c;
	bpf_map_update_elem(&leftover, &netns, &nothing_counted, BPF_NOEXIST);
	return bpf_map_lookup_elem(&leftover, &netns);
}

static __always_inline struct listenq_counts *new_counts(__u64 key, __u32 flags)
{
	if (!bpf_map_update_elem(&listeners, &key, &nothing_counted, BPF_NOEXIST)) {
		struct listenq_counts *c = bpf_map_lookup_elem(&listeners, &key);

		if (!c)
			return 0;
		c->since_ns = bpf_ktime_get_ns();
		c->flags = flags;
		return c;
	}
	/* Another CPU was first, or the table is full. */
	return bpf_map_lookup_elem(&listeners, &key);
}

/*
 * Where the first event of a listener is counted: a new entry. Without one, in the leftovers of its
 * namespace: when the table is full, and for a listener that is closing, whose new entry nobody
 * would remove again.
 */
static __always_inline struct listenq_counts *first_counts_of(__u64 key)
{
	struct tcp_sock *tp = (struct tcp_sock *)key;
	struct net *net = LOAD_PROBED(SK(tp).__sk_common.skc_net.net);
	struct listenq_counts *c;

	if (LOAD_PROBED(SK(tp).__sk_common.skc_state) == TCP_LISTEN) {
		c = new_counts(key, 0);
		if (c)
			return c;
		lose(LISTENQ_LOST_LISTENER_TABLE);
	}
	c = leftover_of(LOAD_PROBED(net->ns.inum));
	if (!c)
		lose(LISTENQ_LOST_NAMESPACE_TABLE);
	return c;
}

static __always_inline struct listenq_counts *counts_of_address(__u64 key)
{
	struct listenq_counts *c = bpf_map_lookup_elem(&listeners, &key);

	return c ? c : first_counts_of(key);
}

static __always_inline struct listenq_counts *counts_of(struct tcp_sock *tp)
{
	return counts_of_address((__u64)tp);
}

/*
 * Two CPUs may write at once, and then the smaller may win: a peak can be too low by what the other
 * CPU added in the same nanoseconds. cmpxchg would need 5.12.
 */
static __always_inline void raise_peak(__u64 *peaks, __u32 length)
{
	__u32 epoch = listenq_epoch;
	__u64 now = ((__u64)epoch << 32) | length;

	if (epoch & 1) {
		if (peaks[1] < now)
			peaks[1] = now;
	} else if (peaks[0] < now) {
		peaks[0] = now;
	}
}

/* --- the losses of one packet, once losses_of() has them */

/* The last rule for a SYN, which the MIB has no counter for: 3/4 of tcp_max_syn_backlog in use. */
static __always_inline int is_crowded(struct tcp_sock *tp, __u32 held)
{
	struct net *net = LOAD(SK(tp).__sk_common.skc_net.net);
	int most = LOAD(net->ipv4.sysctl_max_syn_backlog);

	return LOAD(net->ipv4.sysctl_tcp_syncookies) == 0 && most - (int)held < (most >> 2);
}

/* Why a SYN was dropped, when the MIB has no counter for the reason. */
static __always_inline enum listenq_counter reason_of(struct moment *m, struct tcp_sock *tp)
{
	if (m->seen & SEEN_NO_ROUTE)
		return LISTENQ_DROPS_NO_ROUTE;
	/* Between the check of the queues and the route there is just the allocation. */
	if (listenq_sees_route && !(m->seen & SEEN_ROUTE))
		return LISTENQ_DROPS_NO_MEMORY;

	if (is_crowded(tp, (__u32)LOAD(tp->inet_conn.icsk_accept_queue.qlen.counter)))
		return LISTENQ_DROPS_MAX_SYN_BACKLOG;
	return LISTENQ_DROPS_OTHER;
}

static __always_inline void count_syn_drops(struct listenq_counts *c, const struct losses *gained,
					    enum listenq_counter other_reason)
{
	count(c, LISTENQ_DROPS, gained->drops);
	if (gained->overflows)
		count(c, LISTENQ_OVERFLOWS_SYN, gained->overflows);
	else if (gained->syn_queue_full)
		count(c, LISTENQ_DROPS_SYN_QUEUE_FULL, gained->syn_queue_full);
	else
		count(c, other_reason, gained->drops);
}

/* A final ACK that was refused ended a handshake all the same. */
static __always_inline void count_ack_drops(struct listenq_counts *c, const struct losses *gained)
{
	if (!gained->drops)
		return;
	count(c, LISTENQ_DROPS, gained->drops);
	count(c, LISTENQ_HANDSHAKE_ACKS, gained->drops);
	if (gained->overflows)
		count(c, LISTENQ_OVERFLOWS_ACK, gained->overflows);
	if (gained->drops > gained->overflows)
		count(c, LISTENQ_DROPS_OTHER, gained->drops - gained->overflows);
}

static __always_inline void count_cookie_acks(struct listenq_counts *c, const struct losses *gained)
{
	if (gained->cookies[1])
		count(c, LISTENQ_COOKIES_VALID, gained->cookies[1]);
	if (gained->cookies[2])
		count(c, LISTENQ_COOKIES_INVALID, gained->cookies[2]);
}

/* --- events that need no comparison */

static __always_inline struct tcp_sock *listener_of(struct request_sock *req)
{
	return (struct tcp_sock *)READ(req, __req_common.skc_listener);
}

static __always_inline __u32 tcp_flags(struct sk_buff *skb)
{
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)&skb->cb;

	return READ(cb, tcp_flags);
}

/* A connection opened by Fast Open stands in for the listener in the tracepoint: ask the request.
 */
static __always_inline void count_synack_again(struct request_sock *req)
{
	__u64 key = (__u64)listener_of(req);
	struct listenq_counts *c = key ? counts_of_address(key) : 0;

	if (c)
		count(c, LISTENQ_SYNACK_RETRANSMITS, 1);
}

static __always_inline void count_syn_queue(struct listenq_counts *c, struct tcp_sock *tp)
{
	raise_peak(c->syn_queue_peak, (__u32)LOAD(tp->inet_conn.icsk_accept_queue.qlen.counter));
}

/*
 * A connection is in the accept queue. The time since its SYN-ACK is the handshake's; a cookie's
 * request has none, and a connection that comes from another listener (tcp_migrate_req) had it
 * there.
 */
static __always_inline void count_queued(struct tcp_sock *tp, struct request_sock *req,
					 int handshake)
{
	struct listenq_counts *c = counts_of(tp);

	if (!c)
		return;
	count(c, LISTENQ_QUEUED, 1);
	raise_peak(c->accept_queue_peak, LOAD(SK(tp).sk_ack_backlog));
	if (!handshake)
		return;
	count(c, LISTENQ_HANDSHAKE_ACKS, 1);
	if (!req)
		return;

	__u64 sent = READ((struct tcp_request_sock *)req, snt_synack);
	__u64 now = bpf_ktime_get_ns();

	if (sent && now > sent * 1000)
		observe(&c->handshake_time, now - sent * 1000);
}

/*
 * A connection leaves the queue. The receive buffer's clock (tcp_init_buffer_space()) starts when
 * the handshake is complete, and next moves when the application reads: until accept() it says
 * since when the connection waits, and costs nothing to keep.
 */
static __always_inline void count_left(struct listenq_counts *c, struct tcp_sock *child)
{
	__u64 since = READ(child, rcvq_space.time) * 1000;
	__u64 now = bpf_ktime_get_ns();
	__u8 state = READ(child, inet_conn.icsk_inet.sk.__sk_common.skc_state);

	count(c, LISTENQ_ACCEPTS, 1);
	if (since)
		observe(&c->accept_wait, now > since ? now - since : 0);
	if (state == TCP_CLOSE || state == TCP_CLOSE_WAIT)
		count(c, LISTENQ_ABORTED_IN_QUEUE, 1);
}

/* --- requests that time out: reqsk_timer_handler() */

static __always_inline struct request_sock *request_of(__u64 timer)
{
	return (void *)(timer - bpf_core_field_offset(struct request_sock, rsk_timer));
}

static __always_inline __u32 timeouts_of(struct request_sock *req)
{
	return (__u32)BPF_CORE_READ_BITFIELD_PROBED(req, num_timeout);
}

static __always_inline void timer_begins(__u64 timer)
{
	struct moment *m = this_moment();

	if (!m)
		return;

	struct request_sock *req = request_of(timer);

	m->timer = timer;
	m->timeouts = timeouts_of(req);
	m->timer_listener = (__u64)LOAD_PROBED(req->__req_common.skc_listener);
}

/*
 * The handler counts the timeout of a request that it keeps, and of no other. The memory of one
 * that it gave up may be another request's by now: that one begins at 0. Without LISTEN the request
 * went because its listener did.
 */
static __always_inline void timer_ends(__u64 timer)
{
	struct moment *m = this_moment();

	if (!m || m->timer != timer)
		return;
	m->timer = 0;
	if (timeouts_of(request_of(timer)) == m->timeouts + 1)
		return;

	__u64 key = m->timer_listener;
	struct tcp_sock *tp = (struct tcp_sock *)key;

	if (!key || LOAD_PROBED(SK(tp).__sk_common.skc_state) != TCP_LISTEN)
		return;

	struct listenq_counts *c = counts_of_address(key);
	if (c)
		count(c, LISTENQ_REQUESTS_EXPIRED, 1);
}

/* --- a packet, between the entry of the function that handles it and its exit */

static __always_inline struct moment *enter(struct tcp_sock *tp, __u32 what, __u32 seen)
{
	struct moment *m = this_moment();

	if (!m)
		return 0;

	struct net *net = LOAD(SK(tp).__sk_common.skc_net.net);

	m->listener = (__u64)tp;
	m->seen = seen;
	m->mib = mib_of(m, (__u64)LOAD(net->mib.net_statistics));
	read_losses(&m->before, m->mib, what);
	return m;
}

/* The moment of the same packet; 0 when its entry was missed. */
static __always_inline struct moment *leave(__u64 listener)
{
	struct moment *m = this_moment();

	if (!m || m->listener != listener)
		return 0;
	m->listener = 0;
	return m;
}

/* What the packet lost, of what was read when it came. */
static __always_inline struct losses losses_of(const struct moment *m, __u32 what)
{
	struct losses gained = {};

	read_losses(&gained, m->mib, what);
	take_away(&gained, &m->before, what);
	return gained;
}

#define SYN_MIB (LOSSES | SYN_QUEUE | COOKIES_SENT)

static __always_inline int takes_fastopen(struct tcp_sock *tp)
{
	return LOAD(tp->inet_conn.icsk_accept_queue.fastopenq.max_qlen) != 0;
}

static __always_inline int defers_accept(struct tcp_sock *tp)
{
	return LOAD(tp->inet_conn.icsk_accept_queue.rskq_defer_accept) != 0;
}

/* tcp_conn_request(): a SYN that is not the repetition of one in the queue. */
static __always_inline void syn_enters(struct tcp_sock *tp)
{
	struct moment *m = enter(tp, SYN_MIB, SEEN_SYN);

	if (m && takes_fastopen(tp))
		read_losses(&m->before, m->mib, FASTOPEN);
}

static __always_inline void syn_leaves(struct tcp_sock *tp)
{
	struct moment *m = leave((__u64)tp);
	struct listenq_counts *c = counts_of(tp);
	struct losses gained;

	if (!c)
		return;
	count(c, LISTENQ_SYNS, 1);
	count_syn_queue(c, tp);
	if (!m)
		return;
	if (m->seen & SEEN_SYNACK)
		count(c, LISTENQ_SYNACKS, 1);
	gained = losses_of(m, SYN_MIB);
	if (gained.drops)
		count_syn_drops(c, &gained, reason_of(m, tp));
	if (gained.cookies[0])
		count(c, LISTENQ_COOKIES_SENT, gained.cookies[0]);
	if (takes_fastopen(tp)) {
		gained = losses_of(m, FASTOPEN);
		if (gained.fastopen_overflows)
			count(c, LISTENQ_FASTOPEN_OVERFLOWS, gained.fastopen_overflows);
	}
}

/* tcp_check_req(): a packet for a request in the SYN queue; `flags` are those of TCP. */
static __always_inline void ack_enters(struct tcp_sock *tp, __u32 flags)
{
	const int syn = (flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) == TCPHDR_SYN;
	struct moment *m = enter(tp, LOSSES, syn ? SEEN_AGAIN : 0);

	if (m && defers_accept(tp))
		read_losses(&m->before, m->mib, DEFER);
}

static __always_inline void ack_leaves(struct tcp_sock *tp)
{
	struct moment *m = leave((__u64)tp);
	struct losses gained;
	__u64 deferred = 0;

	if (!m)
		return;
	gained = losses_of(m, LOSSES);
	if (defers_accept(tp))
		deferred = losses_of(m, DEFER).defer_accept;
	if (!gained.drops && !deferred && !(m->seen & SEEN_AGAIN))
		return;

	struct listenq_counts *c = counts_of(tp);
	if (!c)
		return;
	if (m->seen & SEEN_AGAIN)
		count(c, LISTENQ_SYNS, 1);
	count_ack_drops(c, &gained);
	if (deferred)
		count(c, LISTENQ_DROPS_DEFER_ACCEPT, deferred);
}

/* cookie_v4_check(), cookie_v6_check(): an ACK that belongs to no request. */
static __always_inline void cookie_enters(struct tcp_sock *tp)
{
	enter(tp, LOSSES | COOKIES, 0);
}

static __always_inline void cookie_leaves(struct tcp_sock *tp)
{
	struct moment *m = leave((__u64)tp);
	struct losses gained;

	if (!m)
		return;
	gained = losses_of(m, LOSSES | COOKIES);
	if (!(gained.drops | gained.cookies[1] | gained.cookies[2]))
		return;

	struct listenq_counts *c = counts_of(tp);
	if (!c)
		return;
	count_cookie_acks(c, &gained);
	count_ack_drops(c, &gained);
}

/* tcp_req_err(): an ICMP error takes a request out of the SYN queue, which is a ListenDrop. */
static __always_inline void error_enters(struct request_sock *req)
{
	struct moment *m = this_moment();

	if (!m || LOAD_PROBED(req->__req_common.skc_state) != TCP_NEW_SYN_RECV)
		return;

	struct tcp_sock *tp = listener_of(req);
	struct net *net = LOAD_PROBED(SK(tp).__sk_common.skc_net.net);

	m->listener = (__u64)tp;
	m->seen = 0;
	m->mib = mib_of(m, (__u64)LOAD_PROBED(net->mib.net_statistics));
	read_losses(&m->before, m->mib, LOSSES);
}

static __always_inline void error_leaves(__u64 listener)
{
	struct moment *m = leave(listener);
	__u64 drops = m ? losses_of(m, LOSSES).drops : 0;
	struct listenq_counts *c = drops ? counts_of_address(listener) : 0;

	if (!c)
		return;
	count(c, LISTENQ_DROPS, drops);
	count(c, LISTENQ_DROPS_OTHER, drops);
}

static __always_inline void route_leaves(int found)
{
	struct moment *m = this_moment();

	if (m && m->listener)
		m->seen |= found ? SEEN_ROUTE : SEEN_ROUTE | SEEN_NO_ROUTE;
}

/* tcp_make_synack() for a SYN: a repeated SYN-ACK comes without its packet. */
static __always_inline void synack_made(__u64 syn)
{
	struct moment *m = this_moment();

	if (m && syn)
		m->seen |= SEEN_SYNACK;
}

/*
 * A connection enters the queue in inet_csk_reqsk_queue_add(). For the usual one its caller is
 * inet_csk_complete_hashdance() in the same file, where the compiler may have made it part of the
 * caller: then nothing is seen of it, and what the caller returns tells.
 */
static __always_inline void completion_enters(void)
{
	struct moment *m = this_moment();

	if (m)
		m->queued = 0;
}

static __always_inline void completion_leaves(struct tcp_sock *tp, struct request_sock *req)
{
	struct moment *m = this_moment();

	if (m && !m->queued)
		count_queued(tp, req, 1);
}

/* inet_csk_reqsk_queue_add(): true for the end of a handshake that happened here. */
static __always_inline int ends_handshake(struct tcp_sock *tp, __u8 child_state)
{
	struct moment *m = this_moment();
	const int fastopen = m && m->listener == (__u64)tp && (m->seen & SEEN_SYN);

	if (m)
		m->queued = 1;
	return child_state == TCP_SYN_RECV && !fastopen;
}

/* --- a listener closes */

static __always_inline int anything_in(const struct listenq_counts *c)
{
	__u64 any = 0;

	for (int i = 0; i < LISTENQ_COUNTERS; i++)
		any |= c->values[i];
	return any != 0;
}

/*
 * Out of the table first, so that no other CPU finds the entry any more; those that had found it
 * are done when it is copied at the end. An entry in which nothing happened leaves no trace.
 */
static __always_inline void count_closed(struct tcp_sock *tp)
{
	__u64 key = (__u64)tp;
	__u32 unaccepted = LOAD(SK(tp).sk_ack_backlog);
	struct listenq_counts *c = bpf_map_lookup_elem(&listeners, &key);

	if (c)
		bpf_map_delete_elem(&listeners, &key);
	if (!unaccepted && (!c || !anything_in(c)))
		return;

	struct listenq_closed_record *record =
		bpf_ringbuf_reserve(&closed, sizeof(struct listenq_closed_record), 0);
	if (!record) {
		struct listenq_counts *rest = leftover_of(netns_of(tp));

		lose(rest ? LISTENQ_LOST_CLOSED : LISTENQ_LOST_NAMESPACE_TABLE);
		if (!rest)
			return;
		count(rest, LISTENQ_CLOSED_UNACCEPTED, unaccepted);
		for (int i = 0; c && i < LISTENQ_COUNTERS; i++)
			count(rest, i, c->values[i]);
		return;
	}
	__builtin_memset(&record->listener, 0, sizeof(record->listener));
	fill(&record->listener, tp);
	record->closed_ns = bpf_ktime_get_ns();
	bpf_probe_read_kernel(&record->counts, sizeof(record->counts),
			      c ? (const void *)c : (const void *)&nothing_counted);
	record->counts.values[LISTENQ_CLOSED_UNACCEPTED] += unaccepted;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* --- listen(): the argument, once the call has succeeded */

static __always_inline void note_listen(struct tcp_sock *tp, __s32 backlog)
{
	__u64 key = (__u64)tp;

	if (LOAD_PROBED(SK(tp).__sk_common.skc_state) != TCP_LISTEN)
		return;

	struct listenq_counts *c = bpf_map_lookup_elem(&listeners, &key);
	if (!c)
		c = new_counts(key, LOAD_PROBED(SK(tp).sk_ack_backlog) ? 0 : LISTENQ_FROM_BIRTH);
	if (!c)
		return;
	c->listen_requested = backlog;
	c->flags |= LISTENQ_LISTEN_SEEN;
}

/* The listener itself: of an MPTCP socket its first subflow. */
static __always_inline struct tcp_sock *tcp_socket(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	__u16 protocol;

	if (!sk)
		return 0;
	protocol = READ(tp, inet_conn.icsk_inet.sk.sk_protocol);
	if (protocol == IPPROTO_TCP)
		return tp;
	if (protocol != IPPROTO_MPTCP || !bpf_core_type_exists(struct mptcp_sock))
		return 0;
	return (struct tcp_sock *)LOAD_PROBED(((struct mptcp_sock *)sk)->first);
}

/* The TCP socket behind a descriptor of the current process; of an MPTCP socket its first subflow.
 */
static __always_inline struct tcp_sock *socket_of(__u32 fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct files_struct *open_files = READ(task, files);
	struct fdtable *table = READ(open_files, fdt);

	if (fd >= READ(table, max_fds))
		return 0;

	struct file **files = READ(table, fd);
	struct file *file = 0;

	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	if (!file)
		return 0;

	struct socket *socket = READ(file, private_data);
	return tcp_socket(READ(socket, sk));
}

/* --- reading */

/*
 * All that has counts, with the length of the queue at the same moment. The listener is alive: it
 * leaves the table before it is freed, and should it do so now, this reads what is no longer there.
 */
SEC("iter/bpf_map_elem")
int iter__counts(struct bpf_iter__bpf_map_elem *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	__u64 *key = ctx->key;
	struct listenq_counts *value = ctx->value;
	struct listenq_counted head = {};

	if (!key || !value)
		return 0;

	struct tcp_sock *tp = (struct tcp_sock *)*key;
	struct net *net = LOAD_PROBED(SK(tp).__sk_common.skc_net.net);

	head.cookie = (__u64)LOAD_PROBED(SK(tp).__sk_common.skc_cookie.counter);
	head.netns = LOAD_PROBED(net->ns.inum);
	head.accept_queue_len = LOAD_PROBED(SK(tp).sk_ack_backlog);
	bpf_seq_write(seq, &head, sizeof(head));
	bpf_seq_write(seq, value, sizeof(*value));
	return 0;
}

/* Finds the per-CPU address of `moments`, in bpf_array.pptrs; read once. */
__u32 listenq_moments_id = 0;

SEC("iter/bpf_map")
int iter__moments(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;

	if (!map || map->id != listenq_moments_id)
		return 0;

	struct bpf_array *array = (struct bpf_array *)map;

	listenq_moments_pcpu = (__u64)LOAD_PROBED(array->pptrs[0]);
	return 0;
}

#endif /* LISTENQ_COUNT_BPF_H */
