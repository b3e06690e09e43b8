/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Handshakes at an interface: the SYNs, RSTs and final ACKs that arrive (XDP, or tc), and the
 * SYN-ACKs that leave (tc). One object an interface. Whatever happens, the packet goes on.
 *
 * No packet of a handshake is remembered. A final ACK is known by what the kernel waits for: its
 * request is found, or its cookie is valid. That look-up would be paid by each packet of a
 * connection that is open already, so connections once found open are kept in `open_connections`,
 * where forgetting one costs time and nothing else.
 *
 * Nothing here is relocated by CO-RE: an object is loaded for each interface, and reading the
 * kernel's BTF would be most of what that takes.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_endian.h>

#include "listenq/abi.h"

#include "frame.bpf.h"
#include "histogram.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TCPHDR_FIN 0x01u
#define TCPHDR_SYN 0x02u
#define TCPHDR_RST 0x04u
#define TCPHDR_ACK 0x10u

enum {
	NEXT_PROGRAM = -1, /* TC_ACT_UNSPEC, TCX_NEXT */
	XDP_PASS = 2,
	CURRENT_NETNS = -1,
	MAX_PORTS = 65536, /* with a listener, over all interfaces */
	MAX_OPEN = 65536,
	LOOPBACK = 127,
};

/* Which interface this object is for: the upper half of the keys of `port_counts`. */
const volatile __u32 listenq_nic_slot = 0;
/* Frames begin with an Ethernet header. */
const volatile __u8 listenq_nic_ethernet = 1;
/* XDP gets frames of several pieces (5.18). */
const volatile __u8 listenq_nic_frags = 0;
/* Offsets of snt_synack and snt_isn in struct tcp_request_sock; 0: not known. */
const volatile __u32 listenq_nic_synack_time = 0;
const volatile __u32 listenq_nic_synack_isn = 0;
/* Random, one a network namespace: the same addresses mean another connection in another one. */
const volatile __u64 listenq_nic_seed = 0;

/* Four bits a port, LISTENQ_NIC_*. User space writes them as listeners come and go. */
__u8 listenq_nic_ports[32768] = {};

/* The addresses of this namespace: the table that is not in use is written, then taken into use. */
struct listenq_nic_addresses listenq_nic_addresses[2] = {};
__u32 listenq_nic_addresses_in_use = 0;

/* For user space alone. */
struct listenq_nic_owner listenq_nic_owner = {};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct listenq_nic_totals);
} totals SEC(".maps");

/* Shared by the objects of all interfaces, as the next. User space makes the entries. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PORTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct listenq_nic_counts);
} port_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_OPEN);
	__type(key, __u32);
	__type(value, __u64);
} open_connections SEC(".maps");

/* The beginning of a frame whose headers are not all in its first piece. */
struct room {
	__u8 bytes[MAX_OFFSET + 64];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct room);
} rooms SEC(".maps");

/* --- whose a frame is */

static __always_inline __u32 port_bits(__be16 port)
{
	__u32 number = bpf_ntohs(port);

	return listenq_nic_ports[number >> 1] >> (number & 1) * 4 & 15;
}

/* A connection as its packets that arrive have it: from the far end to here. */
struct connection {
	struct bpf_sock_tuple tuple;
	__u64 hash;
	__u32 is_ipv6;
};

