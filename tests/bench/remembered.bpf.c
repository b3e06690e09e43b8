/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The other way to know the ACK that ends a handshake, to be measured beside the one that is taken:
 * each SYN-ACK is remembered in a bounded table, and each ACK looked up there. Everything else is
 * that of bpf/nic.bpf.c, whose own way stands here again in the same frame ("asked": the kernel is
 * asked). Loaded by nic_programs.cpp, never by the tool.
 */
#include "nic.bpf.c"

enum {
  MAX_SYNACKS = 65536,
  ANY_ENTRY = 0, /* BPF_ANY */
};

/* Each run is of another client, of so many (a power of two); 0: as the frame says. */
const volatile __u32 bench_clients = 0;
/* The connection in `bench_slot` is forgotten before each run. */
const volatile __u8 bench_forgetful = 0;

__u32 bench_client = 0;
__u32 bench_slot = 0;

struct synack {
  __u64 sent_ns;
  __u32 isn;
  __u32 padding;
};

struct key4 {
  __be32 far, near;
  __be16 far_port, near_port;
};

struct key6 {
  __be32 far[4], near[4];
  __be16 far_port, near_port;
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, MAX_SYNACKS);
  __type(key, struct key4);
  __type(value, struct synack);
} synacks4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, MAX_SYNACKS);
  __type(key, struct key6);
  __type(value, struct synack);
} synacks6 SEC(".maps");

/* --- remembered. A tuple is its key as it lies there. */

static __always_inline void remember_synack(const struct connection* c, __u32 isn) {
  const struct synack value = {.sent_ns = bpf_ktime_get_ns(), .isn = isn};

  if (c->is_ipv6)
    bpf_map_update_elem(&synacks6, &c->tuple.ipv6, &value, ANY_ENTRY);
  else
    bpf_map_update_elem(&synacks4, &c->tuple.ipv4, &value, ANY_ENTRY);
}

static __always_inline void see_ack_of_synack(const struct frame* f, __u64 found,
                                              const struct connection* c) {
  struct tcp_header* tcp = HEADER(f, FOUND_TRANSPORT(found), struct tcp_header);
  struct listenq_nic_counts* counts;
  struct synack* synack;
  __u64 sent, now;

  if (!tcp) return;
  if (c->is_ipv6)
    synack = bpf_map_lookup_elem(&synacks6, &c->tuple.ipv6);
  else
    synack = bpf_map_lookup_elem(&synacks4, &c->tuple.ipv4);
  if (!synack || bpf_ntohl(tcp->ack) != synack->isn + 1) return;
  sent = synack->sent_ns;
  if (c->is_ipv6)
    bpf_map_delete_elem(&synacks6, &c->tuple.ipv6);
  else
    bpf_map_delete_elem(&synacks4, &c->tuple.ipv4);
  counts = COUNT(FOUND_TARGET_PORT(found), ack_in);
  now = bpf_ktime_get_ns();
  if (counts && now > sent) observe(&counts->handshake_time, now - sent);
}

/* Of what comes in, ACKs alone are treated in another way. */
static __always_inline void see_incoming_remembering(void* ctx, const struct frame* f,
                                                     __u64 found) {
  struct connection c = {};

  if ((FOUND_FLAGS(found) & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) != TCPHDR_ACK) {
    see_incoming(ctx, f, found);
    return;
  }
  if (!port_bits(FOUND_TARGET_PORT(found)) || find_connection(f, found, 1, &c)) return;
  see_ack_of_synack(f, found, &c);
}

static __always_inline void see_outgoing_remembering(void* ctx, const struct frame* f,
                                                     __u64 found) {
  struct tcp_header* tcp = HEADER(f, FOUND_TRANSPORT(found), struct tcp_header);
  const __be16 port = FOUND_SOURCE_PORT(found);
  const __u32 bits = port_bits(port);
  struct connection c = {};

  if (!tcp || !bits || find_connection(f, found, 0, &c)) return;
  if (find_holder(ctx, &c, bits, 0) == NOBODY) return;
  COUNT(port, synack_out);
  remember_synack(&c, bpf_ntohl(tcp->seq));
}

/* --- what a test run, which has one frame, can't vary */

static __always_inline void become_another_client(const struct frame* f, __u64 found,
                                                  int incoming) {
  struct ipv4_header* ip = HEADER(f, FOUND_NETWORK(found), struct ipv4_header);
  __be32 client = bpf_htonl(0x0a600000 | (bench_client++ & (bench_clients - 1)));

  if (!ip) return;
  if (incoming)
    ip->source = client;
  else
    ip->target = client;
}

