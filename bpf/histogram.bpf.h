/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * A time is added to a histogram of powers of two of a microsecond.
 */
#ifndef LISTENQ_HISTOGRAM_BPF_H
#define LISTENQ_HISTOGRAM_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "listenq/abi.h"

/* The number of the highest bit that is set, by bisection: there is no instruction for it. */
static __always_inline __u32 log2_of(__u64 value)
{
	__u32 bits = 0;

	if (value >> 32)
		return LISTENQ_BUCKETS;
	if (value >> 16) {
		value >>= 16;
		bits += 16;
	}
	if (value >> 8) {
		value >>= 8;
		bits += 8;
	}
	if (value >> 4) {
		value >>= 4;
		bits += 4;
	}
	if (value >> 2) {
		value >>= 2;
		bits += 2;
	}
	return bits + (value >> 1 ? 1 : 0);
}

static __always_inline void observe(struct listenq_histogram *h, __u64 ns)
{
	__u64 us = (ns + 999) / 1000;
	__u32 bucket = us <= 1 ? 0 : log2_of(us - 1) + 1;

	if (bucket >= LISTENQ_BUCKETS)
		bucket = LISTENQ_BUCKETS - 1;
	__sync_fetch_and_add(&h->buckets[bucket], 1);
	__sync_fetch_and_add(&h->sum_ns, ns);
	if (h->max_ns < ns)
		h->max_ns = ns;
}

#endif /* LISTENQ_HISTOGRAM_BPF_H */