static __always_inline __u64 mix(__u64 hash, __u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static __always_inline int find_connection(const struct frame *f, __u64 found, int incoming,
					   struct connection *c)
{
	const __be16 far = incoming ? FOUND_SOURCE_PORT(found) : FOUND_TARGET_PORT(found);
	const __be16 near = incoming ? FOUND_TARGET_PORT(found) : FOUND_SOURCE_PORT(found);
	__u64 hash = mix(listenq_nic_seed, (__u32)far << 16 | near);

	c->is_ipv6 = FOUND_IPV6(found);
	if (c->is_ipv6) {
		const struct ipv6_header *at = HEADER(f, FOUND_NETWORK(found), struct ipv6_header);

		if (!at)
			return -1;
		for (int i = 0; i < 4; i++) {
			c->tuple.ipv6.saddr[i] = incoming ? at->source[i] : at->target[i];
			c->tuple.ipv6.daddr[i] = incoming ? at->target[i] : at->source[i];
			hash = mix(hash,
				   (__u64)c->tuple.ipv6.saddr[i] << 32 | c->tuple.ipv6.daddr[i]);
		}
		c->tuple.ipv6.sport = far;
		c->tuple.ipv6.dport = near;
	} else {
		const struct ipv4_header *at = HEADER(f, FOUND_NETWORK(found), struct ipv4_header);

		if (!at)
			return -1;
		c->tuple.ipv4.saddr = incoming ? at->source : at->target;
		c->tuple.ipv4.daddr = incoming ? at->target : at->source;
		hash = mix(hash, (__u64)c->tuple.ipv4.saddr << 32 | c->tuple.ipv4.daddr);
		c->tuple.ipv4.sport = far;
		c->tuple.ipv4.dport = near;
	}
	c->hash = hash | 1;
	return 0;
}

/*
 * Of the interface's namespace. Others pass through it, to a guest, a container, another host. The
 * address is as it lies in memory, IPv4 mapped into IPv6. (A function that the verifier checks once
 * takes numbers only.)
 */
__noinline int is_our_address(__u64 first, __u64 second)
{
	const struct listenq_nic_addresses *ours =
		&listenq_nic_addresses[listenq_nic_addresses_in_use & 1];
	const __u32 words[4] = {first, first >> 32, second, second >> 32};
	__u32 at = LISTENQ_NIC_ADDRESS_HASH(words);

	if (ours->all)
		return 1;
	for (int i = 0; i < LISTENQ_NIC_PROBES; i++) {
		const __u32 *entry = ours->table[(at + i) & (LISTENQ_NIC_ADDRESSES - 1)];

		if (entry[0] == words[0] && entry[1] == words[1] && entry[2] == words[2] &&
		    entry[3] == words[3])
			return 1;
		if (!(entry[0] | entry[1] | entry[2] | entry[3]))
			return 0;
	}
	return 0;
}

static __always_inline int is_for_us(const struct connection *c)
{
	const __be32 *to = c->tuple.ipv6.daddr;

	/* An address of IPv4 that is mapped into IPv6 is nobody's on the wire. */
	if (c->is_ipv6 && !to[0] && !to[1] && to[2] == bpf_htonl(0xffff))
		return 0;
	if (c->is_ipv6)
		return is_our_address(to[0] | (__u64)to[1] << 32, to[2] | (__u64)to[3] << 32);
	if (bpf_ntohl(c->tuple.ipv4.daddr) >> 24 == LOOPBACK)
		return 1;
	return is_our_address(0, bpf_htonl(0xffff) | (__u64)c->tuple.ipv4.daddr << 32);
}

static __always_inline struct bpf_sock *find_socket(void *ctx, struct connection *c)
{
	/* The verifier wants the size to be a constant. */
	if (c->is_ipv6)
		return bpf_skc_lookup_tcp(ctx, &c->tuple, sizeof(c->tuple.ipv6), CURRENT_NETNS, 0);
	return bpf_skc_lookup_tcp(ctx, &c->tuple, sizeof(c->tuple.ipv4), CURRENT_NETNS, 0);
}

enum holder {
	NOBODY, /* not for this namespace, or not for a listener of it */
	A_LISTENER,
	A_CONNECTION, /* or a request: a SYN of it was here before */
};

/*
 * Who gets a packet. `bits`: of the port, not 0. Where there is a listener for all addresses, and
 * only then, it is enough for a packet to be for this namespace: those that it passes on to others
 * have that port too. `who`: A_LISTENER will do for an answer; without, the look-up may be spared.
 */
static __always_inline enum holder find_holder(void *ctx, struct connection *c, __u32 bits, int who)
{
	const __u32 any = bits & (c->is_ipv6 ? LISTENQ_NIC_ANY6 : LISTENQ_NIC_ANY4);
	enum holder holder = A_CONNECTION;
	struct bpf_sock *found;
	__u32 state;

	if (any && !is_for_us(c))
		return NOBODY;
	if (any && !who)
		return A_LISTENER;
	found = find_socket(ctx, c);
	if (!found)
		return any ? A_LISTENER : NOBODY;
	state = found->state;
	if (state == TCP_LISTEN || state == TCP_TIME_WAIT)
		holder = A_LISTENER;
	bpf_sk_release(found);
	return holder;
}

/* --- counting */

static __always_inline struct listenq_nic_counts *counts_of(__be16 port)
{
	__u32 key = listenq_nic_slot << 16 | bpf_ntohs(port);

	return bpf_map_lookup_elem(&port_counts, &key);
}

#define COUNT(port, what)                                                                          \
	({                                                                                         \
		struct listenq_nic_counts *__counts = counts_of(port);                             \
                                                                                                   \
		if (__counts)                                                                      \
			__sync_fetch_and_add(&__counts->what, 1);                                  \
		__counts;                                                                          \
	})

static __always_inline struct listenq_nic_totals *totals_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&totals, &zero);
}

