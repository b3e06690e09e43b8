/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What a CPU remembers of the packet that it is at, and what the kernel counted before it: the
 * losses in the MIB of the packet's namespace.
 */
#ifndef LISTENQ_MOMENT_BPF_H
#define LISTENQ_MOMENT_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>

#include "compat.bpf.h"

/* Counters of the MIB: their values at one time, or what they gained between two. */
struct losses {
	__u64 overflows;
	__u64 drops;
	__u64 syn_queue_full;
	__u64 cookies[3]; /* sent, valid, invalid */
	__u64 fastopen_overflows;
	__u64 defer_accept;
};

struct moment {
	__u64 number;	/* see mib_of() */
	__u64 mib;	/* of the namespace's MIB on this CPU, as a number */
	__u64 listener; /* whose packet it is; 0: none */
	struct losses before;
	__u64 queued_on; /* kprobe: the arguments of inet_csk_reqsk_queue_add() */
	__u64 queued_request;
	__u64 completed_on; /* kprobe: the same of inet_csk_complete_hashdance() */
	__u64 completed_request;
	__u32 queued_state;
	__u32 queued; /* a connection entered the queue within inet_csk_complete_hashdance() */
	__u64 timer;  /* a request's, while it is handled */
	__u64 timer_listener;
	__u32 timeouts;
	__u32 seen; /* SEEN_* */
	/* Portable only, where a packet is settled later. */
	struct losses before_rest; /* of a packet with SETTLED_ONCE, instead of `before` */
	__u64 packet;		   /* its number; 0: it is settled */
	__u64 packets;		   /* how many there were */
	__u64 since_ns;
	__u32 netns;
	__u32 syn_queue_len;
	__u32 busy;
	__u32 more_padding;
};

/* In a packet's number: it was settled, and perhaps had not ended by then. */
#define SETTLED_ONCE (1ULL << 63)

#define TCPHDR_SYN 0x02u
#define TCPHDR_RST 0x04u
#define TCPHDR_ACK 0x10u

#define SEEN_ROUTE    1u
#define SEEN_NO_ROUTE 2u
#define SEEN_SYNACK   4u
#define SEEN_SYN      8u  /* the packet is a SYN */
#define SEEN_AGAIN    16u /* it is the repetition of one */
#define SEEN_CROWDED  32u /* 3/4 of tcp_max_syn_backlog were in use */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct moment);
} moments SEC(".maps");

/*
 * Indexes of MIB counters. They differ between kernels and the kernel's enum has no name that CO-RE
 * could look up, so user space finds them in BTF. Each is followed by its neighbour:
 * ListenOverflows by ListenDrops, SyncookiesSent by SyncookiesRecv and SyncookiesFailed.
 */
const volatile __u32 listenq_mib_listen_overflows = 0;
const volatile __u32 listenq_mib_syn_queue_full = 0;
const volatile __u32 listenq_mib_cookies = 0;
const volatile __u32 listenq_mib_fastopen_overflows = 0;
const volatile __u32 listenq_mib_defer_accept = 0;

/* The per-CPU address of the element of `moments`; set by user space once it is known. */
__u64 listenq_moments_pcpu = 0;

static __always_inline struct moment *this_moment(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&moments, &zero);
}

/* Where this CPU counts for a namespace. */
static __always_inline __u64 mib_of(struct moment *m, __u64 net_statistics)
{
	volatile __u64 *number = &m->number;
	__u64 offset;

	/*
	 * Through memory, so that the verifier takes both for numbers. The CPU's offset is what
	 * separates the address of its `moment` from the per-CPU address.
	 */
	*number = (__u64)m;
	offset = *number - listenq_moments_pcpu;
	*number = net_statistics;
	return *number + offset;
}

static __always_inline void read_mib(__u64 *to, __u32 count, __u64 mib, __u32 index)
{
	if (listenq_typed_reads) {
		const __u64 *values = (const __u64 *)TYPED((struct linux_mib *)mib);

#pragma unroll
		for (__u32 i = 0; i < count; i++)
			to[i] = values[index + i];
	} else {
		bpf_probe_read_kernel(to, count * sizeof(__u64),
				      (void *)(mib + index * sizeof(__u64)));
	}
}

#define LOSSES	     1u
#define SYN_QUEUE    2u
#define COOKIES_SENT 4u
#define COOKIES	     8u
#define FASTOPEN     16u
#define DEFER	     32u

static __always_inline void read_losses(struct losses *to, __u64 mib, __u32 what)
{
	if (what & LOSSES)
		read_mib(&to->overflows, 2, mib, listenq_mib_listen_overflows);
	if (what & SYN_QUEUE)
		read_mib(&to->syn_queue_full, 1, mib, listenq_mib_syn_queue_full);
	if (what & COOKIES_SENT)
		read_mib(to->cookies, 1, mib, listenq_mib_cookies);
	if (what & COOKIES)
		read_mib(to->cookies, 3, mib, listenq_mib_cookies);
	if (what & FASTOPEN)
		read_mib(&to->fastopen_overflows, 1, mib, listenq_mib_fastopen_overflows);
	if (what & DEFER)
		read_mib(&to->defer_accept, 1, mib, listenq_mib_defer_accept);
}

/* Turns what is read now into what was gained since. */
static __always_inline void take_away(struct losses *now, const struct losses *before, __u32 what)
{
	if (what & LOSSES) {
		now->overflows -= before->overflows;
		now->drops -= before->drops;
	}
	if (what & SYN_QUEUE)
		now->syn_queue_full -= before->syn_queue_full;
	if (what & (COOKIES_SENT | COOKIES))
		now->cookies[0] -= before->cookies[0];
	if (what & COOKIES) {
		now->cookies[1] -= before->cookies[1];
		now->cookies[2] -= before->cookies[2];
	}
	if (what & FASTOPEN)
		now->fastopen_overflows -= before->fastopen_overflows;
	if (what & DEFER)
		now->defer_accept -= before->defer_accept;
}

#endif /* LISTENQ_MOMENT_BPF_H */