static __always_inline void prepare(const struct frame* f, __u64 found, int incoming) {
  if (bench_clients) become_another_client(f, found, incoming);
  if (bench_forgetful) {
    __u32 at = bench_slot;
    __u64* slot = bpf_map_lookup_elem(&open_connections, &at);

    if (slot) *slot = 0;
  }
}

/* --- programs */

SEC("xdp")
int asked_xdp(struct xdp_md* ctx) {
  struct frame f = xdp_frame(ctx);
  __u64 found = settled(find_tcp(&f, 0, 0));

  if (FOUND_VERDICT(found) == FRAME_TCP) {
    prepare(&f, found, 1);
    see_incoming(ctx, &f, found);
  }
  add_up(FOUND_VERDICT(found));
  return XDP_PASS;
}

SEC("xdp")
int remembered_xdp(struct xdp_md* ctx) {
  struct frame f = xdp_frame(ctx);
  __u64 found = settled(find_tcp(&f, 0, 0));

  if (FOUND_VERDICT(found) == FRAME_TCP) {
    prepare(&f, found, 1);
    see_incoming_remembering(ctx, &f, found);
  }
  add_up(FOUND_VERDICT(found));
  return XDP_PASS;
}

SEC("tc")
int asked_in(struct __sk_buff* skb) {
  __u64 found = find_in_skb(skb);
  struct frame f = skb_frame(skb);

  if (FOUND_VERDICT(found) == FRAME_TCP) {
    prepare(&f, found, 1);
    see_incoming(skb, &f, found);
  }
  add_up(FOUND_VERDICT(found));
  return NEXT_PROGRAM;
}

SEC("tc")
int remembered_in(struct __sk_buff* skb) {
  __u64 found = find_in_skb(skb);
  struct frame f = skb_frame(skb);

  if (FOUND_VERDICT(found) == FRAME_TCP) {
    prepare(&f, found, 1);
    see_incoming_remembering(skb, &f, found);
  }
  add_up(FOUND_VERDICT(found));
  return NEXT_PROGRAM;
}

SEC("tc")
int asked_out(struct __sk_buff* skb) {
  __u64 found = find_in_skb(skb);
  struct frame f = skb_frame(skb);

  if (FOUND_VERDICT(found) == FRAME_TCP && is_synack(found)) {
    prepare(&f, found, 0);
    see_outgoing(skb, &f, found);
  }
  return NEXT_PROGRAM;
}

SEC("tc")
int remembered_out(struct __sk_buff* skb) {
  __u64 found = find_in_skb(skb);
  struct frame f = skb_frame(skb);

  if (FOUND_VERDICT(found) == FRAME_TCP && is_synack(found)) {
    prepare(&f, found, 0);
    see_outgoing_remembering(skb, &f, found);
  }
  return NEXT_PROGRAM;
}

/*
 * What a whole handshake costs in both ways, its SYN-ACK and its ACK, in one run with the frame of
 * the ACK: what one leaves behind, the other takes away, so that each run finds the same.
 */
SEC("xdp")
int asked_handshake(struct xdp_md* ctx) {
  struct frame f = xdp_frame(ctx);
  __u64 found = settled(find_tcp(&f, 0, 0));
  const __be16 port = FOUND_TARGET_PORT(found);
  struct connection c = {};

  if (FOUND_VERDICT(found) != FRAME_TCP || find_connection(&f, found, 1, &c)) return XDP_PASS;
  forget(&c);
  if (find_holder(ctx, &c, port_bits(port), 0) != NOBODY) COUNT(port, synack_out);
  see_incoming(ctx, &f, found);
  return XDP_PASS;
}

SEC("xdp")
int remembered_handshake(struct xdp_md* ctx) {
  struct frame f = xdp_frame(ctx);
  __u64 found = settled(find_tcp(&f, 0, 0));
  const __be16 port = FOUND_TARGET_PORT(found);
  struct tcp_header* tcp = HEADER(&f, FOUND_TRANSPORT(found), struct tcp_header);
  struct connection c = {};

  if (!tcp || FOUND_VERDICT(found) != FRAME_TCP || find_connection(&f, found, 1, &c))
    return XDP_PASS;
  if (find_holder(ctx, &c, port_bits(port), 0) != NOBODY) COUNT(port, synack_out);
  remember_synack(&c, bpf_ntohl(tcp->ack) - 1);
  see_incoming_remembering(ctx, &f, found);
  return XDP_PASS;
}