static __always_inline __u64 *open_slot(const struct connection *c)
{
	__u32 slot = c->hash >> 48;

	return bpf_map_lookup_elem(&open_connections, &slot);
}

/* A handshake begins: what is known of an older connection between the same ends is over. */
static __always_inline void forget(const struct connection *c)
{
	__u64 *slot = open_slot(c);

	if (slot && *slot == c->hash)
		*slot = 0;
}

static __always_inline void remember(__u64 *slot, const struct connection *c)
{
	struct listenq_nic_totals *sums = *slot ? totals_here() : 0;

	if (sums)
		sums->evictions++;
	*slot = c->hash;
}

static __always_inline int is_cookie(const struct frame *f, __u64 found, struct bpf_sock *listener)
{
	struct tcp_header *tcp = HEADER(f, FOUND_TRANSPORT(found), struct tcp_header);

	if (!tcp)
		return 0;
	if (FOUND_IPV6(found)) {
		struct ipv6_header *ip = HEADER(f, FOUND_NETWORK(found), struct ipv6_header);

		return ip && !bpf_tcp_check_syncookie(listener, ip, sizeof(*ip), (void *)tcp,
						      sizeof(*tcp));
	}
	struct ipv4_header *ip = HEADER(f, FOUND_NETWORK(found), struct ipv4_header);

	return ip && !bpf_tcp_check_syncookie(listener, ip, sizeof(*ip), (void *)tcp, sizeof(*tcp));
}

/*
 * The ACK of this request's SYN-ACK, and not of another one: counted, with the time since the
 * SYN-ACK was made. Where the kernel's structure is not known, any ACK counts, and no time.
 */
static __always_inline int count_ack(const struct frame *f, __u64 found, struct bpf_sock *of)
{
	struct tcp_header *tcp = HEADER(f, FOUND_TRANSPORT(found), struct tcp_header);
	struct listenq_nic_counts *counts;
	struct tcp_request_sock *request;
	__u64 sent, now;

	if (!tcp)
		return 0;
	if (!listenq_nic_synack_time || !listenq_nic_synack_isn) {
		COUNT(FOUND_TARGET_PORT(found), ack_in);
		return 1;
	}
	request = bpf_skc_to_tcp_request_sock(of);
	if (!request)
		return 0;
	if (bpf_ntohl(tcp->ack) != *(__u32 *)((__u8 *)request + listenq_nic_synack_isn) + 1)
		return 0;
	counts = COUNT(FOUND_TARGET_PORT(found), ack_in);
	if (!counts)
		return 0;
	sent = *(__u64 *)((__u8 *)request + listenq_nic_synack_time) * 1000;
	now = bpf_ktime_get_ns();
	if (sent && now > sent)
		observe(&counts->handshake_time, now - sent);
	return 1;
}

/*
 * An ACK that ends a handshake: the kernel has its request, or takes its cookie. The connection
 * counts as open from then on, because data that came right behind the ACK is seen here before TCP
 * has seen the ACK.
 */
static __always_inline void see_ack(void *ctx, const struct frame *f, __u64 found,
				    struct connection *c)
{
	__u64 *slot = open_slot(c);
	struct bpf_sock *holder;
	int is_open = 0;
	__u32 state;

	if (!slot || *slot == c->hash)
		return;
	holder = find_socket(ctx, c);
	if (!holder)
		return;
	state = holder->state;
	if (state == TCP_LISTEN) {
		is_open = is_cookie(f, found, holder);
		if (is_open)
			COUNT(FOUND_TARGET_PORT(found), ack_in);
	} else if (state == TCP_NEW_SYN_RECV) {
		is_open = count_ack(f, found, holder);
	} else if (state == TCP_SYN_RECV) {
		/* Fast Open: the connection is there before its handshake ends. */
		is_open = 1;
		COUNT(FOUND_TARGET_PORT(found), ack_in);
	} else if (state != TCP_TIME_WAIT) {
		is_open = 1;
	}
	bpf_sk_release(holder);
	if (is_open)
		remember(slot, c);
}

static __always_inline void see_incoming(void *ctx, const struct frame *f, __u64 found)
{
	const __be16 port = FOUND_TARGET_PORT(found);
	const __u32 bits = port_bits(port);
	const __u32 flags = FOUND_FLAGS(found);
	const int is_syn = (flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_FIN)) == TCPHDR_SYN;
	struct listenq_nic_counts *counts;
	struct connection c = {};
	enum holder holder;

	if (!bits || find_connection(f, found, 1, &c))
		return;
	if ((flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) == TCPHDR_ACK) {
		see_ack(ctx, f, found, &c);
		return;
	}
	if (!(flags & TCPHDR_RST) && !is_syn)
		return;
	holder = find_holder(ctx, &c, bits, is_syn && !(flags & TCPHDR_RST));
	counts = holder == NOBODY ? 0 : counts_of(port);
	if (!counts)
		return;
	if (flags & TCPHDR_RST) {
		__sync_fetch_and_add(&counts->rst_in, 1);
		return;
	}
	forget(&c);
	__sync_fetch_and_add(&counts->syn_in, 1);
	if (holder == A_CONNECTION)
		__sync_fetch_and_add(&counts->syn_known, 1);
}

static __always_inline int is_synack(__u64 found)
{
	return (FOUND_FLAGS(found) & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) ==
	       (TCPHDR_SYN | TCPHDR_ACK);
}

static __always_inline void see_outgoing(void *ctx, const struct frame *f, __u64 found)
{
	const __be16 port = FOUND_SOURCE_PORT(found);
	const __u32 bits = port_bits(port);
	struct connection c = {};

	if (!bits || find_connection(f, found, 0, &c))
		return;
	forget(&c);
	if (find_holder(ctx, &c, bits, 0) != NOBODY)
		COUNT(port, synack_out);
}

static __always_inline void add_up(enum verdict verdict)
{
	struct listenq_nic_totals *sums = totals_here();

	if (!sums)
		return;
	sums->passed++;
	if (verdict == FRAME_MALFORMED)
		sums->malformed++;
	else if (verdict == FRAME_FRAGMENT)
		sums->fragments++;
}

/*
 * --- programs. What is not the usual frame is done in functions of its own, which the verifier
 * checks once. The usual one has no call to make: a return costs 5 ns and more where the kernel
 * guards it (Spectre, SRSO), as much as the search itself.
 */

/* The first piece alone; asking for the length of all takes a call. */
static __always_inline struct frame xdp_frame(struct xdp_md *ctx)
{
	struct frame f = {.data = (__u8 *)(long)ctx->data, .end = (__u8 *)(long)ctx->data_end};

	f.length = f.end - f.data;
	return f;
}

static __always_inline struct frame skb_frame(struct __sk_buff *skb)
{
	struct frame f = {.data = (__u8 *)(long)skb->data, .end = (__u8 *)(long)skb->data_end};

	f.length = skb->len;
	return f;
}

/*
 * Of the first header, when it is none of Ethernet; else 0. Behind a generic XDP program a frame
 * may come without its Ethernet header (its mac_len got lost in a copy): where one would be, the
 * protocol is another one than the kernel says then.
 */
static __always_inline __be16 protocol_of(struct __sk_buff *skb, const struct frame *f)
{
	const __be16 protocol = (__be16)skb->protocol;
	struct ethernet_header *ethernet = HEADER(f, 0, struct ethernet_header);

	if (!listenq_nic_ethernet)
		return protocol;
	if (!ethernet || ethernet->protocol == protocol)
		return 0;
	return protocol == bpf_htons(ETH_P_IP) || protocol == bpf_htons(ETH_P_IPV6) ? protocol : 0;
}

/* The verifier follows what comes after the search once, and not for each way through the search.
 */
static __always_inline __u64 settled(__u64 found)
{
	return found + unknown_to_verifier;
}

static __always_inline __u64 find_in_skb(struct __sk_buff *skb)
{
	struct frame f = skb_frame(skb);

	return settled(find_tcp(&f, protocol_of(skb, &f), skb->vlan_present));
}

static __always_inline struct frame room_frame(struct room *room, __u32 length)
{
	struct frame f = {.data = room->bytes, .length = length};

	f.size = length < sizeof(*room) ? length : sizeof(*room);
	return f;
}

/* How much to copy, in bounds that the verifier sees: 1 to all of the room. 0: nothing is there. */
static __always_inline __u32 size_to_copy(const struct frame *f)
{
	__u64 last = (__u64)f->size - 1;

	asm volatile("" : "+r"(last));
	if (last >= sizeof(struct room))
		return 0;
	asm volatile("" : "+r"(last));
	return last + 1;
}

/* A frame whose headers are not all in its first piece. */
__noinline __u64 xdp_in_pieces(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct room *room = bpf_map_lookup_elem(&rooms, &zero);
	__u32 length = listenq_nic_frags ? (__u32)bpf_xdp_get_buff_len(ctx) : 0;
	struct frame f;
	__u64 found;
	__u32 size;

	if (!room || !length)
		return FRAME_MALFORMED;
	f = room_frame(room, length);
	size = size_to_copy(&f);
	if (!size || bpf_xdp_load_bytes(ctx, 0, room, size))
		return FRAME_MALFORMED;
	found = settled(find_tcp(&f, 0, 0));
	if (FOUND_VERDICT(found) == FRAME_TCP)
		see_incoming(ctx, &f, found);
	return found;
}

static __always_inline int is_in_pieces(const struct frame *f, __u64 found)
{
	return FOUND_VERDICT(found) == FRAME_MALFORMED && f->length > f->end - f->data;
}

SEC("xdp")
int nic_xdp(struct xdp_md *ctx)
{
	struct frame f = xdp_frame(ctx);
	__u64 found = settled(find_tcp(&f, 0, 0));

	if (listenq_nic_frags && FOUND_VERDICT(found) == FRAME_MALFORMED) {
		f.length = bpf_xdp_get_buff_len(ctx);
		if (is_in_pieces(&f, found))
			found = settled(find_tcp(&f, 0, 0));
	}
	if (FOUND_VERDICT(found) == FRAME_TCP)
		see_incoming(ctx, &f, found);
	else if (listenq_nic_frags && is_in_pieces(&f, found))
		found = xdp_in_pieces(ctx);
	add_up(FOUND_VERDICT(found));
	return XDP_PASS;
}

/*
 * The search among headers that were not all in the packet's first piece: they are brought there.
 * That moves bytes between its pieces, and changes none.
 */
__noinline __u64 find_in_pieces(struct __sk_buff *skb)
{
	__u32 length = skb->len < MAX_OFFSET + 64 ? skb->len : MAX_OFFSET + 64;

	if (bpf_skb_pull_data(skb, length))
		return FRAME_OTHER;
	return find_in_skb(skb);
}

SEC("tc")
int nic_in(struct __sk_buff *skb)
{
	__u64 found = find_in_skb(skb);
	struct frame f = skb_frame(skb);

	if (is_in_pieces(&f, found)) {
		found = find_in_pieces(skb);
		f = skb_frame(skb);
	}
	if (FOUND_VERDICT(found) == FRAME_TCP)
		see_incoming(skb, &f, found);
	add_up(FOUND_VERDICT(found));
	return NEXT_PROGRAM;
}

SEC("tc")
int nic_out(struct __sk_buff *skb)
{
	__u64 found = find_in_skb(skb);
	struct frame f = skb_frame(skb);

	if (is_in_pieces(&f, found)) {
		found = find_in_pieces(skb);
		f = skb_frame(skb);
	}
	if (FOUND_VERDICT(found) == FRAME_TCP && is_synack(found))
		see_outgoing(skb, &f, found);
	return NEXT_PROGRAM;
}
